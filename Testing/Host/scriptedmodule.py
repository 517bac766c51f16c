"""``slicer.ScriptedLoadableModule`` and the C++ objects behind a scripted module: the module, its widget, the module manager."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import types
import unittest

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .citations import SLICER, cite, cpp
from .mrmlwidgets import qSlicerWidget
from .properties import stored
from .pythonqt import report, wrap

_PYTHON = "Base/Python/slicer/ScriptedLoadableModule.py"


def load_source(name: str, path: str):
    """Run a Python file as the module `name` (qSlicerScriptedUtils::loadSourceAsModule)."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# ---- the C++ side -----------------------------------------------------------------------------------------------------------------
class qSlicerAbstractCoreModule(QtCore.QObject):
    cpp = cpp(
        SLICER,
        "Base/QTCore/qSlicerAbstractCoreModule.h",
        "name path title category contributor",
        "logic",
    )


class _DecoratedModule(qSlicerAbstractCoreModule):
    """What Slicer adds to modules for Python only."""

    cpp = cpp(SLICER, "Base/QTGUI/qSlicerBaseQTGUIPythonQtDecorators.h", "", "widgetRepresentation createNewWidgetRepresentation")


class qSlicerScriptedLoadableModule(_DecoratedModule):
    """The C++ module of one Python file; the file's module class describes itself to it."""

    cpp = cpp(
        SLICER,
        "Base/QTGUI/qSlicerScriptedLoadableModule.h",
        "title categories associatedNodeTypes contributors helpText acknowledgementText icon dependencies hidden index",
    )
    title = stored(str, "title", "")
    categories = stored("QStringList", "categories", [])
    contributors = stored("QStringList", "contributors", [])
    dependencies = stored("QStringList", "dependencies", [])
    associatedNodeTypes = stored("QStringList", "associatedNodeTypes", [])
    helpText = stored(str, "helpText", "")
    acknowledgementText = stored(str, "acknowledgementText", "")
    icon = stored(QtGui.QIcon, "icon", QtGui.QIcon())
    hidden = stored(bool, "hidden", False)
    index = stored(int, "index", -1)

    def __init__(self, path: str):
        super().__init__()
        self._path = os.path.abspath(path)
        self._name = os.path.splitext(os.path.basename(path))[0]
        self._widget = None
        folder = os.path.dirname(self._path)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        self._python = getattr(load_source(self._name, self._path), self._name)(wrap(self))

    name = QtCore.Property(str, lambda self: self._name)
    path = QtCore.Property(str, lambda self: self._path)
    category = QtCore.Property(str, lambda self: self.categories[0] if self.categories else "")
    contributor = QtCore.Property(str, lambda self: ", ".join(self.contributors))

    def logic(self):
        return None

    def createNewWidgetRepresentation(self):
        return qSlicerScriptedLoadableModuleWidget(self)

    def widgetRepresentation(self):
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget


class qSlicerAbstractModuleWidget(qSlicerWidget):
    cpp = cpp(SLICER, "Base/QTGUI/qSlicerAbstractModuleWidget.h", "isEntered", "enter exit")


class qSlicerScriptedLoadableModuleWidget(qSlicerAbstractModuleWidget):
    """The panel of a scripted module: calls setup, enter, exit and cleanup of its Python class."""

    cpp = cpp(SLICER, "Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h", "moduleName", "self reload")
    isEntered = stored(bool, "isEntered", False)

    def __init__(self, module):
        super().__init__()
        self._module, self._python = module, None
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)
        self._create()

    moduleName = QtCore.Property(str, lambda self: self._module._name)

    def _create(self):
        name = self._module._name + "Widget"
        self._python = getattr(sys.modules[self._module._name], name)(wrap(self))
        setattr(slicer.modules, name, self._python)
        self._call("setup")

    def _call(self, name):
        try:
            getattr(self._python, name, lambda: None)()
        except Exception as error:
            report(error)

    def self(self):
        return self._python

    def reload(self):
        self._create()

    def enter(self):
        if not self.isEntered:
            self.isEntered = True
            self._call("enter")

    def exit(self):
        if self.isEntered:
            self.isEntered = False
            self._call("exit")


