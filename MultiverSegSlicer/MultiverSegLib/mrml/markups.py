"""Files of prompts: markups that Slicer opens. Which markup is which prompt, ``prompt_markups`` says."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import PromptError
from ..core.files import write_text
from ..core.prompts import Prompts
from . import paths
from .markups_files import check_fcsv, checked_json
from .prompt_markups import prompts_from_markups, prompts_to_markups
from .volumes import remove_node

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsNode


def load_prompts(path: str | Path) -> Prompts:
    """Prompts of a .mrk.json (or .fcsv) file; the scene is left as it was.

    Raises:
        PromptError: missing, malformed, or a kind of markup that is no prompt.
    """
    nodes = load_markups(path)
    try:
        return Prompts().extended(prompt for node in nodes for prompt in prompts_from_markups(node))
    finally:
        for node in nodes:
            remove_node(node)


def load_markups(path: str | Path) -> list[vtkMRMLMarkupsNode]:
    """Markups nodes of a file, added to the scene.

    Raises:
        PromptError: missing or malformed.
    """
    import slicer
    import slicer.util

    path = paths.existing_file(path, PromptError, "prompts")
    before = set(slicer.util.getNodesByClass("vtkMRMLMarkupsNode"))
    load = slicer.modules.markups.logic().LoadMarkups  # loads all markups of the file, but tells the first one only
    if path.suffix.lower() == ".json":
        with tempfile.TemporaryDirectory() as folder:
            checked = Path(folder, "prompts.mrk.json")
            checked.write_text(checked_json(path), encoding="utf-8")
            load(str(checked), None, None)
    elif path.suffix.lower() == ".fcsv":
        check_fcsv(path)
        load(str(path), None, None)
    else:
        raise PromptError(f"{path} is no markups file: its name must end with .mrk.json.")
    nodes = [node for node in slicer.util.getNodesByClass("vtkMRMLMarkupsNode") if node not in before]
    if not nodes:
        raise PromptError(f"{path} can't be read as markups: it is damaged or of an unknown format.")
    return nodes


def save_prompts(prompts: Prompts, path: str | Path) -> None:
    """Write prompts to one .mrk.json that Slicer opens and ``load_prompts`` reads back. The scene is left as it was.

    Raises:
        PromptError: no prompts, wrong ending, or the file can't be written.
    """
    if not str(path).lower().endswith(".mrk.json"):
        raise PromptError(f"{path} can't be written: the name of a prompts file must end with .mrk.json.")
    path = paths.writable(path, PromptError)
    if not len(prompts):
        raise PromptError(f"There are no prompts to write to {path}.")
    nodes = prompts_to_markups(prompts)
    try:
        data = _as_json(nodes)
    finally:
        for node in nodes:
            remove_node(node)
    try:
        write_text(path, json.dumps(data, indent=1))
    except OSError as error:
        raise PromptError(f"{path} can't be written: {error.strerror or error}.") from error


def _as_json(nodes: list[vtkMRMLMarkupsNode]) -> dict[str, Any]:
    """One document of all nodes; MRML's own writer makes one file for each."""
    merged: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, node in enumerate(nodes):
            file = Path(folder, f"{number}.mrk.json")
            node.AddDefaultStorageNode(str(file))
            storage = node.GetStorageNode()
            storage.SetFileName(str(file))
            if not storage.WriteData(node):
                raise PromptError(f"The markup {node.GetName()} can't be written.")
            data = json.loads(file.read_text(encoding="utf-8"))
            merged = merged or {**data, "markups": []}
            merged["markups"] += data["markups"]
    return merged
