"""Standard codes (SNOMED CT) of structures, from the terminologies that Slicer has loaded (main thread), and those in an entry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slicer import vtkSlicerTerminologiesModuleLogic, vtkSlicerTerminologyCategory, vtkSlicerTerminologyType

#: The list that Slicer's own effects begin with; it is searched first.
_FIRST = "Segmentation category and type - 3D Slicer General Anatomy list"
_SIDES = {"left": "Left", "right": "Right"}


def entry_of(name: str) -> str:
    """The terminology entry of the structure of that name, as Slicer serializes it; empty where no list knows just that name.

    Names are the same if their words are ("left_kidney", "Left kidney"); "left" and "right" may be a modifier of what they stand before.
    Nothing else is guessed: a name that is only similar gets no code.

    Returns:
        What ``vtkSegment.SetTerminology`` takes. Without Slicer's lists (outside of the application) it is always empty.
    """
    logic = _logic()
    words = _words(name)
    if logic is None or not words:
        return ""
    for terminology in _terminologies(logic):
        for wanted, modifier in _readings(words):
            for category, kind in _types(logic, terminology):
                if wanted in (_words(kind.GetCodeMeaning() or ""), _words(kind.GetSlicerLabel() or "")):
                    entry = _serialized(logic, terminology, category, kind, modifier)
                    if entry:
                        return entry
    return ""


def codes_of(entry: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """(value, scheme, meaning) of category and type in a terminology entry as Slicer serializes it; Tissue where it says nothing."""
    tissue = ("85756007", "SCT", "Tissue")
    parts = (entry or "").split("~")
    codes = []
    for part in parts[1:3]:
        fields = part.split("^")
        codes.append((fields[1], fields[0], fields[2]) if len(fields) == 3 and all(fields) else tissue)
    return (codes[0], codes[1]) if len(codes) == 2 else (tissue, tissue)


def _logic() -> vtkSlicerTerminologiesModuleLogic | None:
    import slicer

    module = getattr(slicer.modules, "terminologies", None)
    return module.logic() if module is not None else None


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", name.casefold()))


def _readings(words: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """(words of the type, its modifier or ""): the name as it is, then without a side in front of it."""
    side = _SIDES.get(words[0], "")
    return [(words, ""), *([(words[1:], side)] if side and len(words) > 1 else [])]


def _terminologies(logic: vtkSlicerTerminologiesModuleLogic) -> list[str]:
    import vtk

    names = vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(names)
    found = [names.GetValue(n) for n in range(names.GetNumberOfValues())]
    return sorted(found, key=lambda terminology: terminology != _FIRST)


def _types(
    logic: vtkSlicerTerminologiesModuleLogic, terminology: str
) -> Iterator[tuple[vtkSlicerTerminologyCategory, vtkSlicerTerminologyType]]:
    import slicer

    for c in range(logic.GetNumberOfCategoriesInTerminology(terminology)):
        category = slicer.vtkSlicerTerminologyCategory()
        logic.GetNthCategoryInTerminology(terminology, c, category)
        for t in range(logic.GetNumberOfTypesInTerminologyCategory(terminology, category)):
            kind = slicer.vtkSlicerTerminologyType()
            logic.GetNthTypeInTerminologyCategory(terminology, category, t, kind)
            yield category, kind


def _serialized(
    logic: vtkSlicerTerminologiesModuleLogic,
    terminology: str,
    category: vtkSlicerTerminologyCategory,
    kind: vtkSlicerTerminologyType,
    modifier: str,
) -> str:
    """The entry; empty where the type does not have the modifier."""
    import slicer

    entry = slicer.vtkSlicerTerminologyEntry()
    entry.SetTerminologyContextName(terminology)
    entry.GetCategoryObject().Copy(category)
    entry.GetTypeObject().Copy(kind)
    if modifier:
        count = logic.GetNumberOfTypeModifiersInTerminologyType(terminology, category, kind) if kind.GetHasModifiers() else 0
        for n in range(count):
            found = slicer.vtkSlicerTerminologyType()
            logic.GetNthTypeModifierInTerminologyType(terminology, category, kind, n, found)
            if found.GetCodeMeaning() == modifier:
                entry.GetTypeModifierObject().Copy(found)
                break
        else:
            return ""
    return str(logic.SerializeTerminologyEntry(entry))
