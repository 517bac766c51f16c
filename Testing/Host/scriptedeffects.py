"""Scripted Segment Editor effects: the adaptor that calls an effect's Python methods, the factory, and the Python base class."""

from __future__ import annotations

import importlib.util
import os
import sys
import types

import slicer
from PySide6 import QtCore, QtGui

from .citations import SLICER, cite, cpp
from .effects import FOLDER, qSlicerSegmentEditorAbstractEffect
from .pythonqt import report, unwrap, wrap


class qSlicerSegmentEditorScriptedEffect(qSlicerSegmentEditorAbstractEffect):
    """The adaptor between the editor and the Python class of an effect: calls its methods where it defines them."""

    cpp = cpp(SLICER, FOLDER + "qSlicerSegmentEditorScriptedEffect.h", "", "pythonSource setPythonSource self")

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

    def updateGUIFromMRML(self):
        """Only of the active effect, as in C++; activation calls it anyway."""
        if self.active():
            self._call("updateGUIFromMRML")

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
for _name in (_FORWARDED + " updateMRMLFromGUI cleanup").split():
    setattr(qSlicerSegmentEditorScriptedEffect, _name, _forward(_name))
_CALLED = _FORWARDED + " icon helpText clone activate deactivate createCursor processInteractionEvents interactionNodeModified"
cite(
    _CALLED + " updateGUIFromMRML updateMRMLFromGUI cleanup",
    SLICER,
    FOLDER + "qSlicerSegmentEditorScriptedEffect.cxx",
    "qSlicerSegmentEditorScriptedEffectPrivate: ",
    "scripted effect: ",
)


class qSlicerSegmentEditorEffectFactory(QtCore.QObject):
    """The registry of effects; a second one of the same name is refused without a word, as in Slicer."""

    cpp = cpp(
        SLICER,
        FOLDER + "qSlicerSegmentEditorEffectFactory.h",
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


_PYTHON = FOLDER + "Python/SegmentEditorEffects/"
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
