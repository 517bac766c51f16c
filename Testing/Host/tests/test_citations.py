"""Every name that the host offers says where it is defined, and offers no more than it says."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = [
    ROOT / "MultiverSegSlicer" / "MultiverSegSlicer.py",
    *sorted((ROOT / "MultiverSegSlicer" / "MultiverSegLib" / "ui").rglob("*.py")),
]
REPOSITORIES = {
    "Slicer/Slicer": r"(Applications|Base|Libs|Modules)/",
    "commontk/CTK": r"Libs/",
    "commontk/PythonQt": r"src/",
    "fepegar/SlicerPyTorch": r"PyTorchUtils/",
}

MODULES = (
    "slicer.i18n",
    "slicer.packaging",
    "slicer.ScriptedLoadableModule",
    "slicer.parameterNodeWrapper",
    "SegmentEditorEffects",
    "SampleData",
)


def test_every_citation_names_a_repository_and_a_source_file(slicer_host):
    from Host.citations import all_names

    table = all_names()
    assert len(table) > 500
    for name, where in table.items():
        repository, file = re.fullmatch(r"(\S+): (\S+)(?: \(.*\))?", where).groups()
        assert re.match(REPOSITORIES[repository], file), f"{name}: {where}"
        assert file.endswith((".h", ".cxx", ".py")), f"{name}: {where}"


def test_a_class_lives_in_the_header_of_its_name(slicer_host):
    from Host.citations import host_classes

    for name, cls in host_classes().items():
        if not name.startswith("_Decorated"):
            assert Path(cls.cpp.header).stem == name


def test_declared_properties_are_the_ones_there_are(slicer_host):
    """Both ways: none is declared that does not work, none works that is not declared."""
    from PySide6 import QtCore

    from Host.citations import host_classes

    for name, cls in host_classes().items():
        declared = {prop for base in cls.__mro__ for prop in getattr(base.__dict__.get("cpp"), "properties", ())}
        own = {
            n
            for base in cls.__mro__
            if not base.__module__.startswith("PySide6")
            for n, v in vars(base).items()
            if isinstance(v, QtCore.Property)
        }
        abstract = name in (
            "qMRMLLayoutManager",
            "qSlicerCoreApplication",
            "qSlicerAbstractCoreModule",
            "qSlicerAbstractModuleWidget",
            "_DecoratedModule",
        )
        assert own == declared or (abstract and own <= declared), name


def test_declared_methods_signals_and_enums_exist(slicer_host):
    from PySide6 import QtCore

    from Host.citations import host_classes

    classes = host_classes()
    for name, cls in classes.items():
        concrete = [c for c in classes.values() if issubclass(c, cls)]
        for member in cls.cpp.methods:
            assert any(callable(getattr(c, member, None)) for c in concrete), f"{name}.{member}"
        for member in cls.cpp.enums:
            assert isinstance(getattr(cls, member), int), f"{name}.{member}"
        for signature, attribute in cls.cpp.signals.items():
            assert isinstance(getattr(cls, attribute, None), QtCore.Signal), f"{name}.{signature}"


def test_every_name_of_the_hosts_python_modules_is_cited(slicer_host):
    import importlib

    from Host.citations import CITATIONS

    for name in MODULES:
        public = [n for n in vars(importlib.import_module(name)) if not n.startswith("_")]
        assert public
        assert [n for n in public if f"{name}.{n}" not in CITATIONS] == []


# ---- what the extension uses ------------------------------------------------------------------------------------------------------
def dotted_names(path: Path) -> set[str]:
    """Names like ``slicer.app.layoutManager`` that a file reads from qt, ctk and slicer."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name) and node.id in ("qt", "ctk", "slicer"):
            found.add(".".join([node.id, *reversed(parts)]))
    return found


def exists(name: str) -> bool:
    """Whether Slicer has the name, as far as the host, PySide6 and slicer-core know."""
    import slicer
    from PySide6 import QtWidgets

    from Host.citations import all_names
    from Host.pythonqt import class_of, visible

    module, first, *rest = name.split(".")
    if module in ("qt", "ctk"):
        cls = getattr(__import__(module), first)
        return not rest or hasattr(cls, rest[0])
    if first == "app" and rest:
        from Host.application import qSlicerApplication

        cited = any(f"{owner}.{rest[0]}" in all_names() for owner in ("qSlicerApplication", "qSlicerCoreApplication", "_Decorated"))
        return cited or visible(QtWidgets.QApplication, rest[0]) or hasattr(class_of(qSlicerApplication), rest[0])
    if first == "modules":
        return True  # other modules: what they offer is checked when a test calls them
    if first == "util" and rest:
        return hasattr(slicer.util, rest[0])
    return hasattr(slicer, first)


def unknown(names) -> list[str]:
    wrong = []
    for name in names:
        try:
            found = exists(name)
        except AttributeError:
            found = False
        if not found:
            wrong.append(name)
    return wrong


def test_the_extension_uses_only_names_that_exist(slicer_host):
    assert {path.name: wrong for path in SHIPPED if (wrong := unknown(sorted(dotted_names(path))))} == {}


def test_a_wrong_name_would_be_found(slicer_host):
    wrong = "qt.QLabell qt.Qt.LeftButtonn ctk.ctkNothing slicer.qMRMLNothing slicer.util.nothing slicer.vtkMRMLNothing slicer.app.nothing"
    assert unknown(wrong.split()) == wrong.split()
