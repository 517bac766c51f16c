"""The examples in docstrings of core, mrml and cohort/store give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[2] / "MultiverSegSlicer" / "MultiverSegLib"
ROOMS = ("core", "mrml", "cohort/store")
MODULES = sorted(
    ".".join(file.relative_to(LIB.parent).with_suffix("").parts)
    for room in ROOMS
    for file in (LIB / room).rglob("*.py")
    if ">>>" in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name):
    tests = [t for t in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name)) if t.examples]
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        runner.run(test, out=said.append)
    assert tests and not runner.failures, "".join(said)


def test_every_room_has_examples():
    rooms = {name.removeprefix("MultiverSegLib.").split(".")[0] for name in MODULES}
    assert rooms == {"core", "mrml", "cohort"}
