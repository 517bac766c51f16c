"""Shows over a slice how unsure the model is of what it predicted there (binary entropy): a picture in the slice views, no node of the scene.

So nothing of it can be saved, undone, chosen or left behind; it moves with the view and is seen only where its slice is shown.
"""

from __future__ import annotations

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from vtk.util.numpy_support import numpy_to_vtk

from ...core.confidence import entropy_map
from ...mrml.labelmaps import labelmap_name
from ..shared.widgets import described

#: Value -> colour (r, g, b, opacity; 0..255); 0.3 is a probability of 0.05 or 0.95.
COLORS = {0.0: (255, 230, 80, 0), 0.3: (255, 230, 80, 0), 0.6: (255, 150, 30, 100), 1.0: (220, 20, 60, 180)}
_PARALLEL = 0.999


def colored(values: np.ndarray) -> np.ndarray:
    """uint8 [row, col, 4] of values in 0..1: sure pixels are transparent, unsure ones red."""
    channels = [np.interp(values, list(COLORS), [color[part] for color in COLORS.values()]) for part in range(4)]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


class Overlay(VTKObservationMixin):
    """A picture on a slice plane, drawn into every slice view that shows this plane."""

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self.plane = None
        self._texture = None
        self._actors: list[tuple] = []

    def show(self, plane, values: np.ndarray) -> None:
        """``values``: [128, 128] in 0..1 on the grid of ``plane``."""
        self.hide()
        self.plane = plane
        image = vtk.vtkImageData()
        rows, cols = values.shape
        image.SetDimensions(cols, rows, 1)
        image.GetPointData().SetScalars(numpy_to_vtk(colored(values).reshape(-1, 4), deep=True))
        self._texture = vtk.vtkTexture()
        self._texture.SetInputData(image)
        self._texture.InterpolateOn()
        self._texture.SetColorModeToDirectScalars()
        manager = slicer.app.layoutManager()
        for name in manager.sliceViewNames() if manager is not None else ():
            self._add(manager.sliceWidget(name))
        if manager is not None:
            manager.connect("layoutChanged(int)", self._layout_changed)

    def hide(self) -> None:
        """Takes it away."""
        if self.plane is None:
            return
        self.removeObservers()
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.disconnect("layoutChanged(int)", self._layout_changed)
        for view, renderer, actor, _points, _node in self._actors:
            renderer.RemoveViewProp(actor)
            view.scheduleRender()
        self._actors, self._texture, self.plane = [], None, None

    def _layout_changed(self, layout) -> None:
        """A layout may bring views that were not there before."""
        known = [node for *_, node in self._actors]
        manager = slicer.app.layoutManager()
        for name in manager.sliceViewNames():
            if manager.sliceWidget(name).mrmlSliceNode() not in known:
                self._add(manager.sliceWidget(name))

    def _add(self, widget) -> None:
        view, node = widget.sliceView(), widget.mrmlSliceNode()
        renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
        if renderer is None:
            return
        points, corners = vtk.vtkPoints(), vtk.vtkFloatArray()
        points.SetNumberOfPoints(4)
        corners.SetNumberOfComponents(2)
        corners.SetName("texture")
        for corner in ((0, 0), (1, 0), (1, 1), (0, 1)):
            corners.InsertNextTuple(corner)
        square = vtk.vtkCellArray()
        square.InsertNextCell(4, (0, 1, 2, 3))
        data = vtk.vtkPolyData()
        data.SetPoints(points)
        data.SetPolys(square)
        data.GetPointData().SetTCoords(corners)
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(data)
        actor = vtk.vtkTexturedActor2D()
        actor.SetMapper(mapper)
        actor.SetTexture(self._texture)
        actor.PickableOff()
        self._actors.append((view, renderer, actor, points, node))
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._moved)
        self._place(self._actors[-1])

    def _moved(self, node, event) -> None:
        for entry in self._actors:
            if entry[-1] is node:
                self._place(entry)

    def _place(self, entry) -> None:
        """Puts the square where the view shows the grid, and hides it on other slices."""
        view, renderer, actor, points, node = entry
        renderer.RemoveViewProp(actor)  # to be drawn last: what is drawn before the image would hide it
        renderer.AddViewProp(actor)
        to_ras, to_xy = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()), slicer.util.arrayFromVTKMatrix(node.GetXYToRAS())
        grid = self.plane.grid_to_ras
        distance = abs((to_ras[:3, 3] - grid[:3, 3]) @ grid[:3, 2])
        seen = abs(to_ras[:3, 2] @ grid[:3, 2]) > _PARALLEL and distance <= self.plane.thickness_mm / 2 + 1e-3
        actor.SetVisibility(bool(seen))
        if seen:
            corners = np.array([[c, r, 0, 1] for c, r in ((-0.5, -0.5), (127.5, -0.5), (127.5, 127.5), (-0.5, 127.5))]) @ grid.T
            for number, (x, y) in enumerate(np.linalg.solve(to_xy, corners.T).T[:, :2]):
                points.SetPoint(number, float(x), float(y), 0.0)
            points.Modified()
        view.scheduleRender()


