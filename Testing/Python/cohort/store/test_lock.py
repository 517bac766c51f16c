"""One writer at a time; a dead or silent holder is replaced, a living one never."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.lock import SILENT_AFTER_S, CohortLock
from MultiverSegLib.cohort.store.processes import process_start
from MultiverSegLib.core.errors import CohortError

from ..helpers import paper_cohort


def test_the_second_opener_reads_only_and_learns_who_holds_it(tmp_path):
    with paper_cohort(tmp_path) as first, Cohort.open(tmp_path, who="ben") as second:
        assert not first.read_only and second.read_only
        assert str(os.getpid()) in str(second.holder) and second.holder.host in str(second.holder)
        with pytest.raises(CohortError, match="held by"):
            second.record("opened", case="a")
        first.record("opened", case="a")
        assert second.refresh() and second.case("a").status == "in progress"
        assert not second.refresh()
    with Cohort.open(tmp_path) as third:
        assert not third.read_only


@pytest.mark.parametrize("names", [True, False])
def test_the_lock_names_the_person_only_where_names_are_wanted(tmp_path, names):
    with paper_cohort(tmp_path, names=names, who="anna"):
        assert ("anna" in (tmp_path / "cohort.lock").read_text()) == names
    with Cohort.open(tmp_path, who="anna") as again, Cohort.open(tmp_path, who="ben") as second:
        held = (tmp_path / "cohort.lock").read_text()
        assert ("anna" in held) == names and f'"pid": {os.getpid()}' in held
        assert str(second.holder).startswith("anna on " if names else f"process {os.getpid()} on ")
        with pytest.raises(CohortError, match="held by anna" if names else "held by process"):
            second.record("opened", case="a")
        again.record("opened", case="a")
        assert not again.read_only and again.journal.who == ("anna" if names else "")


def _forge(lock, **changes):
    data = json.loads(lock.path.read_text())
    lock.path.write_text(json.dumps({**data, **changes}))


def test_a_dead_process_does_not_hold(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    first = CohortLock(tmp_path / "lock")
    first.acquire()
    _forge(first, pid=dead.pid, process_start="", token="old")
    second = CohortLock(tmp_path / "lock")
    assert second.acquire() is None and second.held and not first.held
    first.release()
    assert second.held, "a lock that was taken over is not the old holder's to delete"


@pytest.mark.skipif(not process_start(os.getpid()), reason="the system does not tell when a process began")
def test_a_reused_process_number_does_not_hold(tmp_path):
    first = CohortLock(tmp_path / "lock")
    first.acquire()
    _forge(first, process_start="1", token="old")
    assert CohortLock(tmp_path / "lock").acquire() is None


def test_another_computer_holds_until_it_falls_silent(tmp_path):
    first = CohortLock(tmp_path / "lock", "anna")
    first.acquire()
    _forge(first, host="elsewhere", token="theirs")
    holder = CohortLock(tmp_path / "lock").acquire()
    assert holder is not None and holder.host == "elsewhere" and holder.who == "anna"
    silent = time.time() - SILENT_AFTER_S - 1
    os.utime(first.path, (silent, silent))
    assert CohortLock(tmp_path / "lock").acquire() is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_damaged_lock_file_does_not_lock_out_for_ever(tmp_path, content):
    (tmp_path / "lock").write_text(content)
    assert CohortLock(tmp_path / "lock").acquire() is None


def test_a_holder_that_was_replaced_stops_writing(tmp_path):
    cohort = paper_cohort(tmp_path)
    _forge(cohort._lock, host="elsewhere", token="theirs")
    with pytest.raises(CohortError, match="taken over"):
        cohort.record("opened", case="a")
    cohort.close()
    assert (tmp_path / "cohort.lock").exists()


RACER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from MultiverSegLib.cohort.store.lock import CohortLock
while time.time() < float(sys.argv[3]): pass
lock = CohortLock(sys.argv[2])
print("won" if lock.acquire() is None else "lost", flush=True)
sys.stdin.read()
"""


def test_of_many_who_find_a_stale_lock_one_wins(tmp_path):
    stale = CohortLock(tmp_path / "lock")
    stale.acquire()
    _forge(stale, process_start="1", pid=2**22 + 1, token="old")
    library = str(Path(sys.modules[CohortLock.__module__].__file__).parents[3])
    start = str(time.time() + 1.0)
    command = [sys.executable, "-c", RACER, library, str(tmp_path / "lock"), start]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    results = [racer.stdout.readline().strip() for racer in racers]
    for racer in racers:
        racer.communicate("")
    assert sorted(results) == ["lost"] * 5 + ["won"]


@pytest.mark.parametrize("changes", [{"pid": -1}, {"pid": 0}, {"pid": True}, {"pid": "12"}, {"pid": None}, {"who": 5}, {"token": []}])
def test_a_lock_file_that_makes_no_sense_does_not_hold(tmp_path, changes):
    first = CohortLock(tmp_path / "lock")
    first.acquire()
    _forge(first, **changes)
    assert CohortLock(tmp_path / "lock").acquire() is None


def test_a_lock_of_a_later_version_holds(tmp_path):
    first = CohortLock(tmp_path / "lock", "anna")
    first.acquire()
    _forge(first, token="theirs", colour="blue")
    assert CohortLock(tmp_path / "lock").acquire().who == "anna"


@pytest.mark.parametrize("changes", [{"namespace": "pid:[1]"}, {"boot": "another start"}])
def test_a_process_that_cannot_be_looked_up_holds_until_it_falls_silent(tmp_path, changes):
    """In another container, or before the computer was started again, the same number means another process."""
    first = CohortLock(tmp_path / "lock")
    first.acquire()
    _forge(first, pid=2**22 + 1, token="theirs", **changes)
    assert CohortLock(tmp_path / "lock").acquire() is not None
    silent = time.time() - 200
    os.utime(first.path, (silent, silent))
    assert CohortLock(tmp_path / "lock").acquire() is None


def test_a_clock_that_was_set_back_does_not_lock_out_for_ever(tmp_path):
    first = CohortLock(tmp_path / "lock")
    first.acquire()
    _forge(first, host="elsewhere", token="theirs")
    ahead = time.time() + 3600
    os.utime(first.path, (ahead, ahead))
    assert CohortLock(tmp_path / "lock").acquire() is None


def test_waiting_for_a_held_cohort(tmp_path):
    first = paper_cohort(tmp_path)
    began = time.monotonic()
    with Cohort.open(tmp_path, wait=0.5) as second:
        assert second.read_only and time.monotonic() - began >= 0.5
        with pytest.raises(CohortError, match=r"delete .*cohort\.lock"):
            second.check_writable()
    threading.Timer(0.3, first.close).start()
    with Cohort.open(tmp_path, wait=20) as third:
        assert not third.read_only and time.monotonic() - began < 15


def test_a_guard_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "lock.guard").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CohortError, match="link to another file"):
        CohortLock(tmp_path / "lock").acquire()
    assert not (tmp_path / "elsewhere").exists()
