"""The self-tests that Slicer runs, on the test host."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_the_self_tests_pass(bench, capsys):
    import unittest

    from MultiverSegLib.ui import selftest

    result = unittest.TextTestRunner(verbosity=0).run(selftest.suite())
    assert not result.errors and not result.failures, [text for _, text in result.errors + result.failures]
    assert result.testsRun == 12
    for _test, reason in result.skipped:
        assert "compact" in reason or "lists are not here" in reason, reason


def test_reload_and_test_runs_them(bench):
    import sys

    module = sys.modules["MultiverSegSlicer"]
    module.MultiverSegSlicerTest().runTest()
