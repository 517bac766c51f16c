"""Draws the prompts of one segment as markups: green and red points and strokes, yellow boxes, each visible on its slice.

The nodes are only a picture of what `prompt_tags` keeps: hidden from editors, not saved with the scene, locked against dragging.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer

from ...core import prompts as kinds
from ...core.prompts import Prompt, Prompts

ATTRIBUTE = "MultiverSegPrompt"
POSITIVE, NEGATIVE, BOX = (0.18, 0.80, 0.44), (0.91, 0.30, 0.24), (0.95, 0.77, 0.06)
_COLOURS = {kinds.BOX: BOX, kinds.POSITIVE: POSITIVE, kinds.NEGATIVE: NEGATIVE}
#: Width of strokes and of box outlines, in percent of the view's size; points are drawn larger.
LINE_SIZE, POINT_SIZE = 0.5, 2.0
#: Glyph size of a line's control points, which only the line should be seen of.
_INVISIBLE = 0.05
_POINTS = "vtkMRMLMarkupsFiducialNode"


class PromptDisplay:
    """The markups of the prompts shown now. ``scene``: a vtkMRMLScene."""

    def __init__(self, scene) -> None:
        self.scene = scene
        self._points: dict[int, str] = {}  # by channel
        self._lines: dict[Prompt, str] = {}
        self._shown: Prompts | None = None
        self._preview: str = ""
        self._kept = False

    def preview(self, points: list, positive: bool, closed: bool) -> None:
        """Draw the gesture in progress: a stroke that grows by the new ``points``, or the corners of a box."""
        if self._kept:
            self.end_preview()
        node = self.scene.GetNodeByID(self._preview)
        if node is None:
            colour = BOX if closed else POSITIVE if positive else NEGATIVE
            node = self._add("vtkMRMLMarkupsClosedCurveNode" if closed else "vtkMRMLMarkupsCurveNode", "gesture", colour)
            node.SetCurveTypeToLinear()
            self._preview = node.GetID()
        was = node.StartModify()
        for index in range(node.GetNumberOfControlPoints() if closed else 0):
            node.SetNthControlPointPositionWorld(index, list(points[index]))
        for point in points[node.GetNumberOfControlPoints() :]:
            node.AddControlPointWorld(list(point))
        node.EndModify(was)

    def end_preview(self) -> None:
        """Take the gesture's drawing away."""
        self._remove(self._preview)
        self._preview, self._kept = "", False

    def keep_preview(self) -> None:
        """The gesture became a prompt: its drawing stays until ``show`` draws that."""
        self._kept = True

    def show(self, prompts: Prompts) -> None:
        """Make the markups equal to the prompts; nodes of prompts that stay are kept."""
        if self._kept:
            self.end_preview()
        if prompts == self._shown and self._alive():
            return
        outlines = {prompt: prompt.outline() for prompt in prompts}
        wanted = [p for p, outline in outlines.items() if len(outline.points) > 1]
        for prompt in [p for p in self._lines if p not in wanted]:
            self._remove(self._lines.pop(prompt))
        for prompt in wanted:
            if prompt not in self._lines or self.scene.GetNodeByID(self._lines[prompt]) is None:
                self._lines[prompt] = self._add_line(prompt)
        for channel in _COLOURS:
            self._show_points(channel, [o.points[0] for p, o in outlines.items() if p.channel == channel and len(o.points) == 1])
        self._shown = prompts

    def clear(self) -> None:
        """Remove all markups of this display."""
        self.end_preview()
        for node_id in [*self._lines.values(), *self._points.values()]:
            self._remove(node_id)
        self._lines.clear()
        self._points.clear()
        self._shown = None

    def _alive(self) -> bool:
        return all(self.scene.GetNodeByID(i) is not None for i in [*self._points.values(), *self._lines.values()])

    def _show_points(self, channel: int, positions: list) -> None:
        if not positions:
            self._remove(self._points.pop(channel, ""))
            return
        node = self.scene.GetNodeByID(self._points.get(channel, ""))
        if node is None:
            node = self._add(_POINTS, "negative points" if channel == kinds.NEGATIVE else "positive points", _COLOURS[channel])
            self._points[channel] = node.GetID()
        shown = [tuple(node.GetNthControlPointPositionWorld(i)) for i in range(node.GetNumberOfControlPoints())]
        if shown == positions:
            return
        was = node.StartModify()
        if positions[: len(shown)] != shown:
            node.RemoveAllControlPoints()
            shown = []
        for position in positions[len(shown) :]:  # each costs the views some milliseconds
            node.AddControlPointWorld(list(position))
        node.EndModify(was)

    def _add_line(self, prompt: Prompt) -> str:
        outline = prompt.outline()
        kind = "vtkMRMLMarkupsClosedCurveNode" if outline.closed else "vtkMRMLMarkupsCurveNode"
        node = self._add(kind, prompt.kind, _COLOURS[prompt.channel])
        node.SetCurveTypeToLinear()
        was = node.StartModify()
        for point in outline.points:
            node.AddControlPointWorld(list(point))
        node.EndModify(was)
        return node.GetID()

    def _add(self, class_name: str, what: str, colour):
        node = self.scene.CreateNodeByClass(class_name)
        node.UnRegister(None)
        node.SetName(f"MultiverSeg {what}")
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node.SetSelectable(False)
        node.SetLocked(True)
        node.SetAttribute(ATTRIBUTE, "1")
        with _place_node_kept(self.scene):
            node = self.scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetSelectedColor(*colour)
        display.SetColor(*colour)
        display.SetActiveColor(*colour)
        display.SetVisibility3D(False)
        display.SetPropertiesLabelVisibility(False)
        display.SetPointLabelsVisibility(False)
        display.SetSnapMode(slicer.vtkMRMLMarkupsDisplayNode.SnapModeUnconstrained)
        if class_name == _POINTS:
            display.SetGlyphScale(POINT_SIZE)
        else:
            display.SetGlyphScale(_INVISIBLE)
            display.SetCurveLineSizeMode(slicer.vtkMRMLMarkupsDisplayNode.UseLineThickness)
            display.SetLineThickness(LINE_SIZE / _INVISIBLE)
        return node

    def _remove(self, node_id: str) -> None:
        node = self.scene.GetNodeByID(node_id)
        if node is not None:
            remove_markups(self.scene, node)


@contextmanager
def _place_node_kept(scene) -> Iterator[None]:
    """Slicer makes each new markups node the one that the user places points in (vtkSlicerMarkupsLogic.OnMRMLSceneNodeAdded); this undoes it."""
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    if selection is None:
        yield
        return
    class_name, node_id = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    yield
    selection.SetReferenceActivePlaceNodeClassName(class_name)
    selection.SetReferenceActivePlaceNodeID(node_id)


def remove_leftovers(scene) -> int:
    """Remove prompt markups that another session left in the scene; returns how many."""
    nodes = [scene.GetNthNodeByClass(i, "vtkMRMLMarkupsNode") for i in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode"))]
    left = [n for n in nodes if n.GetAttribute(ATTRIBUTE)]
    for node in left:
        remove_markups(scene, node)
    return len(left)


def remove_markups(scene, node) -> None:
    """Remove a markups node with its display nodes (the scene keeps those otherwise)."""
    for index in reversed(range(node.GetNumberOfDisplayNodes())):
        display = node.GetNthDisplayNode(index)
        if display is not None:
            scene.RemoveNode(display)
    scene.RemoveNode(node)
