"""The running application in the tests' hands: loads and opens modules, presses, waits, and says what went wrong meanwhile."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from pathlib import Path

import qt
import slicer
from Host.pytorch import TorchState

from .hands import ViewDriver, press_key
from .stand_ins import StandIns

_DEFERRED_DELETE = 52  # QEvent::DeferredDelete
_LEVEL, _ORIGIN, _DESCRIPTION = 2, 3, 4  # columns of ctkErrorLogAbstractModel


class _LayoutManager:
    """The application's layout manager; its slice views also give their `pixels`, as the test host's do."""

    def sliceWidget(self, name):
        return _SliceWidget(slicer.app.layoutManager().sliceWidget(name))

    def __getattr__(self, name):
        return getattr(slicer.app.layoutManager(), name)


class _SliceWidget:
    def __init__(self, widget):
        self._widget = widget

    def sliceView(self):
        return _SliceView(self._widget)

    def __getattr__(self, name):
        return getattr(self._widget, name)


class _SliceView:
    def __init__(self, widget):
        self._view, self.pixels = widget.sliceView(), ViewDriver(widget).pixels

    def __getattr__(self, name):
        return getattr(self._view, name)


class Application:
    """One test's time with the application: an empty scene, the four-up layout, the Segment Editor module shown.

    `exceptions` holds what slots, observers, effects and threads raised; `dialogs` and `installs` are `stand_ins.StandIns`'s.
    `messages` stays empty: what VTK and MRML say is in the application's log, as is what Qt and Slicer's C++ say: `criticals`.
    """

    mrml = True  # the test host's name for "still open"

    def __init__(self, size=(1660, 1020), **_options):
        self.app, self.layout_manager, self.messages = slicer.app, _LayoutManager(), []
        self.exceptions: list[BaseException] = []
        self._hooks = sys.excepthook, threading.excepthook
        sys.excepthook = self._report
        threading.excepthook = lambda about: self._report(about.exc_type, about.exc_value, about.exc_traceback)
        self._stand_ins = StandIns()
        self._stand_ins.put_in_place()
        self.dialogs, self.installs = self._stand_ins.dialogs, self._stand_ins.installs
        self._shown_before: set[str] = set()
        slicer.util.mainWindow().resize(*size)
        if slicer.util.selectedModule() != "SegmentEditor":
            slicer.util.selectModule("SegmentEditor")
        slicer.mrmlScene.Clear(0)
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.process_events(0.2)
        self.exceptions.clear()
        self._logged = slicer.app.errorLogModel().sourceModel.rowCount()

    def _report(self, kind, error, trace) -> None:
        self.exceptions.append(error)
        sys.__stderr__.write("".join(traceback.format_exception(kind, error, trace)))

    # ---- modules ----
    def load_module(self, path, startup=True):
        """The ``slicer.modules.<name>`` object of a scripted module: loaded from its file, unless the application has it already."""
        name = Path(path).stem
        if not hasattr(slicer.modules, name.lower()):
            factory = slicer.app.moduleManager().factoryManager()
            factory.registerModule(qt.QFileInfo(str(path)))
            if not factory.isRegistered(name) or not factory.loadModules([name]):
                raise RuntimeError(f"{path}: the application could not load this module")
            if startup:  # the application has said "startupCompleted" long before
                sys.modules[name].onStartupCompleted()
        elif getattr(slicer.modules, name + "Widget", None) is not None:
            self._shown_before.add(name)
        self.process_events()
        return getattr(slicer.modules, name.lower())

    def open_module(self, name):
        """Switch to a module as the module selector does; returns its Python widget, which is new in each test."""
        if name in self._shown_before:
            self._shown_before.discard(name)
            slicer.util.reloadScriptedModule(name)
            self.process_events(0.1)
        slicer.util.selectModule(name)
        self.process_events(0.4)
        self._wait_for_the_layout()
        return slicer.util.getModuleWidget(name)

    def _wait_for_the_layout(self, seconds=5.0) -> None:
        """A wider panel makes the views smaller a moment after it is shown: wait until they keep their size."""
        views = [slicer.app.layoutManager().sliceWidget(name).sliceView() for name in slicer.app.layoutManager().sliceViewNames()]
        before, end = None, time.monotonic() + seconds
        while (sizes := [(view.width, view.height) for view in views]) != before and time.monotonic() < end:
            before = sizes
            self.process_events(0.3)

    # ---- hands ----
    def view(self, name="Red") -> ViewDriver:
        widget = slicer.app.layoutManager().sliceWidget(name)
        if widget is None:
            raise KeyError(f"no slice view {name}; there are {slicer.app.layoutManager().sliceViewNames()}")
        return ViewDriver(widget)

    def press_key(self, keys, widget=None):
        press_key(keys, widget or slicer.util.mainWindow())

    def process_events(self, seconds: float = 0.0):
        """Let Qt handle what is pending, and its event loop run for `seconds`.

        Nothing here gives other Python threads time on purpose: as in the application's own loop they run while Python code does.
        """
        slicer.app.processEvents()
        if seconds:
            loop, timer = qt.QEventLoop(), qt.QTimer()
            timer.setSingleShot(True)
            timer.setTimerType(qt.Qt.PreciseTimer)
            timer.connect("timeout()", loop.quit)
            timer.start(max(1, round(1000 * seconds)))
            loop.exec_()
        qt.QCoreApplication.sendPostedEvents(None, _DEFERRED_DELETE)

    def wait_until(self, condition, seconds: float = 20.0, step: float = 0.01):
        """Process events until `condition()` holds, looking every `step` seconds; TimeoutError when it does not in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s")
            self.process_events(step)

    def show(self, volume):
        """Show a volume in all slice views, fitted."""
        self.process_events(0.1)
        slicer.util.setSliceViewerLayers(background=volume, fit=True)

    def grab(self, path, widget=None):
        """Write a PNG of a widget, or of the whole main window."""
        self.process_events(0.05)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not (widget or slicer.util.mainWindow()).grab().save(str(path)):
            raise OSError(f"{path}: the picture could not be written")
        return path

    def render(self):
        """Render every slice view, so that what goes wrong only there is found."""
        for name in slicer.app.layoutManager().sliceViewNames():
            slicer.app.layoutManager().sliceWidget(name).sliceView().forceRender()

    def torch(self, state):
        """Context manager: PyTorch looks "missing" or "broken"."""
        return TorchState(state)

    def pytorch_extension(self, present):
        self._stand_ins.pytorch_extension(present)

    # ---- end ----
    def quit(self):
        raise RuntimeError("This would end the application, and the tests with it.")

    def errors(self) -> list[str]:
        """Everything that must not have happened: exceptions in slots, observers and threads."""
        return [repr(error) for error in self.exceptions]

    @property
    def criticals(self) -> list[str]:
        """Errors that Qt and Slicer's C++ have written into the application's log since the start of this test."""
        log = slicer.app.errorLogModel().sourceModel

        def entry(row, column):
            return str(log.data(log.index(row, column)))

        rows = range(self._logged, log.rowCount())
        return [entry(r, _DESCRIPTION) for r in rows if entry(r, _LEVEL) in ("Error", "Critical", "Fatal") and entry(r, _ORIGIN) == "Qt"]

    def check(self):
        """Raise AssertionError with all `errors`, if there are any."""
        errors = self.errors()
        assert not errors, "\n".join(errors)

    def close(self):
        """Leave the module, empty the scene and give the application its own dialogs back."""
        if not self.mrml:
            return
        slicer.util.selectModule("SegmentEditor")
        self.process_events()
        slicer.mrmlScene.Clear(0)
        self.process_events()
        self._stand_ins.take_away()
        sys.excepthook, threading.excepthook = self._hooks
        self.mrml = False
