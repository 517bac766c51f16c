"""Every event that is written is one that is checked and known when it is read."""

from __future__ import annotations

import ast
from pathlib import Path

import MultiverSegLib
from MultiverSegLib.cohort.store.events import REQUIRED
from MultiverSegLib.cohort.store.reducer import _CHANGES

LIBRARY = Path(MultiverSegLib.__file__).parent


def recorded() -> dict[str, str]:
    """Names of events in calls of ``record`` and ``_record``, and where the first call is."""
    found: dict[str, str] = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("record", "_record")
                and node.args
            ):
                name = node.args[0]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    found.setdefault(name.value, f"{path.relative_to(LIBRARY)}:{node.lineno}")
    return found


def test_what_is_written_is_checked():
    written = recorded()
    assert {"accepted", "example added", "example removed", "prompt", "status"} <= set(written)
    assert {name: place for name, place in written.items() if name not in REQUIRED} == {}


def test_what_changes_a_cohort_is_checked():
    assert set(_CHANGES) <= set(REQUIRED)
