import gc
import threading
import time
import types
from typing import ClassVar

import numpy as np
import pytest
import torch
from MultiverSegLib.core.errors import Cancelled, MultiverSegError
from MultiverSegLib.core.networks import MultiverSegNet
from MultiverSegLib.core.predicting import Request
from MultiverSegLib.core.predictors import open_predictor
from MultiverSegLib.core.worker import InferenceWorker


@pytest.fixture
def worker():
    made = InferenceWorker()
    yield made
    made.close()


class Slow:
    """Work that runs until it is let go."""

    def __init__(self, result):
        self.result, self.started, self.go = result, threading.Event(), threading.Event()

    def __call__(self):
        self.started.set()
        assert self.go.wait(10)
        return self.result


def collect(worker, outcomes):
    assert worker.wait(10)
    worker.poll()
    return outcomes


def test_results_come_through_poll_in_the_callers_thread(worker):
    outcomes, threads = [], []
    worker.submit(lambda: threads.append(threading.current_thread()) or 42, lambda o: outcomes.append((o, threading.current_thread())))
    assert worker.wait(10) and outcomes == []
    assert worker.poll() == 1 and worker.poll() == 0
    assert outcomes == [(42, threading.main_thread())] and threads[0] is not threading.main_thread()


def test_the_newest_wins(worker):
    outcomes = {}
    slow = Slow("a")
    worker.submit(slow, lambda o: outcomes.__setitem__("a", o))
    assert slow.started.wait(10)
    ran = []
    for name in "bcd":
        worker.submit(lambda name=name: ran.append(name) or name, lambda o, name=name: outcomes.__setitem__(name, o))
    assert worker.busy
    slow.go.set()
    collect(worker, outcomes)
    assert ran == ["d"] and outcomes["d"] == "d" and not worker.busy
    assert set(outcomes) == set("abcd") and all(isinstance(outcomes[n], Cancelled) for n in "abc")


def test_one_thread_for_all(worker):
    threads = set()
    for _ in range(5):
        worker.submit(lambda: threads.add(threading.get_ident()), lambda o: None)
        assert worker.wait(10)
    assert len(threads) == 1


def test_cancel_drops_what_waits_and_what_runs(worker):
    outcomes = []
    slow = Slow("late")
    worker.submit(slow, outcomes.append)
    assert slow.started.wait(10)
    worker.cancel()
    slow.go.set()
    assert isinstance(collect(worker, outcomes)[0], Cancelled)
    worker.submit(lambda: "next", outcomes.append)
    assert collect(worker, outcomes)[1] == "next"


def test_errors_are_outcomes_and_the_thread_lives_on(worker):
    outcomes = []
    worker.submit(lambda: 1 / 0, outcomes.append)
    collect(worker, outcomes)
    worker.submit(lambda: "fine", outcomes.append)
    collect(worker, outcomes)
    assert isinstance(outcomes[0], ZeroDivisionError) and outcomes[1] == "fine"


def test_close_ends_the_thread_and_answers_everyone():
    worker, outcomes = InferenceWorker(), []
    slow = Slow("x")
    worker.submit(slow, outcomes.append)
    assert slow.started.wait(10)
    worker.submit(lambda: "y", outcomes.append)
    threading.Timer(0.05, slow.go.set).start()
    worker.close()
    worker.close()
    worker.poll()
    assert [type(o) for o in outcomes] == [Cancelled, Cancelled]
    assert not any(t.name == "MultiverSeg inference" and t.is_alive() for t in threading.enumerate())
    with pytest.raises(MultiverSegError, match="closed"):
        worker.submit(lambda: 1, outcomes.append)


class Held:
    """Something that only the caller's thread may destroy: tells which one did."""

    ended: ClassVar[list[str]] = []

    def __init__(self):
        self.myself = None

    def __call__(self, *_):
        return None

    def __del__(self):
        Held.ended.append(threading.current_thread().name)


@pytest.mark.parametrize("ending", ["polled", "cancelled", "superseded", "closed", "abandoned", "failed"])
def test_the_thread_never_destroys_what_a_request_holds(ending):
    Held.ended.clear()
    for _ in range(20):
        worker, slow = InferenceWorker(), Slow("x")
        held = [Held(), Held()]

        def work(slow=slow, held=held[0], ending=ending):
            return slow() if ending != "failed" else slow() / 0

        worker.submit(work, lambda outcome, held=held[1]: None)
        del held, work
        assert slow.started.wait(10)
        if ending == "superseded":
            worker.submit(lambda: None, lambda outcome: None)
        if ending in ("closed", "abandoned"):
            worker.close(timeout=0)
        if ending == "cancelled":
            worker.cancel()
        thread = worker._thread
        if ending == "abandoned":
            del worker
        slow.go.set()
        if ending in ("closed", "abandoned"):
            thread.join(10)
        else:
            deadline = time.monotonic() + 10
            while not worker.poll() or worker.busy:  # at once: the thread has just handed it over
                assert time.monotonic() < deadline
            worker.close()
    assert gc.isenabled()
    other = InferenceWorker()
    other.submit(lambda: None, lambda outcome: None)  # what was abandoned is let go by the next worker's caller
    other.close()
    worker = None
    gc.collect()
    assert Held.ended and set(Held.ended) == {"MainThread"}


def test_the_collector_stays_on_and_the_thread_never_holds_a_callback(worker):
    """What only the caller's thread may destroy hangs on callbacks: whatever is collected in the thread, they are out of its reach."""
    slow, held = Slow(1), Held()
    enabled = []
    worker.submit(lambda: enabled.append(gc.isenabled()) or slow(), lambda outcome, held=held: enabled.append(gc.isenabled()))
    assert slow.started.wait(10) and gc.isenabled()
    reached, waiting = {}, [worker._thread._target.__self__]
    while waiting:
        value = waiting.pop()
        if id(value) not in reached and not isinstance(value, type | types.ModuleType):
            reached[id(value)] = value
            waiting.extend(gc.get_referents(value) if not isinstance(value, types.FunctionType) else value.__closure__ or ())
    assert any(value is slow for value in reached.values())
    assert not any(value is held or value is worker for value in reached.values())
    slow.go.set()
    collect(worker, enabled)
    assert enabled == [True, True] and gc.isenabled()


def test_cancel_ends_a_batch_within_one_forward_pass():
    passes, first = [], threading.Event()

    class Counting(MultiverSegNet):
        def forward(self, target, context=None):
            passes.append(len(target))
            first.set()
            time.sleep(0.02)
            return super().forward(target, context)

    predictor = open_predictor(Counting(5, 5, (4, 4)))
    predictor.batch_size = 1
    worker, outcomes = InferenceWorker(), []
    cancel = threading.Event()
    worker.submit(lambda: predictor.predict_batch([Request(np.zeros((128, 128)))] * 200, cancel), outcomes.append)
    assert first.wait(10)
    worker.cancel()
    cancel.set()
    collect(worker, outcomes)
    worker.close()
    assert isinstance(outcomes[0], Cancelled) and len(passes) < 200


def test_many_requests_from_many_threads_are_all_answered_once(worker):
    answers = []

    def ask(number):
        for i in range(20):
            worker.submit(lambda i=i: (number, i), answers.append)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    collect(worker, answers)
    assert len(answers) == 100 and any(not isinstance(a, Cancelled) for a in answers)
    assert torch.get_num_threads() >= 1
