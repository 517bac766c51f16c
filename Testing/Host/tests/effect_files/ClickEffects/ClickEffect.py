"""A small scripted effect for the tests of the host: a click adds the voxel below it."""

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from vtk.util.numpy_support import vtk_to_numpy


class ClickEffect(AbstractScriptedSegmentEditorEffect):
    def __init__(self, scriptedEffect):
        scriptedEffect.name = "Click"
        scriptedEffect.title = "Click"
        scriptedEffect.perSegment = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.log = []
        self.shortcut = None

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        copy = effects.qSlicerSegmentEditorScriptedEffect(None)
        copy.setPythonSource(__file__.replace("\\", "/"))
        return copy

    def icon(self):
        return qt.QIcon()

    def helpText(self):
        return "Adds one voxel per click."

    def setMRMLDefaults(self):
        self.scriptedEffect.setParameterDefault("Size", 3)
        self.scriptedEffect.setParameterDefault("Strength", 0.25)

    def setupOptionsFrame(self):
        self.spinBox = qt.QSpinBox()
        self.scriptedEffect.addLabeledOptionsWidget("Size:", self.spinBox)
        self.spinBox.connect("valueChanged(int)", lambda value: self.scriptedEffect.setParameter("Size", value))

    def updateGUIFromMRML(self):
        self.spinBox.value = self.scriptedEffect.integerParameter("Size")

    def activate(self):
        self.shortcut = qt.QShortcut(qt.QKeySequence("b"), slicer.util.mainWindow())
        self.shortcut.connect("activated()", self.onShortcut)

    def deactivate(self):
        self.shortcut.setParent(None)
        self.shortcut.deleteLater()

    def onShortcut(self):
        self.log.append("b")

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        if viewWidget.className() != "qMRMLSliceWidget":
            return False
        if eventId == vtk.vtkCommand.KeyPressEvent:
            self.log.append("view " + callerInteractor.GetKeySym())
        if eventId != vtk.vtkCommand.LeftButtonPressEvent:
            return False
        if callerInteractor.GetControlKey():
            raise RuntimeError("no control clicks")
        labelmap = self.scriptedEffect.defaultModifierLabelmap()
        i, j, k = self.xyToIjk(callerInteractor.GetEventPosition(), viewWidget, labelmap)
        extent = labelmap.GetExtent()
        shape = [extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0)]
        vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(shape)[k, j, i] = 1
        labelmap.Modified()
        self.scriptedEffect.saveStateForUndo()
        self.scriptedEffect.modifySelectedSegmentByLabelmap(labelmap, slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd)
        return True
