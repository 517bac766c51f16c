"""The reference names every control that a person sees in the panel and the effect."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "Docs" / "reference.md").read_text(encoding="utf-8")
SEEN = ("QPushButton", "QToolButton", "QCheckBox", "ctkCollapsibleButton", "QLabel")
#: Functions that make a control, and which of their arguments is written on it.
MAKERS = {"button": 0, "QCheckBox": 0}


def written(text: str) -> str:
    """A control's text as the reference has it."""
    return text.strip().rstrip(":").rstrip("…").strip()


def of_the_panel() -> set[str]:
    found = set()
    for path in (ROOT / "Resources" / "UI").glob("*.ui"):
        for widget in ElementTree.parse(path).getroot().iter("widget"):
            texts = [p.findtext("string") or "" for p in widget.findall("property") if p.get("name") == "text"]
            label = widget.get("class") == "QLabel"
            found |= {written(t) for t in texts if widget.get("class") in SEEN and (not label or t.endswith(":"))}
    return found


def made_in_python() -> set[str]:
    """Buttons and check boxes of the effect and the section *Cohort*, and the labels before the effect's options."""
    found = set()
    for path in (ROOT / "MultiverSegSlicer" / "MultiverSegLib" / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in MAKERS and node.args:
                found |= {written(text) for text in texts_in(node.args[0])}
            elif isinstance(node, ast.Tuple) and node.elts:
                found |= {written(text) for text in texts_in(node.elts[0]) if text.endswith(":")}
    return found


def texts_in(node: ast.AST) -> list[str]:
    """What ``_("...")`` translates."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_" and isinstance(node.args[0], ast.Constant):
        return [node.args[0].value]
    return []


def test_every_control_is_in_the_reference():
    controls = {text for text in of_the_panel() | made_in_python() if re.search(r"\w", text)}
    assert len(controls) > 40
    missing = sorted(text for text in controls if not re.search(rf"(?<!\w){re.escape(text)}(?!\w)", REFERENCE, re.IGNORECASE))
    assert missing == []


def test_the_documents_agree_on_slicer_and_the_modules_name():
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "Docs").glob("*.md"))}
    versions = {(name, version) for name, text in texts.items() for version in re.findall(r"Slicer (5\.\d+)", text)}
    assert {version for _, version in versions} == {"5.12"}, versions
    title = re.search(r'parent\.title = _\("([^"]+)"\)', (ROOT / "MultiverSegSlicer" / "MultiverSegSlicer.py").read_text(encoding="utf-8"))[
        1
    ]
    named = {(name, module) for name, text in texts.items() for module in re.findall(r"[Mm]odule \*(?:Segmentation > )?(\w+)\*", text)}
    ours = {(name, module) for name, module in named if module.startswith("MultiverSeg")}
    assert ours and {module for _, module in ours} == {title}, ours
