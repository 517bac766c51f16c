"""How the Segment Editor observes slice views, and what it shows in them."""

from __future__ import annotations

import slicer
import vtk

from .mrmlwidgets import observe

_BUTTONS = [f"{button}Button{what}Event" for button in ("Left", "Right", "Middle") for what in ("Press", "Release", "DoubleClick")]
_WHEEL = [f"MouseWheel{direction}Event" for direction in ("Forward", "Backward", "Left", "Right")]
_EVENTS = (*_BUTTONS, *_WHEEL, "MouseMoveEvent", "KeyPressEvent", "KeyReleaseEvent", "EnterEvent", "LeaveEvent")


def stop(*lists) -> None:
    """Call and forget the functions that end observations."""
    for stops in lists:
        while stops:
            stops.pop()()


def slice_widgets() -> list:
    manager = slicer.app._object.layoutManager()
    return [manager.sliceWidget(name) for name in manager.sliceViewNames()]


class EditorViews:
    """The views of one editor. Follows setupViewObservations and processEvents of qMRMLSegmentEditorWidget.cxx."""

    def __init__(self, editor):
        self._editor, self.stops, self.observed = editor, [], False

    def observe(self) -> None:
        self.stop()
        for view in slice_widgets():
            if self._shown_in(view):
                interactor = view.sliceView().interactor()
                for event in _EVENTS:
                    self._observe_interactor(interactor, event, view)
                self.stops.append(observe(view.mrmlSliceNode(), "ModifiedEvent", self._view_node_callback(view)))
        self.observed = True

    def stop(self) -> None:
        stop(self.stops)
        self.observed = False

    def _shown_in(self, view) -> bool:
        segmentation = self._editor.segmentationNode()
        displays = [segmentation.GetNthDisplayNode(i) for i in range(segmentation.GetNumberOfDisplayNodes())] if segmentation else []
        return any(display.IsDisplayableInView(view.mrmlSliceNode().GetID()) for display in displays)

    def _effect(self):
        """The active effect, unless events are to be ignored."""
        scene = self._editor.mrmlScene()
        ignored = scene is None or scene.IsClosing() or self._editor.mrmlSegmentEditorNode() is None
        return None if ignored else self._editor.activeEffect()

    def _observe_interactor(self, interactor, event, view) -> None:
        event_id, tags = vtk.vtkCommand.GetEventIdFromString(event), []

        def callback(caller, _name):
            effect = self._effect()
            if effect is None:
                return
            command = caller.GetCommand(tags[0])  # taken first: the effect may remove this observer
            if effect.processInteractionEvents(caller, event_id, view):
                command.SetAbortFlag(1)

        tags.append(interactor.AddObserver(event, callback, 1.0))
        self.stops.append(lambda: interactor.RemoveObserver(tags[0]))

    def _view_node_callback(self, view):
        def callback(caller, _event):
            effect = self._effect()
            if effect is not None:
                effect.processViewNodeEvents(caller, vtk.vtkCommand.ModifiedEvent, view)

        return callback

    def show(self, volume) -> None:
        """Show the source volume in the views that don't yet."""
        for widget in slice_widgets():
            composite = widget.mrmlSliceCompositeNode()
            if volume.GetID() not in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()):
                composite.SetBackgroundVolumeID(volume.GetID())
                composite.SetForegroundVolumeID(None)
                composite.SetLabelVolumeID(None)
                widget.fitSliceToBackground()

    def set_cursor(self, effect) -> None:
        for view in slice_widgets():
            if effect is not None and effect.showEffectCursorInSliceView:
                view.sliceView().setViewCursor(effect.createCursor(view))
            else:
                view.sliceView().unsetViewCursor()
