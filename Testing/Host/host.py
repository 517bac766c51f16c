"""The host itself: starts everything, loads scripted modules, gives the test its hands."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
import tempfile
import threading
import time
from functools import lru_cache
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
from MultiverSegLib.mrml import headless as mrml_host
from PySide6 import QtCore, QtWidgets

from . import (
    application,
    ctkwidgets,
    eventloop,
    parametergui,
    parameternode,
    pythonqt,
    pytorch,
    qtmodule,
    scriptedeffects,
    scriptedmodule,
    serializers,
    services,
    signals,
)
from .citations import host_classes
from .driver import ViewDriver, press_key
from .layout import qSlicerLayoutManager
from .segmenteditor import qMRMLSegmentEditorWidget  # noqa: F401  (registers the class)
from .sliceviews import qMRMLSliceView

_STOCK = Path(__file__).parent / "stock"


@lru_cache(maxsize=1)
def _compiled() -> str:
    """A folder for this process's compiled modules, away from the source tree."""
    folder = tempfile.mkdtemp(prefix="host-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Host:
    """A running stand-in for the application.

    Args:
        size: of the main window in pixels; panel_width: of the module panel.
        segment_editor: load Slicer's own Segment Editor module too.
        view_order: which arbitrary order the views are listed in; also settable later as ``host.layout_manager.view_order``.
    """

    def __init__(self, size=(1280, 800), panel_width=500, segment_editor=False, view_order=0):
        self.folder = tempfile.mkdtemp(prefix="host-")
        self.app = QtWidgets.QApplication.instance() or application.qSlicerApplication()
        if not isinstance(self.app, application.qSlicerApplication):
            raise RuntimeError("Another QApplication exists already: start the host before anything else of Qt.")
        pythonqt.exceptions.clear()
        services.reset()
        self.qt_messages: list[str] = []
        self.criticals: list[str] = []
        QtCore.qInstallMessageHandler(self._qt_message)
        self._bytecode = sys.dont_write_bytecode, sys.pycache_prefix
        sys.dont_write_bytecode, sys.pycache_prefix = False, _compiled()  # every host imports the module anew
        self._hooks = sys.excepthook, threading.excepthook
        sys.excepthook = lambda _kind, error, _trace: pythonqt.report(error)  # VTK gives it what its observers raise
        threading.excepthook = lambda about: pythonqt.report(about.exc_value)
        self.exceptions, self.dialogs, self.installs, self.requests = pythonqt.exceptions, qtmodule.dialogs, services.installs, []
        self.mrml = mrml_host.start()
        self.messages = self.mrml.messages
        self.modules = {}
        self.module_manager = scriptedmodule.qSlicerModuleManager(self.modules)
        self.command_options = application.qSlicerCommandOptions()
        self.app.bind(self)
        self._saved_modules: dict = {}
        self._saved_path = list(sys.path)
        self._publish()
        self.main_window = application.qSlicerMainWindow(self.modules, panel_width, size)
        self.layout_manager = qSlicerLayoutManager(self.mrml, self.main_window.viewport, view_order)
        self.main_window.show()
        self.main_window.activateWindow()
        self.process_events()
        atexit.register(self.close)
        if segment_editor:
            self.load_module(_STOCK / "SegmentEditor.py", startup=False)

    def _qt_message(self, kind, _context, text):
        if kind in (QtCore.QtMsgType.QtCriticalMsg, QtCore.QtMsgType.QtFatalMsg):
            self.criticals.append(text)
        if "propagateSizeHints" not in text:  # the off-screen platform says this for every window
            self.qt_messages.append(text)

    # ---- what `import` finds ----
    def _publish(self):
        self._names = {
            "qt": qtmodule.QtModule("qt"),
            "ctk": ctkwidgets.CtkModule("ctk"),
            "SampleData": services.sample_data_module(),
            "SegmentEditorEffects": scriptedeffects.segment_editor_effects_module(),
            "slicer.i18n": application.i18n_module(self.app),
            "slicer.packaging": services.packaging_module(),
            "slicer.ScriptedLoadableModule": scriptedmodule.scripted_loadable_module(),
            "slicer.parameterNodeWrapper": _parameter_node_module(),
            "qSlicerSegmentationsEditorEffectsPythonQt": _namespace("qSlicerSegmentEditor"),
            "slicer.util": slicer.util,
        }
        self._previous = {name: sys.modules.get(name) for name in self._names}
        sys.modules.update(self._names)
        for name, module in self._names.items():
            if name.startswith("slicer."):
                setattr(slicer, name.split(".")[1], module)
        for name, cls in host_classes().items():
            if name.startswith("q"):
                setattr(slicer, name, pythonqt.class_of(cls))
        slicer.app = pythonqt.wrap(self.app)
        self._pip_install, slicer.util.pip_install = slicer.util.pip_install, services.packaging_module().pip_install

    # ---- modules ----
    def load_module(self, path, startup=True, home=False):
        """Load a scripted module from its file, as Slicer does at start; returns the ``slicer.modules.<name>`` object.

        ``home``: it is the start-up module, which Slicer opens before it says ``startupCompleted`` (postInitializeApplication,
        Base/QTApp/qSlicerApplicationHelper.hxx).
        """
        path = Path(path).resolve()
        self._forget_other_copies(path.parent)
        module = scriptedmodule.qSlicerScriptedLoadableModule(str(path))
        self.modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), pythonqt.wrap(module))
        setattr(slicer.moduleNames, module.name, module.name)
        self.module_manager.moduleLoaded.emit(module.name)
        if home:
            self.main_window.moduleSelector().selectModule(module.name)
        if startup:
            self.app.startupCompleted.emit()
            self.process_events()
        return pythonqt.wrap(module)

    def _forget_other_copies(self, folder: Path):
        """Packages beside the module must come from its folder, not from where a test imported them; `close` puts them back.

        Of a package that is already from there only the ``ui`` part is forgotten, which keeps state between modules.
        """
        for package in (p.name for p in folder.iterdir() if (p / "__init__.py").exists()):
            loaded = sys.modules.get(package)
            same = loaded is not None and Path(loaded.__file__).resolve().parent.parent == folder
            for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
                if not same or name.startswith(package + ".ui"):
                    self._saved_modules.setdefault(name, sys.modules.pop(name))

    def open_module(self, name):
        """Switch to a module as the module selector does; returns its Python widget."""
        self.main_window.moduleSelector().selectModule(name)
        self.process_events()
        return self.modules[name].widgetRepresentation().self()

    def unload_module(self, name):
        """What happens to a module when Slicer exits: its widget's cleanup runs."""
        self.module_manager.moduleAboutToBeUnloaded.emit(name)
        self.modules.pop(name, None)

    # ---- hands ----
    def view(self, name="Red") -> ViewDriver:
        """The hands on one slice view."""
        widget = self.layout_manager.sliceWidget(name)
        if widget is None:
            raise KeyError(f"no slice view {name}; there are {self.layout_manager.sliceViewNames()}")
        return ViewDriver(widget)

    def press_key(self, keys, widget=None, held=0):
        """Press a key on a widget, or wherever the focus is; ``held``: so many times more the keyboard repeats it."""
        press_key(pythonqt.unwrap(widget) if widget is not None else self.app.focusWidget() or self.main_window, keys, held)

    def process_events(self, seconds: float = 0.0):
        """Let Qt handle what is pending, for at least `seconds`."""
        eventloop.process()
        if seconds:
            eventloop.run(seconds)

    def wait_until(self, condition, seconds: float = 20.0, step: float = 0.01):
        """Process events until `condition()` holds; TimeoutError when it does not in time.

        Every ``step`` seconds the condition is asked, which gives other threads a moment: a test of their speed takes longer steps.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s")
            self.process_events(step)

    def show(self, volume):
        """Show a volume in all slice views, fitted."""
        slicer.util.setSliceViewerLayers(background=volume, fit=True)

    def grab(self, path, widget=None):
        """Write a PNG of a widget, or of the whole window with the views as rendered."""
        self.process_events(0.05)
        target = pythonqt.unwrap(widget) if widget is not None else self.main_window
        qMRMLSliceView.painting = True
        try:
            picture = target.grab()
        finally:
            qMRMLSliceView.painting = False
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not picture.save(str(path)):
            raise OSError(f"{path}: the picture could not be written")
        return path

    def render(self):
        """Render every view, so that what goes wrong only there is found."""
        for name in self.layout_manager.sliceViewNames():
            self.layout_manager.sliceWidget(name).sliceView().pixels()

    def torch(self, state):
        """Context manager: PyTorch looks "missing" or "broken"."""
        return pytorch.TorchState(state)

    def pytorch_extension(self, present):
        services.set_pytorch_extension(present)

    # ---- end ----
    def quit(self):
        """End the event loop as Slicer does when it quits: ``aboutToQuit`` is told. The host goes on."""
        QtCore.QTimer.singleShot(0, self.app.quit)
        self.app.exec()

    def errors(self) -> list[str]:
        """Everything that must not have happened: exceptions in slots, errors of VTK and Qt, keys that two shortcuts claim."""
        vtk_errors = [text for event, text in self.messages if event == "ErrorEvent"]
        return [repr(e) for e in self.exceptions] + vtk_errors + self.criticals

    def check(self):
        """Raise AssertionError with all `errors`, if there are any."""
        errors = self.errors()
        assert not errors, "\n".join(errors)

    def close(self):
        """Unload the modules and take everything down; the next host starts afresh."""
        if self.mrml is None:
            return
        for name in list(self.modules):
            self.unload_module(name)
        self.layout_manager.close()
        self.main_window.close()
        self.main_window.deleteLater()
        self.process_events()
        scriptedeffects.qSlicerSegmentEditorEffectFactory._instance = None
        signals.forget(self.app)
        slicer.util.pip_install = self._pip_install
        for name in list(host_classes()):
            if name.startswith("q") and hasattr(slicer, name):
                delattr(slicer, name)
        self.mrml.close()
        self.mrml = None
        QtCore.qInstallMessageHandler(None)
        sys.dont_write_bytecode, sys.pycache_prefix = self._bytecode
        sys.excepthook, threading.excepthook = self._hooks
        atexit.unregister(self.close)
        for name in [
            n for n in sys.modules if n in self._saved_modules or n.split(".")[0] in {k.split(".")[0] for k in self._saved_modules}
        ]:
            sys.modules.pop(name)
        sys.modules.update(self._saved_modules)
        sys.path[:] = self._saved_path  # a module's folder: processes that a later test starts would import from it, too
        self.app.bind(None)
        shutil.rmtree(self.folder, ignore_errors=True)
        gc.collect()  # views and widgets of this host end here, in this thread, not in the middle of a later test


def _namespace(prefix):
    import types

    module = types.ModuleType("qSlicerSegmentationsEditorEffectsPythonQt")
    for name, cls in host_classes().items():
        if name.startswith(prefix):
            setattr(module, name, pythonqt.class_of(cls))
    return module


def _parameter_node_module():
    import types

    module = types.ModuleType("slicer.parameterNodeWrapper")
    for name in ["Default", "Choice", "Maximum", "Minimum", "NotNone", "Validator", "WithinRange"]:
        setattr(module, name, getattr(serializers, name))
    for name in ["parameterNodeWrapper", "isParameterNodeWrapper", "parameterPack", "isParameterPack"]:
        setattr(module, name, getattr(parameternode, name))
    for name in ["SlicerParameterNamePropertyName", "findChildWidgetForParameter", "createGuiConnector", "Decimals", "SingleStep"]:
        setattr(module, name, getattr(parametergui, name))
    return module
