"""Fixtures for all tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def host():
    """The headless host with an empty scene; the test fails if VTK or MRML reported an error or a warning.

    A test that expects a message removes it: ``host.messages.clear()``.
    """
    pytest.importorskip("slicer", reason="needs slicer-core")
    from MultiverSegLib.mrml.host import start

    running = start()
    running.messages.clear()
    yield running
    messages = list(running.messages)
    running.close()
    assert messages == []
