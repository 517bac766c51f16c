"""Whether a process runs and since when. What Windows answers comes from a stand-in for its API: it was not run there."""

import os
import subprocess
import sys
import time

import pytest
from MultiverSegLib.cohort.store.processes import WindowsProcess, alive, asked_of_ps, process_start


@pytest.fixture
def other():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_by_its_start(other):
    assert alive(other.pid) and process_start(other.pid) == process_start(other.pid) != ""
    assert process_start(other.pid) != process_start(os.getpid())
    other.kill()
    other.wait()
    assert not alive(other.pid) and process_start(other.pid) == ""


@pytest.mark.skipif(os.name == "nt", reason="there is no ps")
def test_where_there_is_no_proc_ps_is_asked(other):
    told = asked_of_ps(other.pid)
    if not told:
        pytest.skip("ps is not installed")
    assert time.strptime(told, "%a %b %d %H:%M:%S %Y")
    other.kill()
    other.wait()
    assert asked_of_ps(other.pid) == ""


class Kernel:
    """Answers as kernel32 is documented to."""

    def __init__(self, handle=0, error=0, code=0, started=0):
        self.closed, self.GetLastError = [], lambda: error

        def exit_code(_handle, place):
            place._obj.value = code
            return 1

        def times(_handle, *places):
            places[0]._obj.value = started
            return 1

        class OpenProcess:
            restype = None

            def __call__(self, access, inherit, pid):
                return handle

        self.OpenProcess, self.GetExitCodeProcess, self.GetProcessTimes = OpenProcess(), exit_code, times
        self.CloseHandle = self.closed.append


@pytest.mark.skipif(os.name == "nt", reason="the real API is there")
def test_on_windows_another_persons_process_is_alive():
    assert WindowsProcess(7, Kernel(error=5)).alive, "access denied"
    assert not WindowsProcess(7, Kernel(error=87)).alive, "no such process"
    kernel = Kernel(handle=2**40, code=259, started=133_000_000_000_000_000)
    running = WindowsProcess(7, kernel)
    assert running.alive and running.started == "133000000000000000" and kernel.closed[0].value == 2**40
    assert not WindowsProcess(7, Kernel(handle=1, code=0)).alive, "it has ended, and somebody still holds it"
