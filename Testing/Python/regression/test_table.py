"""The regression table is complete, and names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .table import LINES

TESTS = Path(__file__).resolve().parents[1]


def test_there_are_26_lines_with_different_names():
    assert len(LINES) == 26 == len({line.name for line in LINES})


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_each_line_has_tests_that_exist(line):
    assert line.tests and line.taken_out
    for test in line.tests:
        file, name = test.split("::")
        functions = {n.name for n in ast.walk(ast.parse((TESTS / file).read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)}
        assert name in functions, f"{test} is gone: name the test that guards this now"
