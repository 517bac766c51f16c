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

ARROWS = {
    "core": set(),
    "mrml": {"core"},
    "cohort": {"mrml", "core"},
    "ui": {"cohort", "mrml", "core"},
    "training": {"core", "evaluation"},
    "evaluation": {"core"},
    "cli": {"core", "mrml", "cohort", "training", "evaluation"},
}
SHIPPED = ("core", "mrml", "cohort", "ui")
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
    "cohort": {"numpy", "SimpleITK", "scipy", "pydicom"} | FROM_SLICER,
    "ui": {"numpy"} | FROM_SLICER | QT | SLICER_MODULES,
}
# Not in Slicer: only inside functions that say so when it is missing.
OPTIONAL = {"core": {"scipy", "requests", "psutil", "PIL"}, "cohort": {"matplotlib", "jinja2", "highdicom", "ray"}, "ui": {"packaging"}}


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
    return pieces[1] if pieces[0] == "MultiverSegLib" and len(pieces) > 1 and pieces[1] in ARROWS else None


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


def every_import(parts: tuple[str, ...] = tuple(ARROWS)) -> list[tuple[str, Import]]:
    return [(part_of_file(file), entry) for file in FILES for entry in IMPORTS[file] if part_of_file(file) in parts]


def test_the_tree_was_found():
    assert {part_of_file(file) for file in FILES} >= {"core", "mrml", "cohort", "cli"}
    assert len(every_import()) > 20


def test_parts_import_only_along_the_arrows():
    wrong = [str(e) for part, e in every_import() if part_of(e.name) not in (None, part) and part_of(e.name) not in ARROWS[part]]
    assert not wrong, "\n".join(wrong)


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
    names = {e.name for e in IMPORTS[LIB / "core" / "prompts.py"]}
    assert "MultiverSegLib.core.errors.PromptError" in names
