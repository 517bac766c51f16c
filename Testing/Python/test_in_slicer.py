"""The tests that run inside Slicer (Testing/InSlicer): the list of those that cannot, and the hands that the others use."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import InSlicer
import pytest
from InSlicer.differences import CANNOT_RUN, reason

TESTING = Path(__file__).resolve().parents[1]
UI_TESTS = TESTING / "Python" / "ui"


def names_in(file: Path) -> set[str]:
    return {
        n.name
        for n in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")
    }


@pytest.mark.parametrize("name", CANNOT_RUN)
def test_a_test_that_cannot_run_exists_and_has_a_reason(name):
    file, _, test = name.partition("::")
    assert (UI_TESTS / file).is_file()
    assert not test or test in names_in(UI_TESTS / file)
    assert len(CANNOT_RUN[name]) > 20


def test_the_reason_is_found_from_every_folder_and_with_parameters():
    name, why = next(iter(CANNOT_RUN.items()))
    assert reason(f"Testing/Python/ui/{name}") == reason(f"ui/{name}") == reason(name) == reason(f"{name}[a-b]") == why
    assert reason("Testing/Python/ui/test_lifecycle.py::test_escape_cancels_and_nothing_is_written") == ""


def offered(file: Path, cls: str) -> set[str]:
    """Methods, and attributes that ``__init__`` or the class's body sets."""
    tree = next(n for n in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(n, ast.ClassDef) and n.name == cls)
    names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and getattr(node.value, "id", "") == "self":
            names.add(node.attr)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_the_application_offers_what_the_tests_ask_of_the_host():
    used = set()
    for file in UI_TESTS.rglob("*.py"):
        used |= set(re.findall(r"\bhost\.([a-z_]+)\b(?!\s*import)", file.read_text(encoding="utf-8")))
    missing = used - offered(TESTING / "InSlicer" / "application.py", "Application")
    assert used and not missing


@pytest.mark.parametrize("file", ["InSlicer/hands.py", "Host/driver.py"])
def test_the_views_of_both_have_the_same_hands(file):
    """Both implement what `Hands` leaves open, and add nothing that a test could only use with one of them."""
    from Host.hands import Hands

    cls = next(n for n in ast.parse((TESTING / file).read_text(encoding="utf-8")).body if getattr(n, "name", "") == "ViewDriver")
    assert [base.id for base in cls.bases] == ["Hands"]
    assert {n.name for n in cls.body if isinstance(n, ast.FunctionDef)} == Hands.__abstractmethods__


def test_outside_of_slicer_it_says_what_is_missing():
    assert InSlicer.missing_requirements()
    with pytest.raises(RuntimeError, match="3D Slicer application"):
        InSlicer.start_host()
