"""The arrows of the house: which part may import which, what may be imported at file scope, and which third-party packages may ship.

Slicer's Python has no torch at start-up and brings only some packages; a wrong import would work here and break there.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED_ROOT = ROOT / "MultiverSegSlicer"
LIB = SHIPPED_ROOT / "MultiverSegLib"

_BELOW = {"core", "mrml", "engine"}
_COHORT = {"cohort.store", "cohort.sources", "cohort.work", "cohort.batch", "cohort.results"}
_FACE = {"ui.shared", "ui.effect", "ui.panel", "ui.cohort"}
_WORK = _BELOW | _COHORT | {"training", "evaluation"}
#: Room -> the rooms it may import. A room within a part is named with its part; what lies beside the rooms belongs to the part itself.
ARROWS = {
    "core": set(),
    "mrml": {"core"},
    "engine": {"mrml", "core"},
    "cohort.store": {"core"},
    "cohort.sources": {"cohort.store", "mrml", "core"},
    "cohort.work": {"cohort.store", "cohort.sources"} | _BELOW,
    "cohort.batch": {"cohort.store", "cohort.sources", "cohort.work"} | _BELOW,
    "cohort.results": {"cohort.store", "cohort.sources", "cohort.work"} | _BELOW,
    "ui.shared": _BELOW | _COHORT,
    "ui.effect": {"ui.shared"} | _BELOW | _COHORT,
    "ui.MultiverSegPrompt": {"ui.effect", "ui.shared", "core"},
    "ui.panel": {"ui.effect", "ui.shared"} | _BELOW | _COHORT,
    "ui.cohort": {"ui.effect", "ui.shared"} | _BELOW | _COHORT,
    "ui": _FACE | _BELOW | _COHORT,  # the composer and the self-tests
    "training": {"core", "evaluation"},
    "evaluation": {"core"},
    "demo": _WORK | {"cli"},
    "benchmarks": _WORK | {"cli", "demo"},
    "cli": _WORK,  # the commands of demo and benchmarks are found by name
}
PARTS = ("core", "mrml", "engine", "cohort", "ui", "training", "evaluation", "cli", "demo", "benchmarks")
SHIPPED = ("core", "mrml", "engine", "cohort", "ui")
SLOW_TO_IMPORT = {
    "torch",
    "SimpleITK",
    "monai",
    "skimage",
    "scipy",
    "matplotlib",
    "jinja2",
    "kornia",
    "highdicom",
    "ray",
    "pydicom",
    "requests",
}
FROM_SLICER = {"slicer", "vtk", "vtkmodules", "vtkSegmentationCorePython", "vtkSegmentationCore", "vtkITK"}
QT = {"qt", "ctk"}
SLICER_MODULES = {"SampleData", "SegmentEditorEffects", "PyTorchUtils", "DICOMLib", "qSlicerSegmentationsEditorEffectsPythonQt"}
ALLOWED = {
    "core": {"numpy", "torch", "SimpleITK"},
    "mrml": {"numpy", "SimpleITK", "scipy", "pydicom"} | FROM_SLICER,
    "engine": {"numpy"} | FROM_SLICER,
    "cohort": {"numpy", "SimpleITK", "scipy", "pydicom", "packaging"} | FROM_SLICER,
    "ui": {"numpy"} | FROM_SLICER | QT | SLICER_MODULES,
}
# Not in Slicer: only inside functions that say so when it is missing.
OPTIONAL = {
    "core": {"requests", "psutil", "PIL"},
    "cohort": {"matplotlib", "jinja2", "highdicom", "skimage", "ray", "torch"},
    "ui": {"packaging"},
}


@dataclass(frozen=True)
class Import:
    file: Path
    line: int
    name: str  # absolute dotted name; our own begin with MultiverSegLib
    at_file_scope: bool
    for_types_only: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.name}"


def part_of(dotted: str) -> str | None:
    """``core`` for ``MultiverSegLib.core.prompts``; None for the package itself and for everything else."""
    pieces = dotted.split(".")
    return pieces[1] if pieces[0] == "MultiverSegLib" and len(pieces) > 1 and pieces[1] in PARTS else None


def room_of(dotted: str) -> str | None:
    """``cohort.store`` for ``MultiverSegLib.cohort.store.journal``, ``core`` for ``MultiverSegLib.core.prompts``."""
    part = part_of(dotted)
    room = ".".join(dotted.split(".")[1:3])
    return room if room in ARROWS else part


def imports_of(file: Path) -> list[Import]:
    package = list(file.relative_to(SHIPPED_ROOT).parent.parts)
    found: list[Import] = []

    def visit(node: ast.AST, file_scope: bool, types_only: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                stem = ".".join(base + ([child.module] if child.module else []))
                names = [f"{stem}.{alias.name}" for alias in child.names]
            else:
                in_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                guard = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                visit(child, file_scope and not in_function, types_only or guard)
                continue
            found.extend(Import(file, child.lineno, name, file_scope and not types_only, types_only) for name in names)

    visit(ast.parse(file.read_text(encoding="utf-8"), str(file)), True, False)
    return found


FILES = sorted(SHIPPED_ROOT.rglob("*.py"))
IMPORTS = {file: imports_of(file) for file in FILES}


def part_of_file(file: Path) -> str | None:
    pieces = file.relative_to(SHIPPED_ROOT).parts
    if pieces[0] != "MultiverSegLib":
        return "ui"  # the module file and what stands beside it belong to the face
    return pieces[1] if len(pieces) > 2 else None


def every_import(parts: tuple[str, ...] = PARTS) -> list[tuple[str, Import]]:
    return [(part_of_file(file), entry) for file in FILES for entry in IMPORTS[file] if part_of_file(file) in parts]


def module_of(file: Path) -> str:
    pieces = file.relative_to(SHIPPED_ROOT).with_suffix("").parts
    return ".".join(pieces[:-1] if pieces[-1] == "__init__" else pieces)


MODULES = {module_of(file): file for file in FILES}


def module_meant(dotted: str) -> str | None:
    """The module of ours that an import of ``dotted`` loads: itself, or the one that a name is taken from."""
    return next((name for name in (dotted, dotted.rpartition(".")[0]) if name in MODULES), None)


def test_the_tree_was_found():
    assert {part_of_file(file) for file in FILES} >= set(PARTS)
    assert len(every_import()) > 20


def test_rooms_import_only_along_the_arrows():
    wrong = []
    for file in FILES:
        here = room_of(module_of(file)) or part_of_file(file)
        for entry in IMPORTS[file]:
            there = room_of(entry.name)
            if here is not None and there not in (None, here) and there not in ARROWS[here]:
                wrong.append(f"{entry} ({here} -> {there})")
    assert not wrong, "\n".join(wrong)


def test_every_file_has_a_room():
    """Nothing lies loose in a part that has rooms, but the composer and what Slicer or a test starts by name."""
    loose = [m for m in MODULES if room_of(m) == "cohort" and m != "MultiverSegLib.cohort"]
    loose += [
        m
        for m in MODULES
        if room_of(m) == "ui" and m.count(".") == 2 and m.split(".")[2] not in ("app", "selftest", "shared", "effect", "panel", "cohort")
    ]
    assert not loose, "\n".join(loose)


def test_no_circles():
    """Neither between rooms nor inside them; imports inside functions count, those for annotations only do not."""
    graph = {
        name: {module_meant(entry.name) for entry in IMPORTS[file] if not entry.for_types_only} - {None, name}
        for name, file in MODULES.items()
    }
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for following in sorted(graph[name]):
                walk(following, [*way, name])
            done.add(name)

    for name in sorted(graph):
        walk(name, [])


def test_the_store_needs_neither_mrml_nor_torch():
    store = [e for m, f in MODULES.items() if room_of(m) == "cohort.store" for e in IMPORTS[f]]
    assert store
    assert not [str(e) for e in store if e.top in FROM_SLICER | {"torch"} or part_of(e.name) == "mrml"]


def test_our_own_imports_name_files_that_exist():
    missing = []
    for _, entry in every_import():
        if entry.top != "MultiverSegLib":
            continue
        path = SHIPPED_ROOT.joinpath(*entry.name.split("."))
        candidates = [path.with_suffix(".py"), path / "__init__.py", path.parent.with_suffix(".py"), path.parent / "__init__.py"]
        if not any(c.is_file() for c in candidates):
            missing.append(str(entry))
    assert not missing, "\n".join(missing)


def names_in(file: Path) -> set[str]:
    """What a module defines or imports at its top, also inside ``if`` and ``try``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


