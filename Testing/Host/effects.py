"""Scripted Segment Editor effects: the C++ side of one effect, its factory, and the Python base class that effects derive from.

Works on real MRML through vtkSlicerSegmentEditorLogic, which is what Slicer's own qMRMLSegmentEditorWidget uses.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .citations import SLICER, cite, cpp
from .properties import stored
from .pythonqt import report, unwrap, wrap
from .qtmodule import dialogs

_FOLDER = "Modules/Loadable/Segmentations/EditorEffects/"
_MODES = ("Set", "Add", "Remove", "RemoveAll")


class qSlicerSegmentEditorAbstractEffect(QtCore.QObject):
    """What every effect has: parameters, options frame, writing to the segment, coordinate conversions."""

    cpp = cpp(
        SLICER,
        _FOLDER + "qSlicerSegmentEditorAbstractEffect.h",
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
        value = self._node.GetAttribute(self._key(name)) if self._node else None
        if value is None:
            report(LookupError(f"Parameter named {name} cannot be found for effect {self.name}"))
            return ""
        return value

    def integerParameter(self, name):
        return int(self.parameter(name) or 0)

    def doubleParameter(self, name):
        return float(self.parameter(name) or 0)

    def _set(self, key, value):
        text = repr(value) if isinstance(value, float) else str(int(value)) if isinstance(value, bool) else str(value)
        if self._node.GetAttribute(key) == text:
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
        return self._node.GetAttribute(f"{self.name}.{name}") is not None

    def commonParameterDefined(self, name):
        return self._node.GetAttribute(name) is not None

    def nodeReference(self, name):
        return self._node.GetNodeReference(f"{self.name}.{name}") or self._node.GetNodeReference(name)

    def setNodeReference(self, name, node):
        self._node.SetNodeReferenceID(f"{self.name}.{name}", node.GetID() if node else None)

    def setCommonNodeReference(self, name, node):
        self._node.SetNodeReferenceID(name, node.GetID() if node else None)

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
        display = segmentation.GetDisplayNode() if segmentation else None
        segment_id = node.GetSelectedSegmentID() if node else None
        if display is None or not segment_id or segment_id == self._confirmed:
            return self.ConfirmedWithoutDialog
        if display.GetSegmentVisibility(segment_id) and display.GetVisibility():
            return self.ConfirmedWithoutDialog
        button = QtWidgets.QMessageBox.StandardButton
        if dialogs.ask(button.Yes, kind="ctkMessageBox", title=self.title, text="The currently selected segment is hidden.") == button.Yes:
            display.SetSegmentVisibility(segment_id, True)
        self._confirmed = segment_id
        return self.ConfirmedWithDialog

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


class qSlicerSegmentEditorScriptedEffect(qSlicerSegmentEditorAbstractEffect):
    """The adaptor between the editor and the Python class of an effect: calls its methods where it defines them."""

    cpp = cpp(SLICER, _FOLDER + "qSlicerSegmentEditorScriptedEffect.h", "", "pythonSource setPythonSource self")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._python, self._source = None, ""

    def pythonSource(self):
        return self._source

    def self(self):
        return self._python

    def setPythonSource(self, path):
        if not str(path).endswith((".py", ".pyc")):
            return False
        module_name = os.path.basename(os.path.dirname(os.path.abspath(path)))
        class_name = os.path.splitext(os.path.basename(path))[0]
        class_name += "" if class_name.endswith("Effect") else "Effect"
        module = sys.modules.get(module_name)
        if not hasattr(module, class_name):
            spec = importlib.util.spec_from_file_location(module_name, path)
            module = module or importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            spec.loader.exec_module(module)
        cls = getattr(module, class_name, None)
        if cls is None:
            raise RuntimeError(f"setPythonSource: class {class_name} was not found in {path}")
        self._python, self._source = cls(wrap(self)), str(path)
        setattr(slicer, module_name, self._python)
        return True

    def _call(self, name, *arguments, default=None):
        method = getattr(self._python, name, None)
        if method is None:
            return default
        try:
            return method(*(wrap(a) for a in arguments))
        except Exception as error:
            report(error)
            return default

    def clone(self):
        return unwrap(self._call("clone"))

    def icon(self):
        return unwrap(self._call("icon")) or QtGui.QIcon()

    def helpText(self):
        return self._call("helpText", default="")

    def activate(self):
        super().activate()
        self._call("activate")

    def deactivate(self):
        super().deactivate()
        self._call("deactivate")

    def createCursor(self, view):
        return unwrap(self._call("createCursor", view)) or super().createCursor(view)

    def processInteractionEvents(self, interactor, event_id, view):
        result = self._call("processInteractionEvents", interactor, event_id, view, default=False)
        if not isinstance(result, bool):
            report(TypeError("function 'processInteractionEvents' is expected to return a boolean"))
            return False
        return result

    def interactionNodeModified(self, node):
        if hasattr(self._python, "interactionNodeModified"):
            self._call("interactionNodeModified", node)
        elif node.GetCurrentInteractionMode() != slicer.vtkMRMLInteractionNode.ViewTransform:
            self.selectEffect("")


def _forward(name):
    def method(self, *arguments):
        self._call(name, *arguments)

    return method


_FORWARDED = "setupOptionsFrame processViewNodeEvents setMRMLDefaults referenceGeometryChanged sourceVolumeNodeChanged layoutChanged"
for _name in (_FORWARDED + " updateGUIFromMRML updateMRMLFromGUI cleanup").split():
    setattr(qSlicerSegmentEditorScriptedEffect, _name, _forward(_name))
_CALLED = _FORWARDED + " icon helpText clone activate deactivate createCursor processInteractionEvents interactionNodeModified"
cite(
    _CALLED + " updateGUIFromMRML updateMRMLFromGUI cleanup",
    SLICER,
    _FOLDER + "qSlicerSegmentEditorScriptedEffect.cxx",
    "qSlicerSegmentEditorScriptedEffectPrivate: ",
    "scripted effect: ",
)


class qSlicerSegmentEditorEffectFactory(QtCore.QObject):
    """The registry of effects; a second one of the same name is refused without a word, as in Slicer."""

    cpp = cpp(
        SLICER,
        _FOLDER + "qSlicerSegmentEditorEffectFactory.h",
        "",
        "registerEffect registeredEffects instance",
        ["effectRegistered(QString)"],
    )
    effectRegistered = QtCore.Signal(str)
    _instance = None

    def __init__(self, parent=None):
        super().__init__(parent)
        self._effects = []

    @classmethod
    def instance(cls):
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def registerEffect(self, effect):
        if effect is None or any(known.name == effect.name for known in self._effects):
            return False
        self._effects.append(effect)
        self.effectRegistered.emit(effect.name)
        return True

    def registeredEffects(self):
        return list(self._effects)


class AbstractScriptedSegmentEditorEffect:
    """Base class of effects in Python: keeps ``self.scriptedEffect`` and converts coordinates to and from lists."""

    def __init__(self, scriptedEffect):
        self.scriptedEffect = scriptedEffect

    def register(self):
        slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(self.scriptedEffect)

    def cleanup(self):
        pass

    def rasToXy(self, ras, viewWidget):
        point = self.scriptedEffect.rasToXy(wrap(QtGui.QVector3D(*ras)), viewWidget)
        return [point.x(), point.y()]

    def xyzToRas(self, xyz, viewWidget):
        ras = self.scriptedEffect.xyzToRas(wrap(QtGui.QVector3D(*xyz)), viewWidget)
        return [ras.x(), ras.y(), ras.z()]

    def xyToRas(self, xy, viewWidget):
        ras = self.scriptedEffect.xyToRas(wrap(QtCore.QPoint(int(xy[0]), int(xy[1]))), viewWidget)
        return [ras.x(), ras.y(), ras.z()]

    def xyzToIjk(self, xyz, viewWidget, image, parentTransformNode=None):
        ijk = self.scriptedEffect.xyzToIjk(wrap(QtGui.QVector3D(*xyz)), viewWidget, image, parentTransformNode)
        return [int(ijk.x()), int(ijk.y()), int(ijk.z())]

    def xyToIjk(self, xy, viewWidget, image, parentTransformNode=None):
        ijk = self.scriptedEffect.xyToIjk(wrap(QtCore.QPoint(int(xy[0]), int(xy[1]))), viewWidget, image, parentTransformNode)
        return [int(ijk.x()), int(ijk.y()), int(ijk.z())]


_PYTHON = _FOLDER + "Python/SegmentEditorEffects/"
cite(
    "scriptedEffect register cleanup rasToXy xyzToRas xyToRas xyzToIjk xyToIjk",
    SLICER,
    _PYTHON + "AbstractScriptedSegmentEditorEffect.py",
    prefix="SegmentEditorEffects.AbstractScriptedSegmentEditorEffect.",
)
cite("SegmentEditorEffects.AbstractScriptedSegmentEditorEffect", SLICER, _PYTHON + "__init__.py")


def segment_editor_effects_module():
    """``import SegmentEditorEffects``."""
    module = types.ModuleType("SegmentEditorEffects")
    module.AbstractScriptedSegmentEditorEffect = AbstractScriptedSegmentEditorEffect
    return module