class UncertaintyBox(VTKObservationMixin):
    """The switch with its legend, and what is shown: the newest prediction, or the proposal of the open case, as long as the segment is as
    the model left it. ``events``: see ``SessionEvents``."""

    def __init__(self, layout, events) -> None:
        VTKObservationMixin.__init__(self)
        self.overlay = Overlay()
        self._known = None
        tip = _(
            "Colours what the model is unsure of on the slice it predicted: nothing where it is sure, red where it might as well guess."
        )
        self.check = described(qt.QCheckBox(_("Show uncertainty")), tip, _("Show uncertainty"))
        self.legend = described(qt.QLabel(_("sure  →  unsure")), tip, _("Legend of the uncertainty"))
        self.legend.setStyleSheet(f"background: {_gradient()}; color: black; padding: 1px 8px;")
        self.legend.setVisible(False)
        row = qt.QHBoxLayout()
        row.addWidget(self.check)
        row.addWidget(self.legend)
        row.addStretch(1)
        layout.addLayout(row)
        self.check.connect("toggled(bool)", self._toggled)
        self._events = events
        events.predicted.connect(self._predicted)

    def close(self) -> None:
        """The panel is about to be destroyed."""
        self._events.predicted.disconnect(self._predicted)
        self.forget()

    def forget(self) -> None:
        """Nothing is shown before the next prediction."""
        self._known = None
        self.removeObservers()
        self.overlay.hide()

    def set(self, plane, values: np.ndarray, segmentation, segment_id: str) -> None:
        """The map [128, 128] in 0..1 of what the segment shows on the plane."""
        self.forget()
        self._known = plane, values, segmentation, segment_id, _stamp(segmentation, segment_id)
        for event in (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SegmentRemoved):
            self.addObserver(segmentation.GetSegmentation(), event, self._changed)
        scene = segmentation.GetScene()
        self.addObserver(scene, scene.NodeRemovedEvent, self._changed)
        self._show()

    def _predicted(self, session, request, prediction) -> None:
        self.set(session.plane, entropy_map(prediction.probability), session.segmentation_node, session.segment_id)

    def _changed(self, caller, event) -> None:
        """Painted, undone, removed: the map is no longer that of what is seen."""
        if self._known is None:
            return
        _plane, _values, segmentation, segment_id, stamp = self._known
        if segmentation.GetScene() is None or _stamp(segmentation, segment_id) != stamp:
            self.forget()

    def _toggled(self, on) -> None:
        self.legend.setVisible(on)
        self._show()

    def _show(self) -> None:
        if self._known is not None and self.check.checked:
            self.overlay.show(*self._known[:2])
        else:
            self.overlay.hide()


def _stamp(segmentation, segment_id: str) -> int | None:
    """A number that changes with the segment's voxels; None where the segment is gone."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        return None
    labelmap = segment.GetRepresentation(labelmap_name())  # asked for as it is: converting it would be a change
    return labelmap.GetMTime() if labelmap is not None else 0


def _gradient() -> str:
    stops = ", ".join(f"stop:{value} rgba({r},{g},{b},{a})" for value, (r, g, b, a) in COLORS.items())
    return f"qlineargradient(x1:0, y1:0, x2:1, y2:0, {stops})"
