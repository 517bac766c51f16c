"""The test host as a pytest fixture: ``from Host.fixtures import slicer_host`` in a conftest.py."""

from __future__ import annotations

import pytest


@pytest.fixture
def slicer_host():
    """The test host with Qt, slice views and an empty scene. Skipped, saying what to install, where it can't run.

    The test fails if a slot or an effect raised, VTK or MRML reported an error, or two shortcuts claim one key.
    A test that expects such a thing clears it: ``slicer_host.exceptions.clear()``.
    """
    import Host  # its functions are looked up when a test runs: inside Slicer, others stand in their place

    missing = Host.missing_requirements()
    if missing:
        pytest.skip("the test host needs: " + "; ".join(missing))
    running = Host.start_host(segment_editor=True)
    yield running
    if running.mrml is not None:
        running.render()
    errors = running.errors()
    running.close()
    errors += [error for error in running.errors() if error not in errors]
    assert errors == [], errors
