"""Which of Slicer's markups is which prompt, both ways: points, ROIs, open and closed curves, all in world coordinates (parent transforms included).

Sign: a point is positive unless its label or description begins with ``neg`` or ``-`` (any case). A curve or line is negative if that is so for its
node's name or for the label or description of one of its points. ROIs are (positive) boxes; closed curves are filled scribbles.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import PromptError
from ..core.prompts import Box, Point, Prompt, Prompts, Scribble
from .volumes import matrix_to_numpy, numpy_to_matrix

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsNode

# Markups files don't keep a curve's type and know no width: the first point's description has both.
_STRAIGHT = "straight"
_WIDTH = re.compile(r"width=([0-9.eE+-]+) mm")


@dataclass(frozen=True)
class PromptMarkup:
    """How one kind of prompt is read from markups and written as such.

    Attributes:
        classes: classes of the nodes that are read as it.
        read: the prompts of such a node.
        write: adds nodes for prompts of this kind that follow each other; gets them, the name of the whole, and what makes a node of a class.
    """

    classes: tuple[str, ...]
    read: Callable[[vtkMRMLMarkupsNode], Sequence[Prompt]]
    write: Callable[[Sequence[Any], str, Callable[[str, str], Any]], None]


def prompts_from_markups(node: vtkMRMLMarkupsNode) -> Prompts:
    """Prompts of one markups node, in world RAS. Points that are not placed yet are left out.

    Raises:
        PromptError: a kind of markup that is no prompt.
    """
    for markup in MARKUPS.values():
        if any(node.IsA(name) for name in markup.classes):
            return Prompts(tuple(markup.read(node)))
    raise PromptError(f"The markup {node.GetName()} is no prompt: use points, ROIs, lines or curves.")


def prompts_to_markups(prompts: Prompts, name: str = "prompts") -> list[vtkMRMLMarkupsNode]:
    """Add markups nodes for ``prompts`` to the scene: one list for each run of points, one node for each box and scribble."""
    import slicer

    nodes: list[vtkMRMLMarkupsNode] = []

    def new(class_name: str, title: str) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass(class_name, title)
        node.CreateDefaultDisplayNodes()
        nodes.append(node)
        return node

    for kind, run in itertools.groupby(prompts, type):
        MARKUPS[kind].write(list(run), name, new)
    return nodes


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


def _read_points(node: vtkMRMLMarkupsNode) -> tuple[Prompt, ...]:
    return tuple(Point(_position(node, n), not _negative(*_texts(node, n))) for n in _placed(node))


def _write_points(points: Sequence[Point], name: str, new: Callable[[str, str], Any]) -> None:
    node = new("vtkMRMLMarkupsFiducialNode", f"{name} points")
    for point in points:
        number = node.AddControlPointWorld(point.position)
        node.SetNthControlPointLabel(number, f"{'pos' if point.positive else 'neg'}-{number + 1}")
        node.SetNthControlPointDescription(number, "positive" if point.positive else "negative")


def _read_scribble(node: vtkMRMLMarkupsNode) -> tuple[Prompt, ...]:
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


def _read_box(node: vtkMRMLMarkupsNode) -> tuple[Prompt, ...]:
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


def _write_boxes(boxes: Sequence[Box], name: str, new: Callable[[str, str], Any]) -> None:
    for box in boxes:
        node = new("vtkMRMLMarkupsROINode", f"{name} box")
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = np.asarray(box.axes).T, box.center
        node.SetAndObserveObjectToNodeMatrix(numpy_to_matrix(matrix))
        node.SetSize(*box.size)
        node.SetCenter(*box.center)


def _write_scribbles(scribbles: Sequence[Scribble], name: str, new: Callable[[str, str], Any]) -> None:
    for scribble in scribbles:
        class_name = "vtkMRMLMarkupsClosedCurveNode" if scribble.filled else "vtkMRMLMarkupsCurveNode"
        node = new(class_name, f"{'' if scribble.positive else 'negative '}{name} scribble")
        node.SetCurveTypeToLinear()
        sign = "positive" if scribble.positive else "negative"
        for number, position in enumerate(scribble.points):
            node.AddControlPointWorld(position)
            node.SetNthControlPointLabel(number, f"{sign[:3]}-{number + 1}")
        width = f", width={scribble.width!r} mm" if scribble.width else ""
        node.SetNthControlPointDescription(0, f"{sign}, {_STRAIGHT}{width}")


#: Of every kind of prompt; in the order in which a node is compared with them.
MARKUPS: dict[type[Prompt], PromptMarkup] = {
    Box: PromptMarkup(("vtkMRMLMarkupsROINode",), _read_box, _write_boxes),
    Point: PromptMarkup(("vtkMRMLMarkupsFiducialNode",), _read_points, _write_points),
    Scribble: PromptMarkup(("vtkMRMLMarkupsCurveNode", "vtkMRMLMarkupsLineNode"), _read_scribble, _write_scribbles),
}
