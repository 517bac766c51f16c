"""Markups to prompts and back: points, ROIs, open and closed curves, all in world coordinates (parent transforms included).

Sign: a point is positive unless its label or description begins with ``neg`` or ``-`` (any case). A curve or line is negative if that is so for its
node's name or for the label or description of one of its points. ROIs are (positive) boxes; closed curves are filled scribbles.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import PromptError
from ..core.files import write_text
from ..core.prompts import Box, Point, Prompt, Prompts, Scribble
from . import paths
from .markups_files import check_fcsv, checked_json
from .volumes import matrix_to_numpy, numpy_to_matrix, remove_node

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsNode

# Markups files don't keep a curve's type and know no width: the first point's description has both.
_STRAIGHT = "straight"
_WIDTH = re.compile(r"width=([0-9.eE+-]+) mm")


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


def prompts_from_markups(node: vtkMRMLMarkupsNode) -> Prompts:
    """Prompts of one markups node, in world RAS. Points that are not placed yet are left out.

    Raises:
        PromptError: a kind of markup that is no prompt.
    """
    if node.IsA("vtkMRMLMarkupsROINode"):
        return Prompts(_box(node))
    if node.IsA("vtkMRMLMarkupsFiducialNode"):
        return Prompts(tuple(Point(_position(node, n), not _negative(*_texts(node, n))) for n in _placed(node)))
    if node.IsA("vtkMRMLMarkupsCurveNode") or node.IsA("vtkMRMLMarkupsLineNode"):
        return Prompts(_scribble(node))
    raise PromptError(f"The markup {node.GetName()} is no prompt: use points, ROIs, lines or curves.")


def _placed(node: vtkMRMLMarkupsNode) -> list[int]:
    defined = node.PositionDefined
    return [n for n in range(node.GetNumberOfControlPoints()) if node.GetNthControlPointPositionStatus(n) == defined]


def _position(node: vtkMRMLMarkupsNode, index: int) -> tuple[float, float, float]:
    position = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, position)
    _check_finite(node, position)
    right, anterior, superior = position
    return right, anterior, superior


def _check_finite(node: vtkMRMLMarkupsNode, values: Any) -> None:
    if not np.isfinite(values).all():
        raise PromptError(f"The markup {node.GetName()} lies nowhere: its position or the transform above it is not a finite number.")


def _texts(node: vtkMRMLMarkupsNode, index: int) -> tuple[str, str]:
    return node.GetNthControlPointLabel(index) or "", node.GetNthControlPointDescription(index) or ""


def _negative(*texts: str) -> bool:
    return any(text.strip().lower().startswith(("neg", "-")) for text in texts)


def _scribble(node: vtkMRMLMarkupsNode) -> tuple[Prompt, ...]:
    placed = _placed(node)
    if not placed:
        return ()
    texts = [text for n in placed for text in _texts(node, n)]
    points = [_position(node, n) for n in placed]
    straight = any(_STRAIGHT in text for text in texts) or not node.IsA("vtkMRMLMarkupsCurveNode")
    straight = straight or node.GetCurveTypeAsString(node.GetCurveType()) == "linear"
    if not straight:
        curve = node.GetCurvePointsWorld()
        if curve is not None and curve.GetNumberOfPoints():
            points = [curve.GetPoint(n) for n in range(curve.GetNumberOfPoints())]
            _check_finite(node, points)
    widths = [float(found.group(1)) for found in map(_WIDTH.search, texts) if found]
    filled = bool(node.IsA("vtkMRMLMarkupsClosedCurveNode"))
    return (Scribble(tuple(points), not _negative(node.GetName() or "", *texts), max(widths, default=0.0), filled),)


def _box(node: vtkMRMLMarkupsNode) -> tuple[Prompt, ...]:
    if not any(node.GetSize()):  # not drawn yet
        return ()
    to_world = matrix_to_numpy(node.GetObjectToWorldMatrix())
    half = np.asarray(node.GetSize()) / 2
    _check_finite(node, [*to_world.ravel(), *half])
    # the nearest orthonormal axes: a transform above may scale and shear
    left, _, right = np.linalg.svd(to_world[:3, :3])
    axes = (left @ right).T
    reach = np.abs(axes @ to_world[:3, :3]) @ half
    return (Box(tuple(to_world[:3, 3]), tuple(2 * reach), tuple(map(tuple, axes))),)


def prompts_to_markups(prompts: Prompts, name: str = "prompts") -> list[vtkMRMLMarkupsNode]:
    """Add markups nodes for ``prompts`` to the scene: one list for each run of points, one node for each box and scribble."""
    nodes: list[Any] = []
    points: Any = None
    for prompt in prompts:
        if isinstance(prompt, Point):
            if points is None:
                points = _new_node("Fiducial", f"{name} points", nodes)
            number = points.AddControlPointWorld(prompt.position)
            points.SetNthControlPointLabel(number, f"{'pos' if prompt.positive else 'neg'}-{number + 1}")
            points.SetNthControlPointDescription(number, "positive" if prompt.positive else "negative")
            continue
        points = None
        if isinstance(prompt, Box):
            _fill_roi(_new_node("ROI", f"{name} box", nodes), prompt)
        else:
            kind = "ClosedCurve" if prompt.filled else "Curve"
            _fill_curve(_new_node(kind, f"{'' if prompt.positive else 'negative '}{name} scribble", nodes), prompt)
    return nodes


def _new_node(kind: str, name: str, nodes: list[vtkMRMLMarkupsNode]) -> Any:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass(f"vtkMRMLMarkups{kind}Node", name)
    node.CreateDefaultDisplayNodes()
    nodes.append(node)
    return node


def _fill_roi(node: vtkMRMLMarkupsNode, box: Box) -> None:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.asarray(box.axes).T, box.center
    node.SetAndObserveObjectToNodeMatrix(numpy_to_matrix(matrix))
    node.SetSize(*box.size)
    node.SetCenter(*box.center)


def _fill_curve(node: vtkMRMLMarkupsNode, scribble: Scribble) -> None:
    node.SetCurveTypeToLinear()
    sign = "positive" if scribble.positive else "negative"
    for number, position in enumerate(scribble.points):
        node.AddControlPointWorld(position)
        node.SetNthControlPointLabel(number, f"{sign[:3]}-{number + 1}")
    width = f", width={scribble.width!r} mm" if scribble.width else ""
    node.SetNthControlPointDescription(0, f"{sign}, {_STRAIGHT}{width}")


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
