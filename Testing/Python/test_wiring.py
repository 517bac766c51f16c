"""How parts of the house talk: by arguments, return values and signals owned by an object; never by lists or functions of a module."""

from __future__ import annotations

import ast
from pathlib import Path

LIB = Path(__file__).resolve().parents[2] / "MultiverSegSlicer" / "MultiverSegLib"
FILES = sorted(LIB.rglob("*.py"))

#: Where a module keeps something that lasts, with the reason; this list only shrinks.
GLOBALS = {
    "evaluation/quick.py": "the model of a worker process",
    "mrml/headless.py": "one VTK application per process",
    "ui/shared/contexts.py": "Slicer makes effect and panel apart from each other: here they find the same contexts",
    "ui/shared/service.py": "and the same predictor",
}
_FOR_FUNCTIONS = ("observer", "listener", "hook", "callback", "handler", "subscriber")


def name_of(file: Path) -> str:
    return file.relative_to(LIB).as_posix()


def lists_of_functions(tree: ast.Module) -> list[str]:
    """Names at file scope that hold functions to be called by whoever knows the module."""
    found = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in (t for t in targets if isinstance(t, ast.Name)):
            annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
            empty = isinstance(node.value, (ast.List, ast.Dict, ast.Set)) and not (
                getattr(node.value, "elts", None) or getattr(node.value, "keys", None)
            )
            empty |= node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
            named = target.id.islower() and any(word in target.id.lower() for word in _FOR_FUNCTIONS)
            if named or (empty and "Callable" in annotation):
                found.append(f"{node.lineno}: {target.id}")
    return found


def assigned_from_outside(tree: ast.Module) -> list[str]:
    """``other.name = function``, and ``module.name = anything``: what the owner does not know it depends on."""
    modules = {
        alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level for alias in node.names
    }
    modules = {name for name in modules if name.islower()}
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    methods = {
        m.name for c in tree.body if isinstance(c, ast.ClassDef) for m in c.body if isinstance(m, ast.FunctionDef) if not m.decorator_list
    }
    found = []
    for node in ast.walk(tree):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if not isinstance(target, ast.Attribute) or (isinstance(target.value, ast.Name) and target.value.id in ("self", "cls")):
                continue
            value = node.value
            method = (
                isinstance(value, ast.Attribute)
                and isinstance(value.value, ast.Name)
                and value.value.id == "self"
                and value.attr in methods
            )
            a_function = isinstance(value, ast.Lambda) or method or (isinstance(value, ast.Name) and value.id in functions)
            of_module = isinstance(target.value, ast.Name) and target.value.id in modules
            if a_function or of_module:
                found.append(f"{node.lineno}: {ast.unparse(target)} = {ast.unparse(value)}")
    return found


#: Who keeps a journal of what sessions do, or makes them for the person, and so must be handed the events of those who predict.
_HEAR = ("Desk", "SliceSession")


def deaf(tree: ast.Module) -> list[str]:
    """Calls in ``ui`` that make such an object without ``events``: its journal would miss what the effect predicts, and say nothing."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _HEAR]
    return [f"{call.lineno}: {call.func.id}" for call in calls if "events" not in [keyword.arg for keyword in call.keywords]]


def test_every_desk_and_session_of_the_panel_is_given_the_events():
    wrong = [
        f"{name_of(file)}:{entry}"
        for file in FILES
        if name_of(file).startswith("ui/") and name_of(file) != "ui/selftest.py"
        for entry in deaf(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_keeps_functions_for_others_to_call():
    wrong = [f"{name_of(file)}:{entry}" for file in FILES for entry in lists_of_functions(ast.parse(file.read_text(encoding="utf-8")))]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_assigned_into_another_module_nor_a_function_into_another_object():
    wrong = [f"{name_of(file)}:{entry}" for file in FILES for entry in assigned_from_outside(ast.parse(file.read_text(encoding="utf-8")))]
    assert not wrong, "\n".join(wrong)


def test_what_lasts_in_a_module_is_listed_with_its_reason():
    found = {
        name_of(file)
        for file in FILES
        if any(isinstance(node, ast.Global) for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    }
    assert found == set(GLOBALS)


def test_the_rules_see_what_they_forbid():
    assert lists_of_functions(ast.parse("observers = []\nkept: list[Callable[[], None]] = []\nSIZES: list[int] = []")) == [
        "1: observers",
        "2: kept",
    ]
    assert deaf(ast.parse("desk = Desk()\nother = Desk(events=service.events)")) == ["1: Desk"]
    bad = (
        "from ..shared import settings\nsettings._folder = 1\ndef run(library):\n    library.accept = lambda s: s\n    library.count = 3\n"
    )
    assert assigned_from_outside(ast.parse(bad)) == ["2: settings._folder = 1", "4: library.accept = lambda s: s"]
