"""``slicer.app``, the main window, and ``slicer.i18n``."""

from __future__ import annotations

import os
import types

from PySide6 import QtCore, QtWidgets

from . import eventloop
from .citations import SLICER, cite, cpp
from .properties import stored


class _Decorated(QtWidgets.QApplication):
    """Methods that Slicer adds for Python only."""

    cpp = cpp(SLICER, "Base/QTCore/qSlicerBaseQTCorePythonQtDecorators.h", "", "testingEnabled sendEvent processEvents")


class qSlicerCoreApplication(_Decorated):
    cpp = cpp(
        SLICER,
        "Base/QTCore/qSlicerCoreApplication.h",
        "slicerHome temporaryPath cachePath extensionsInstallPath majorVersion minorVersion revision releaseType documentationBaseUrl"
        " isInstalled platform os arch",
        "mrmlScene applicationLogic moduleLogic moduleManager coreIOManager settings userSettings revisionUserSettings"
        " moduleDocumentationUrl startupEnvironment setRenderPaused pauseRender resumeRender restart loadFiles",
        ["mrmlSceneChanged(vtkMRMLScene*)"],
    )
    mrmlSceneChanged = QtCore.Signal(object)


class qSlicerApplication(qSlicerCoreApplication):
    """One per process; `bind` gives it the MRML host of the test at hand."""

    cpp = cpp(
        SLICER,
        "Base/QTGUI/qSlicerApplication.h",
        "",
        "commandOptions ioManager layoutManager openNodeModule confirmRestart openExtensionsManagerDialog",
        ["startupCompleted()", "renderPaused(bool)"],
    )
    startupCompleted = QtCore.Signal()
    renderPaused = QtCore.Signal(bool)
    majorVersion = QtCore.Property(int, lambda self: 5)
    minorVersion = QtCore.Property(int, lambda self: 12)
    revision = QtCore.Property(str, lambda self: "0")
    releaseType = QtCore.Property(str, lambda self: "Stable")
    platform = QtCore.Property(str, lambda self: "linux-amd64")
    os = QtCore.Property(str, lambda self: "linux")
    arch = QtCore.Property(str, lambda self: "amd64")
    isInstalled = QtCore.Property(bool, lambda self: True)
    documentationBaseUrl = QtCore.Property(str, lambda self: "https://slicer.readthedocs.io/en/5.12/")
    temporaryPath = stored(str, "temporaryPath", "")

    def __init__(self):
        super().__init__(["Slicer"])
        self.setApplicationName("Slicer")
        self.setOrganizationName("NA-MIC")
        self.setQuitOnLastWindowClosed(False)
        self.testing, self.translations, self.host = False, {}, None

    def bind(self, host):
        """Take the objects of `host`, or let go of them (None)."""
        self.host = host
        self.testing, self.translations = False, {}
        if host is not None:
            logic = host.mrml.application_logic
            logic.AddObserver(logic.PauseRenderEvent, lambda *_: self.pauseRender())
            logic.AddObserver(logic.ResumeRenderEvent, lambda *_: self.resumeRender())
            self.temporaryPath = host.folder
            QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
            QtCore.QSettings.setPath(
                QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, os.path.join(host.folder, "settings")
            )

    slicerHome = QtCore.Property(str, lambda self: os.path.join(self.host.folder, "home"))
    cachePath = QtCore.Property(str, lambda self: os.path.join(self.host.folder, "cache"))
    extensionsInstallPath = QtCore.Property(str, lambda self: os.path.join(self.host.folder, "extensions"))

    def mrmlScene(self):
        return self.host.mrml.scene

    def applicationLogic(self):
        return self.host.mrml.application_logic

    def moduleLogic(self, name):
        return self.host.mrml.logic(name)

    def moduleManager(self):
        return self.host.module_manager

    def coreIOManager(self):
        return self.host.mrml.files

    ioManager = coreIOManager

    def layoutManager(self):
        return self.host.layout_manager

    def mainWindow(self):
        return self.host.main_window

    def settings(self):
        return QtCore.QSettings()

    userSettings = revisionUserSettings = settings

    def translate(self, context, text, *_):
        return self.translations.get(text, text)

    def moduleDocumentationUrl(self, name):
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def testingEnabled(self):
        return self.testing

    def commandOptions(self):
        return self.host.command_options

    def processEvents(self, *_):
        eventloop.process()

    def startupEnvironment(self):
        return dict(os.environ)

    def setRenderPaused(self, pause):
        self.renderPaused.emit(pause)

    def pauseRender(self):
        self.setRenderPaused(True)

    def resumeRender(self):
        self.setRenderPaused(False)

    def restart(self):
        self.host.requests.append("restart")

    def confirmRestart(self, reason=""):
        self.host.requests.append("confirmRestart: " + reason)

    def openNodeModule(self, node, *_):
        self.host.requests.append("openNodeModule: " + node.GetID())

    def openExtensionsManagerDialog(self):
        self.host.requests.append("openExtensionsManagerDialog")

    def loadFiles(self, paths, messages=None):
        import slicer

        return all(slicer.util.loadNodeFromFile(path) is not None for path in paths)