def test_our_own_imports_name_things_that_exist():
    """Also those inside functions, which fail only when they are run."""
    known: dict[str, set[str]] = {}
    missing = []
    for _, entry in every_import():
        module, _, name = entry.name.rpartition(".")
        if entry.name in MODULES or module not in MODULES:
            continue
        if name not in known.setdefault(module, names_in(MODULES[module])):
            missing.append(str(entry))
    assert not missing, "\n".join(missing)


def test_what_slicer_imports_at_start_up_is_light():
    """torch and its company load inside functions; only the networks, which nothing imports at file scope, may name torch at the top."""
    networks = LIB / "core" / "networks"
    wrong = []
    for _, entry in every_import(SHIPPED):
        if not entry.at_file_scope or networks in entry.file.parents:
            continue
        if entry.top in SLOW_TO_IMPORT or entry.name.startswith("MultiverSegLib.core.networks"):
            wrong.append(str(entry))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", SHIPPED)
def test_the_shipped_part_needs_only_what_slicer_brings(part):
    wrong = []
    for _, entry in every_import((part,)):
        known = entry.top in sys.stdlib_module_names or entry.top == "MultiverSegLib" or entry.top in ALLOWED[part]
        optional = entry.top in OPTIONAL.get(part, ()) and not entry.at_file_scope
        if not (known or optional or entry.for_types_only):
            wrong.append(str(entry))
    assert not wrong, "\n".join(wrong)


def test_the_package_never_takes_the_published_packages_name():
    wrong = [str(e) for _, e in every_import() if e.top in ("multiverseg", "universeg", "scribbleprompt")]
    assert not wrong, "\n".join(wrong)


def test_a_relative_import_is_resolved():
    """The walker itself: dots count from the file's package."""
    names = {e.name for e in IMPORTS[LIB / "core" / "prompts" / "point.py"]}
    assert {"MultiverSegLib.core.drawing.set_pixels", "MultiverSegLib.core.prompts.prompt.Prompt"} <= names
