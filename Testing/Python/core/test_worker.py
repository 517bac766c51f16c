import threading
import time

import numpy as np
import pytest
import torch
from MultiverSegLib.core.errors import Cancelled, MultiverSegError
from MultiverSegLib.core.networks import MultiverSegNet
from MultiverSegLib.core.predictor import Prediction, Predictor
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


def test_dispatcher_delivers_at_once():
    done = threading.Event()
    outcomes = []
    worker = InferenceWorker(dispatcher=lambda callback, outcome: (callback(outcome), done.set()))
    worker.submit(lambda: 7, outcomes.append)
    assert done.wait(10) and outcomes == [7]
    worker.close()


def test_predictor_is_made_once_in_the_thread():
    made = []

    def factory():
        made.append(threading.current_thread())
        return Predictor(MultiverSegNet(5, 5, (4, 4)))

    worker, outcomes = InferenceWorker(factory), []
    for _ in range(2):
        worker.submit({"image": np.zeros((128, 128))}, outcomes.append)
        collect(worker, outcomes)
    worker.close()
    assert len(made) == 1 and made[0] is not threading.main_thread()
    assert all(isinstance(o, Prediction) for o in outcomes)


def test_cancel_ends_a_batch_within_one_forward_pass():
    passes, first = [], threading.Event()

    class Counting(MultiverSegNet):
        def forward(self, target, context=None):
            passes.append(len(target))
            first.set()
            time.sleep(0.02)
            return super().forward(target, context)

    predictor = Predictor(Counting(5, 5, (4, 4)))
    predictor.batch_size = 1
    worker, outcomes = InferenceWorker(), []
    cancel = threading.Event()
    worker.submit(lambda: predictor.predict_batch([np.zeros((128, 128))] * 200, cancel=cancel), outcomes.append)
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
