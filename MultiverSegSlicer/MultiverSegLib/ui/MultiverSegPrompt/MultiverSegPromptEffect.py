"""The Segment Editor effect: turns events of slice views into calls of the presenter, and shows what the presenter reports.

Slicer loads this file by its path, under its folder's name; that is why it has a folder of its own and imports absolutely. It does so
when it starts: what takes time to import is imported when the effect is used.
"""

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

from MultiverSegLib.ui.effect import help_text
from MultiverSegLib.ui.shared import options
from MultiverSegLib.ui.shared.icons import icon


class MultiverSegPromptEffect(AbstractScriptedSegmentEditorEffect):
    """Click, stroke or box in a slice view, and the structure is segmented there. All state is in the editor's parameter node."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = options.EFFECT_NAME
        scriptedEffect.title = _("MultiverSeg")
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.options = None
        self.presenter = None
        self.shortcuts = None
        self.gesture = None
        self.gestureSliceNode = None
        self.gesturePlane = None

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        clonedEffect = effects.qSlicerSegmentEditorScriptedEffect(None)
        clonedEffect.setPythonSource(__file__.replace("\\", "/"))
        return clonedEffect

    def icon(self):
        return icon("MultiverSegPrompt")

    def helpText(self):
        return help_text.effect_help()

    # Life

    def setupOptionsFrame(self):
        from MultiverSegLib.ui.effect.option_frame import EffectOptions

        self.options = EffectOptions(self)
        self.scriptedEffect.addOptionsWidget(self.options.widget)

    def activate(self):
        from MultiverSegLib.ui.effect.presenter import PromptPresenter
        from MultiverSegLib.ui.effect.shortcuts import Shortcuts
        from MultiverSegLib.ui.shared import service

        if self.presenter is None:
            self.presenter = PromptPresenter(self, service.shared(), self.options.show_status, qt.QTimer.singleShot)
        self.presenter.activate()
        self.shortcuts = Shortcuts(slicer.util.mainWindow(), self.commands(), self.cancel)
        self.options.start()

    def deactivate(self):
        self.gesture = None
        if self.shortcuts is not None:
            self.shortcuts.remove()
            self.shortcuts = None
        if self.options is not None:
            self.options.stop()
        if self.presenter is not None:
            self.presenter.deactivate()

    def cleanup(self):
        self.deactivate()
        self.presenter = None
        if self.options is not None:
            self.options.close()
            self.options = None

    def setMRMLDefaults(self):
        options.set_defaults(self.scriptedEffect)

    def updateGUIFromMRML(self):
        if self.options is not None:
            self.options.update_from_parameters()
        if self.presenter is not None:
            self.presenter.refresh()

    def sourceVolumeNodeChanged(self):
        if self.presenter is not None:
            self.presenter.refresh()

    def interactionNodeModified(self, interactionNode):
        """Keep the effect active while markups are placed, so that they can be used as prompts."""

    # What the presenter asks of the Segment Editor (see presenter.Editor)

    def editorNode(self):
        return self.scriptedEffect.parameterSetNode()

    def option(self, name):
        return options.read(self.scriptedEffect, name)

    def optionNode(self, name):
        return self.scriptedEffect.nodeReference(name)

    def saveUndo(self):
        self.scriptedEffect.saveStateForUndo()

    def modify(self, segmentation, segmentId, labelmap, remove):
        """Add or remove a labelmap to or from a segment, with the editor's masking and overwrite mode."""
        effect = slicer.qSlicerSegmentEditorAbstractEffect
        mode = effect.ModificationModeRemove if remove else effect.ModificationModeAdd
        self.scriptedEffect.modifySegmentByLabelmap(segmentation, segmentId, labelmap, mode)

    # Commands of buttons and shortcuts

    def commands(self):
        """Key -> what it does; the keys live while the effect is active."""
        return {
            "P": lambda: self.setTool("point"),
            "S": lambda: self.setTool("scribble"),
            "B": lambda: self.setTool("box"),
            "T": self.toggleSign,
            "M": self.run,
            "E": self.accept,
            "R": self.clear,
        }

    def setTool(self, tool):
        self.scriptedEffect.setParameter("Tool", tool)

    def toggleSign(self):
        self.scriptedEffect.setParameter("Sign", "+" if self.option("Sign") == "-" else "-")

    def run(self):
        self._guarded(self.presenter.predict)

    def accept(self):
        self._guarded(self.presenter.accept)

    def clear(self):
        self._guarded(self.presenter.clear)

    def cancel(self):
        """Stop what is in progress; True if there was something to stop."""
        had_gesture, self.gesture = self.gesture is not None, None
        busy = self.presenter is not None and self.presenter.cancel()
        return had_gesture or busy

    def _guarded(self, function, *arguments):
        from MultiverSegLib.core.errors import MultiverSegError

        try:
            return function(*arguments)
        except MultiverSegError as error:
            self.options.show_error(str(error))
        return None

    # Events

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        if viewWidget.className() != "qMRMLSliceWidget" or self.presenter is None:
            return False
        if eventId in (vtk.vtkCommand.EnterEvent, vtk.vtkCommand.MouseMoveEvent):
            self.presenter.point_at(viewWidget.sliceLogic().GetSliceNode())
        if eventId in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.LeftButtonDoubleClickEvent):
            return self._press(callerInteractor, viewWidget)
        if eventId == vtk.vtkCommand.MouseMoveEvent and self.gesture is not None:
            self._move(callerInteractor, viewWidget)
            return True
        if eventId == vtk.vtkCommand.LeftButtonReleaseEvent and self.gesture is not None:
            self._release(callerInteractor, viewWidget)
            return True
        if eventId == vtk.vtkCommand.KeyPressEvent and callerInteractor.GetKeySym() == "Escape":
            return bool(self.cancel())
        return False

    def _press(self, interactor, viewWidget):
        from MultiverSegLib.ui.effect.gestures import Gesture

        if interactor.GetShiftKey() or interactor.GetAltKey():
            return False
        if self.gesture is not None:
            return True
        confirmed = self.scriptedEffect.confirmCurrentSegmentVisible()
        if confirmed != self.scriptedEffect.ConfirmedWithoutDialog:
            # The pointer had to leave for the dialog: begin again with the next press.
            return False
        sliceNode = viewWidget.sliceLogic().GetSliceNode()
        positive = (self.option("Sign") != "-") != bool(interactor.GetControlKey())
        self.gestureSliceNode, self.gesturePlane = sliceNode, _elements(sliceNode.GetSliceToRAS())
        self.gesture = Gesture(self.option("Tool") or "point", positive, _axes(sliceNode))
        self._move(interactor, viewWidget)
        return True

    def _move(self, interactor, viewWidget):
        if viewWidget.sliceLogic().GetSliceNode() is not self.gestureSliceNode:
            return
        if _elements(self.gestureSliceNode.GetSliceToRAS()) != self.gesturePlane:
            self.gesture = None  # the slice moved under the pointer: what was drawn would lie on two slices
            self.presenter.end_preview()
            return
        xy = interactor.GetEventPosition()
        if self.gesture.add(xy, self.xyToRas(xy, viewWidget)):
            self.presenter.preview(self.gesture)

    def _release(self, interactor, viewWidget):
        self._move(interactor, viewWidget)
        gesture, self.gesture = self.gesture, None
        prompt = gesture.finish() if gesture is not None else None
        if prompt is None:
            self.presenter.end_preview()
            return
        if gesture.tool == "box":
            self.setTool("point")
        self._guarded(self.presenter.add_prompt, prompt, self.gestureSliceNode)

    def processViewNodeEvents(self, callerViewNode, eventId, viewWidget):
        """Nothing to do: the markups follow their views by themselves."""

    def createCursor(self, widget):
        return qt.QCursor(qt.Qt.CrossCursor)


def _elements(matrix):
    return tuple(matrix.GetElement(i, j) for i in range(4) for j in range(4))


def _axes(sliceNode):
    import numpy as np

    matrix = np.array(_elements(sliceNode.GetSliceToRAS())).reshape(4, 4)[:3, :3]
    return (matrix / np.linalg.norm(matrix, axis=0)).T
