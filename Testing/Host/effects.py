"""What every Segment Editor effect has on the C++ side: parameters, options frame, images, writing, coordinate conversions.

Works on real MRML through vtkSlicerSegmentEditorLogic, which is what Slicer's own qMRMLSegmentEditorWidget uses.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .citations import SLICER, cpp
from .properties import stored
from .pythonqt import report
from .qtmodule import dialogs

FOLDER = "Modules/Loadable/Segmentations/EditorEffects/"
_MODES = ("Set", "Add", "Remove", "RemoveAll")
_DONT_ASK = "Segmentations/ConfirmEditHiddenSegment"  # ctkMessageBox keeps the button here after "don't show again"


class qSlicerSegmentEditorAbstractEffect(QtCore.QObject):
    """What every effect has: parameters, options frame, writing to the segment, coordinate conversions."""

    cpp = cpp(
        SLICER,
        FOLDER + "qSlicerSegmentEditorAbstractEffect.h",
        "name title perSegment requireSegments showEffectCursorInSliceView showEffectCursorInThreeDView",
        "helpText activate deactivate active modifySelectedSegmentByLabelmap modifySegmentByLabelmap createCursor cleanup"
        " updateGUIFromMRML updateMRMLFromGUI parameterSetNode setParameterSetNode scene optionsFrame optionsLayout"
        " addActor2D removeActor2D addOptionsWidget addLabeledOptionsWidget cursorOff cursorOn selectEffect"
        " parameter integerParameter doubleParameter nodeReference setParameter setParameterDefault setCommonParameter"
        " setCommonParameterDefault setNodeReference setCommonNodeReference parameterDefined commonParameterDefined"
        " confirmCurrentSegmentVisible modifierLabelmap defaultModifierLabelmap maskLabelmap selectedSegmentLabelmap"
        " referenceGeometryImage sourceVolumeImageData saveStateForUndo renderWindow renderer viewNode rasToXy xyzToRas xyToRas"
        " xyzToIjk xyToIjk forceRender scheduleRender sliceSpacing segmentationDisplayableInView",
        {},
        "ModificationModeSet ModificationModeAdd ModificationModeRemove ModificationModeRemoveAll"
        " NotConfirmed ConfirmedWithoutDialog ConfirmedWithDialog",
    )
    ModificationModeSet, ModificationModeAdd, ModificationModeRemove, ModificationModeRemoveAll = range(4)
    NotConfirmed, ConfirmedWithoutDialog, ConfirmedWithDialog = range(3)
    name = stored(str, "name", "UnnamedScriptedEffect")
    perSegment = stored(bool, "perSegment", True)
    requireSegments = stored(bool, "requireSegments", True)
    showEffectCursorInSliceView = stored(bool, "showEffectCursorInSliceView", True)
    showEffectCursorInThreeDView = stored(bool, "showEffectCursorInThreeDView", False)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.editor = None  # the qMRMLSegmentEditorWidget that shows this effect; set by it
        self._node, self._active, self._confirmed = None, False, None
        self._frame = QtWidgets.QFrame()
        self._layout = QtWidgets.QFormLayout(self._frame)
        self._layout.setContentsMargins(4, 4, 4, 4)

    def _set_title(self, value):
        self.__dict__["_title"] = value

    title = QtCore.Property(str, lambda self: self.__dict__.get("_title") or self.name, _set_title)

    # ---- life ----
    def activate(self):
        self._frame.setVisible(True)
        self._active = True
        self.updateGUIFromMRML()

    def deactivate(self):
        self._frame.setVisible(False)
        self._active = False

    def active(self):
        return self._active

    def createCursor(self, view):
        return QtGui.QCursor(QtCore.Qt.CursorShape.ArrowCursor)

    def helpText(self):
        return ""

    def cleanup(self):
        pass

    def updateGUIFromMRML(self):
        pass

    def updateMRMLFromGUI(self):
        pass

    def selectEffect(self, name):
        if self.editor is not None:
            self.editor.setActiveEffectByName(name)

    # ---- options ----
    def optionsFrame(self):
        return self._frame

    def optionsLayout(self):
        return self._layout

    def addOptionsWidget(self, widget):
        self._layout.addRow(widget)

    def addLabeledOptionsWidget(self, label, widget):
        self._layout.addRow(label, widget)
        return self._layout.labelForField(widget)

    # ---- parameters ----
    def parameterSetNode(self):
        return self._node

    def setParameterSetNode(self, node):
        self._node = node

    def scene(self):
        return self._node.GetScene() if self._node else None

    def _key(self, name):
        own = f"{self.name}.{name}"
        return own if self._node.GetAttribute(own) is not None else name

    def parameter(self, name):
        if self._node is None:
            return ""
        value = self._node.GetAttribute(self._key(name))
        if value is None:
            QtCore.qCritical(f"Parameter named {name} cannot be found for effect {self.name}")
            return ""
        return value

    def _number(self, name, kind, word):
        if self._node is None:
            return kind(0)
        try:
            return kind(self.parameter(name))
        except ValueError:
            QtCore.qCritical(f"Parameter named {name} cannot be converted to {word}!")
            return kind(0)

    def integerParameter(self, name):
        return self._number(name, int, "integer")

    def doubleParameter(self, name):
        return self._number(name, float, "floating point number")

    def _set(self, key, value):
        """As in C++: QString::number keeps six digits; an empty text does not define what is not defined."""
        if self._node is None:
            QtCore.qCritical(f"Invalid segment editor parameter set node set to effect {self.name}")
            return
        text = f"{value:g}" if isinstance(value, float) else str(int(value)) if isinstance(value, bool) else str(value)
        if (self._node.GetAttribute(key) or "") == text:
            return
        blocked = self._node.GetDisableModifiedEvent()
        self._node.SetDisableModifiedEvent(1)
        self._node.SetAttribute(key, text)
        self._node.SetDisableModifiedEvent(blocked)
        self._node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    def setParameter(self, name, value):
        self._set(f"{self.name}.{name}", value)

    def setParameterDefault(self, name, value):
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def setCommonParameter(self, name, value):
        self._set(name, value)

    def setCommonParameterDefault(self, name, value):
        if not self.commonParameterDefined(name):
            self._set(name, value)

    def parameterDefined(self, name):
        return self.commonParameterDefined(f"{self.name}.{name}")

    def commonParameterDefined(self, name):
        return bool(self._node is not None and self._node.GetAttribute(name))

    def nodeReference(self, name):
        return (self._node.GetNodeReference(f"{self.name}.{name}") or self._node.GetNodeReference(name)) if self._node else None

    def setNodeReference(self, name, node):
        self.setCommonNodeReference(f"{self.name}.{name}", node)

    def setCommonNodeReference(self, name, node):
        if self._node.GetNodeReference(name) is not node:
            self._node.SetNodeReferenceID(name, node.GetID() if node else None)
            self._node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    # ---- images ----
    def _logic(self):
        return self.editor.logic

    def modifierLabelmap(self):
        return self._logic().GetModifierLabelmap()

    def defaultModifierLabelmap(self):
        self._logic().ResetModifierLabelmapToDefault()
        return self._logic().GetModifierLabelmap()

    def maskLabelmap(self):
        self._logic().UpdateMaskLabelmap()
        return self._logic().GetMaskLabelmap()

    def selectedSegmentLabelmap(self):
        self._logic().UpdateSelectedSegmentLabelmap()
        return self._logic().GetSelectedSegmentLabelmap()

    def referenceGeometryImage(self):
        self._logic().UpdateReferenceGeometryImage()
        return self._logic().GetReferenceGeometryImage()

    def sourceVolumeImageData(self):
        self._logic().UpdateAlignedSourceVolume()
        return self._logic().GetAlignedSourceVolume()

    # ---- writing ----
    def saveStateForUndo(self):
        if self.editor is not None:
            self.editor.saveStateForUndo()

    def modifySelectedSegmentByLabelmap(self, labelmap, mode, *options):
        node = self._node
        self.modifySegmentByLabelmap(node.GetSegmentationNode(), node.GetSelectedSegmentID() or "", labelmap, mode, *options)

    def modifySegmentByLabelmap(self, segmentation, segment_id, labelmap, mode, *options):
        extent = list(options[0]) if options and not isinstance(options[0], bool) else [0, -1, 0, -1, 0, -1]
        bypass = bool(options[-1]) if options and isinstance(options[-1], bool) else False
        if len(extent) != 6:
            report(ValueError("modifySelectedSegmentByLabelmap failed: extent must have 6 int values"))
            return
        if segmentation is None or segmentation.GetSegmentation().GetSegment(segment_id) is None or labelmap is None:
            report(ValueError("modifySegmentByLabelmap: Invalid segmentation, segment or modifier labelmap"))
            return
        mode = getattr(slicer.vtkSlicerSegmentEditorLogic, "ModificationMode" + _MODES[int(mode)])
        self._logic().ModifySegmentByLabelmap(segmentation, segment_id, labelmap, mode, extent, self.perSegment, bypass)

    def confirmCurrentSegmentVisible(self):
        node = self._node
        segmentation = node.GetSegmentationNode() if node else None
        segment_id = node.GetSelectedSegmentID() if node else None
        if segmentation is None or not segment_id:
            return self.ConfirmedWithoutDialog
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        displays = [segmentation.GetNthDisplayNode(i) for i in range(segmentation.GetNumberOfDisplayNodes())]
        if segment is self._confirmed or any(d.GetVisibility() and d.GetSegmentVisibility(segment_id) for d in displays):
            return self.ConfirmedWithoutDialog
        saved = QtCore.QSettings().value(_DONT_ASK)
        button = QtWidgets.QMessageBox.StandardButton
        answer = saved
        if saved is None:
            text = "The currently selected segment is hidden. Would you like to make it visible?"
            answer = dialogs.ask(button.Yes, kind="ctkMessageBox", title="Operate on invisible segment?", text=text)
        answer = button(int(getattr(answer, "value", answer)))
        if answer == button.Cancel:
            return self.NotConfirmed
        if answer == button.Yes:
            segmentation.GetDisplayNode().SetVisibility(True)
            segmentation.GetDisplayNode().SetSegmentVisibility(segment_id, True)
        else:
            self._confirmed = segment
        return self.ConfirmedWithDialog if saved is None else self.ConfirmedWithoutDialog

    # ---- views ----
    def renderWindow(self, view):
        return view.sliceView().renderWindow()

    def renderer(self, view):
        return view.sliceView().renderWindow().GetRenderers().GetItemAsObject(0)

    def viewNode(self, view):
        return view.mrmlSliceNode()

    def addActor2D(self, view, actor):
        self.renderer(view).AddViewProp(actor)

    def removeActor2D(self, view, actor):
        self.renderer(view).RemoveViewProp(actor)

    def forceRender(self, view):
        view.sliceView().forceRender()

    def scheduleRender(self, view):
        view.sliceView().scheduleRender()

    def cursorOff(self, view):
        view.sliceView().setCursor(QtCore.Qt.CursorShape.BlankCursor)

    def cursorOn(self, view):
        view.sliceView().unsetCursor()

    def sliceSpacing(self, view):
        return view.mrmlSliceNode().GetFieldOfView()[0] / max(view.mrmlSliceNode().GetDimensions()[0], 1)

    def segmentationDisplayableInView(self, view_node):
        segmentation = self._node.GetSegmentationNode() if self._node else None
        if segmentation is None:
            return False
        displays = [segmentation.GetNthDisplayNode(i) for i in range(segmentation.GetNumberOfDisplayNodes())]
        return any(d.IsDisplayableInView(view_node.GetID()) for d in displays)

    def rasToXy(self, ras, view):
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(view.mrmlSliceNode().GetXYToRAS(), inverse)
        xyz = inverse.MultiplyPoint((ras.x(), ras.y(), ras.z(), 1))
        return QtCore.QPoint(int(xyz[0]), int(xyz[1]))

    def xyzToRas(self, xyz, view):
        ras = view.mrmlSliceNode().GetXYToRAS().MultiplyPoint((xyz.x(), xyz.y(), xyz.z(), 1))
        return QtGui.QVector3D(*ras[:3])

    def xyToRas(self, xy, view):
        return self.xyzToRas(QtGui.QVector3D(xy.x(), xy.y(), 0), view)

    def xyzToIjk(self, xyz, view, image, transform=None):
        ijk = [0, 0, 0]
        arguments = ([xyz.x(), xyz.y(), xyz.z()], ijk, view.mrmlSliceNode(), image)
        slicer.vtkSlicerSegmentEditorLogic.XyzToIjk(*arguments, *([transform] if transform else []))
        return QtGui.QVector3D(*ijk)

    def xyToIjk(self, xy, view, image, transform=None):
        return self.xyzToIjk(QtGui.QVector3D(xy.x(), xy.y(), 0), view, image, transform)
