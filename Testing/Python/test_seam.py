"""The seam holds: predictors and networks are made in one place, asked for what they declare, and nobody before the seam loads torch.

Reads the source, so that a new way around it fails here and not when somebody brings another kind of model.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import MultiverSegLib
import pytest

LIBRARY = Path(MultiverSegLib.__file__).parent
FILES = {path.relative_to(LIBRARY).as_posix(): path.read_text(encoding="utf-8") for path in sorted(LIBRARY.rglob("*.py"))}
#: Who may load a network's weights beside ``open_predictor``: who asks many at once, trains or validates them.
LOADERS = ("core/", "training/", "evaluation/batched.py", "evaluation/methods.py", "cli/evaluate.py")
#: Who may import torch: what computes, the set-up box, and the doctor, who says how it is, as benches do.
WITH_TORCH = (
    "core/",
    "training/",
    "evaluation/",
    "ui/shared/torch_setup.py",
    "cli/doctor.py",
    "benchmarks/network.py",
    "benchmarks/click.py",
)
_ASKED = re.compile(r"(?i)predictor|network|\bnet\b|capabilities")


def classes(folder: str, bases: str) -> set[str]:
    """Names of the classes in a folder of the library that have a base, or a name, like ``bases``."""
    found = set()
    for name, text in FILES.items():
        for node in ast.walk(ast.parse(text)) if name.startswith(folder) else ():
            if isinstance(node, ast.ClassDef) and re.search(bases, " ".join([node.name, *map(ast.unparse, node.bases)])):
                found.add(node.name)
    return found


PREDICTORS = classes("core/predictors/", r"Predictor\b")
NETWORKS = classes("core/networks/", r"\b(Slice)?Network\b")


def calls(text: str) -> list[tuple[str, ast.Call]]:
    """(name of the function, the call) for each call of a source text."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [(n.func.attr if isinstance(n.func, ast.Attribute) else getattr(n.func, "id", ""), n) for n in nodes]


def made_beside_the_families(name: str, text: str) -> list[str]:
    if name.startswith("core/families/"):
        return []
    allowed = set() if not name.startswith("benchmarks/network") else {"MultiverSegNet"}
    return [f"{name}:{c.lineno} makes a {what}" for what, c in calls(text) if what in PREDICTORS | NETWORKS - allowed]


def loaded_beside_the_door(name: str, text: str) -> list[str]:
    if name.startswith(LOADERS):
        return []
    return [f"{name}:{c.lineno} calls {what}" for what, c in calls(text) if what in ("load_network", "load_checkpoint", "build_network")]


def guessed(name: str, text: str) -> list[str]:
    """Abilities looked for by the names of attributes."""
    looked = [c for what, c in calls(text) if what in ("hasattr", "getattr") and c.args]
    return [f"{name}:{c.lineno} {ast.unparse(c)}" for c in looked if _ASKED.search(ast.unparse(c.args[0])) and not _of_its_own(c)]


def _of_its_own(call: ast.Call) -> bool:
    return ast.unparse(call.args[0]) == "self"


def imports_torch(name: str, text: str) -> list[str]:
    if name.startswith(WITH_TORCH):
        return []
    found = []
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        found += [f"{name}:{node.lineno} imports {n}" for n in names if n.split(".")[0] == "torch"]
    return found


CHECKS = [made_beside_the_families, loaded_beside_the_door, guessed, imports_torch]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nobody_goes_around_the_seam(check):
    wrong = [line for name, text in FILES.items() for line in check(name, text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "check, code",
    [
        (made_beside_the_families, "def f(n):\n    return slices.SlicePredictor(n, 'x')"),
        (made_beside_the_families, "net = CachedContextNet()"),
        (loaded_beside_the_door, "net = load_network('compact')"),
        (guessed, "if hasattr(self.predictor, 'teach'): pass"),
        (guessed, "dims = getattr(network, 'dims', 2)"),
        (imports_torch, "def f():\n    import torch.nn as nn"),
        (imports_torch, "from torch import nn"),
    ],
)
def test_a_way_around_is_seen(check, code):
    assert check("engine/slice_session.py", code)


def test_what_is_looked_for_was_found():
    assert {"SlicePredictor", "QueryPredictor", "VolumePredictor"} <= PREDICTORS
    assert {"MultiverSegNet", "CachedContextNet", "ScribblePromptUNet", "Neuroverse3D", "Verse"} <= NETWORKS
