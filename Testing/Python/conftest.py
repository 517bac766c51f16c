"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_TESTING = Path(__file__).resolve().parent.parent
sys.path.append(str(_TESTING))  # for `Host`; at the end, because Testing/packaging.py must not hide the library of that name


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


@pytest.fixture
def slicer_host():
    """The test host with Qt, slice views and an empty scene; see Testing/Host. Skipped, saying what to install, where it can't run.

    The test fails if a slot or an effect raised, VTK or MRML reported an error, or two shortcuts claim one key.
    A test that expects such a thing clears it: ``slicer_host.exceptions.clear()``.
    """
    from Host import missing_requirements, start_host

    missing = missing_requirements()
    if missing:
        pytest.skip("the test host needs: " + "; ".join(missing))
    running = start_host(segment_editor=True)
    yield running
    if running.mrml is not None:
        running.render()
    errors = running.errors()
    running.close()
    errors += [error for error in running.errors() if error not in errors]
    assert errors == []


@pytest.fixture(scope="session")
def installed_module(tmp_path_factory) -> Path:
    """The module's file in an installed tree: only what CMakeLists.txt lists, laid out as Slicer's build installs it."""
    spec = importlib.util.spec_from_file_location("extension_packaging", _TESTING / "packaging.py")
    packaging = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packaging)
    return packaging.install(tmp_path_factory.mktemp("installed") / "qt-scripted-modules") / "MultiverSegSlicer.py"