class qSlicerCommandOptions(QtCore.QObject):
    cpp = cpp(SLICER, "Base/QTGUI/qSlicerCommandOptions.h", "noMainWindow")
    noMainWindow = QtCore.Property(bool, lambda self: False)


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    cpp = cpp(
        SLICER,
        "Base/QTGUI/qSlicerModuleSelectorToolBar.h",
        "selectedModule",
        "selectModule",
        ["moduleSelected(QString)"],
    )
    moduleSelected = QtCore.Signal(str)
    selectedModule = stored(str, "selectedModule", "")

    def __init__(self, window, modules):
        super().__init__("Module selection")
        self._window, self._modules = window, modules
        self._label = QtWidgets.QLabel(" Modules: ")
        self.addWidget(self._label)

    def selectModule(self, name):
        module = self._modules.get(name)
        if module is None or name == self.selectedModule:
            return
        previous = self._modules.get(self.selectedModule)
        if previous is not None and hasattr(previous, "widgetRepresentation"):
            previous.widgetRepresentation().exit()
        self.selectedModule = name
        self._label.setText(f" Modules:  {module.title} ")
        widget = module.widgetRepresentation()
        self._window.show_panel(widget)
        widget.enter()
        self.moduleSelected.emit(name)


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """Module panel on the left, views in the middle, as Slicer's main window has them."""

    cpp = cpp(SLICER, "Base/QTApp/qSlicerMainWindow.h", "", "moduleSelector")

    def __init__(self, modules, panel_width=500, size=(1280, 800)):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer")
        self.resize(*size)
        self._selector = qSlicerModuleSelectorToolBar(self, modules)
        self.addToolBar(self._selector)
        self._scroll = QtWidgets.QScrollArea()
        self._scroll.setObjectName("ModulePanel")
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.dock = QtWidgets.QDockWidget("Module Panel")
        self.dock.setTitleBarWidget(QtWidgets.QWidget())
        self.dock.setWidget(self._scroll)
        self.set_panel_width(panel_width)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, self.dock)
        self.viewport = QtWidgets.QWidget()
        self.viewport.setMinimumSize(400, 400)
        self.setCentralWidget(self.viewport)
        self.statusBar()

    def moduleSelector(self):
        return self._selector

    def show_panel(self, widget):
        self._scroll.takeWidget()
        self._scroll.setWidget(widget)
        widget.installEventFilter(self)
        widget.show()

    def eventFilter(self, watched, event):
        """The panel grows to its content's smallest width, as qSlicerModulePanel does."""
        if event.type() in (QtCore.QEvent.Type.LayoutRequest, QtCore.QEvent.Type.Resize):
            self.set_panel_width(self._panel_width)
        return super().eventFilter(watched, event)

    def set_panel_width(self, width):
        self._panel_width, widget = width, self._scroll.widget()
        needed = widget.minimumSizeHint().width() + self._scroll.verticalScrollBar().sizeHint().width() if widget is not None else 0
        self._scroll.setFixedWidth(max(width, needed))


def i18n_module(app):
    """``import slicer.i18n``."""
    module = types.ModuleType("slicer.i18n")
    module.tr = lambda text: app.translate("", text)
    module.translate = app.translate
    module.getContext = lambda source: os.path.splitext(os.path.basename(source))[0]
    return module


cite("tr translate getContext", SLICER, "Base/Python/slicer/i18n.py", prefix="slicer.i18n.")
