"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_TESTING = Path(__file__).resolve().parent.parent
sys.path.append(str(_TESTING))  # for `Host`; at the end, because Testing/packaging.py must not hide the library of that name

from Host.fixtures import slicer_host  # noqa: E402, F401


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
