"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("triton"):
    # It comes with PyTorch's CUDA packages on Linux and brings an LLVM of its own, which crashes if Mesa's is there first; the other way round works.
    import triton  # noqa: F401

_TESTING = Path(__file__).resolve().parent.parent
sys.path.append(str(_TESTING))  # for `Host`; at the end, because Testing/packaging.py must not hide the library of that name

from Host.fixtures import slicer_host  # noqa: E402, F401

#: What one process of the tests takes at most, with room for the processes that some tests start.
_GIB_A_PROCESS = 3


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For ``-n auto``: the cores this process may use, but no more processes than there is memory for now."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(psutil.virtual_memory().available / 2**30 / _GIB_A_PROCESS)))


@pytest.fixture
def host():
    """The headless host with an empty scene; the test fails if VTK or MRML reported an error or a warning.

    A test that expects a message removes it: ``host.messages.clear()``.
    """
    pytest.importorskip("slicer", reason="needs slicer-core")
    from MultiverSegLib.mrml.headless import start

    running = start()
    running.messages.clear()
    yield running
    messages = list(running.messages)
    running.close()
    assert messages == []


@pytest.fixture(scope="session")
def installed_module(tmp_path_factory) -> Path:
    """The module's file in an installed tree: only what CMakeLists.txt lists, laid out as Slicer's build installs it."""
    spec = importlib.util.spec_from_file_location("extension_packaging", _TESTING / "packaging.py")
    packaging = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packaging)
    return packaging.install(tmp_path_factory.mktemp("installed") / "qt-scripted-modules") / "MultiverSegSlicer.py"