class qSlicerModuleFactoryManager(QtCore.QObject):
    cpp = cpp(SLICER, "Base/QTCore/qSlicerModuleFactoryManager.h", "", "loadedModuleNames isLoaded")

    def __init__(self, modules: dict):
        super().__init__()
        self._modules = modules

    def loadedModuleNames(self):
        return list(self._modules)

    def isLoaded(self, name):
        return name in self._modules


class qSlicerModuleManager(QtCore.QObject):
    """What knows the loaded modules."""

    cpp = cpp(
        SLICER,
        "Base/QTCore/qSlicerModuleManager.h",
        "",
        "module modulesNames factoryManager",
        ["moduleLoaded(QString)", "moduleAboutToBeUnloaded(QString)"],
    )
    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def __init__(self, modules: dict):
        super().__init__()
        self.modules, self._factories = modules, qSlicerModuleFactoryManager(modules)

    def module(self, name):
        return self.modules.get(name)

    def modulesNames(self):
        return list(self.modules)

    def factoryManager(self):
        return self._factories


# ---- the Python side --------------------------------------------------------------------------------------------------------------
class ScriptedLoadableModule:
    """Base of a module's description; `parent` is the C++ module."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories, parent.dependencies, parent.contributors = [], [], []
        parent.helpText = parent.acknowledgementText = ""
        import qt

        for extension in (".svg", ".png"):
            path = self.resourcePath("Icons/" + self.moduleName + extension)
            if os.path.isfile(path):
                parent.icon = qt.QIcon(path)
                break
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename):
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        url = slicer.app.documentationBaseUrl + docPage if docPage else slicer.app.moduleDocumentationUrl(self.moduleName)
        return f'<p>For more information see the <a href="{url}">online documentation</a>.</p>'

    def runTest(self, msec=100, **kwargs):
        test = getattr(sys.modules[type(self).__module__], self.moduleName + "Test")()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """Base of a module's panel; `parent` is the C++ widget, or None to make a window of its own."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)
        if parent is None:
            import qt

            parent = slicer.qMRMLWidget()
            parent.setLayout(qt.QVBoxLayout())
            parent.setMRMLScene(slicer.mrmlScene)
            self.parent, self.layout = parent, parent.layout()
            self.setup()
            parent.show()
        self.parent, self.layout = parent, parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename):
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def cleanup(self):
        pass

    def _onModuleAboutToBeUnloaded(self, moduleName):
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def setupDeveloperSection(self):
        pass

    def setup(self):
        self.setupDeveloperSection()

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """Base of a module's logic: gives its parameter node, one per scene unless `isSingletonParameterNode` is False."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node:
                node.SetAttribute("ModuleName", self.moduleName)
                return node
        else:
            nodes = self.getAllParameterNodes()
            if nodes:
                return nodes[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self):
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        if slicer.mrmlScene is None:
            return None
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of a module's self-test."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.enableScreenshots, self.screenshotScaleFactor = False, 1.0

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        slicer.util.delayDisplay(message, 0)

    def takeScreenshot(self, name, description, type=-1):
        self.delayDisplay(description)

    def runTest(self):
        logging.warning("No test is defined in %s", self.__class__.__name__)


_CLASSES = (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest)
for _class in _CLASSES:
    cite(_class.__name__, SLICER, _PYTHON, prefix="slicer.ScriptedLoadableModule.")
    _members = [n for n, f in vars(_class).items() if isinstance(f, types.FunctionType) and not n.startswith("__")]
    cite(" ".join(_members), SLICER, _PYTHON, prefix=_class.__name__ + ".")


def scripted_loadable_module():
    """``import slicer.ScriptedLoadableModule``."""
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    module.__all__ = [cls.__name__ for cls in _CLASSES]
    for cls in _CLASSES:
        setattr(module, cls.__name__, cls)
    return module
