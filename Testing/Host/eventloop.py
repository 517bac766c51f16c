"""Qt's event loop as Slicer runs it: with Python's global lock held.

Slicer starts Python in its main thread (``Py_InitializeFromConfig`` in Base/QTCore/qSlicerCorePythonManager.cxx) and never lets the lock
go: there is no ``PyEval_SaveThread`` or ``PyGILState_Ensure`` in Base, Applications, Libs and Modules, and PythonQt releases it only where an
application asks for that (``PythonQtSlotInfo::_globalShouldAllowThreads``, src/PythonQtMethodInfo.cpp, false by default). So another Python
thread runs only while the main thread executes Python or waits in a Python call that lets the lock go. PySide6 does let it go in
``exec`` and ``processEvents``; here both are called by their C++ symbols through `ctypes.PyDLL`, which does not.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import PySide6
import shiboken6
from PySide6 import QtCore

_PROCESS = "_ZN16QCoreApplication13processEventsE6QFlagsIN10QEventLoop17ProcessEventsFlagEE"
_EXEC = "_ZN10QEventLoop4execE6QFlagsINS_17ProcessEventsFlagEE"


def _symbols():
    """(processEvents, QEventLoop::exec) of Qt's library; (None, None) where they have other names (Windows)."""
    folder = Path(PySide6.__file__).parent
    names = [folder / "Qt" / "lib" / "libQt6Core.so.6", folder / "Qt" / "lib" / "QtCore.framework" / "QtCore"]
    for name in names:
        if name.exists():
            library = ctypes.PyDLL(str(name))
            process, run = getattr(library, _PROCESS), getattr(library, _EXEC)
            process.restype, process.argtypes = None, [ctypes.c_int]
            run.restype, run.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]
            return process, run
    return None, None


_process_events, _exec = _symbols()
HOLDS_THE_LOCK = _exec is not None
"""False only where Qt's C++ symbols are not found: then threads get more time than in Slicer."""


def process() -> None:
    """Handle what is pending."""
    if HOLDS_THE_LOCK:
        _process_events(0)
    else:
        QtCore.QCoreApplication.processEvents()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def run(seconds: float) -> None:
    """Let the event loop run for a while: only what Qt calls runs, no Python of the test's."""
    loop, timer = QtCore.QEventLoop(), QtCore.QTimer()
    timer.setSingleShot(True)
    timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
    QtCore.QObject.connect(timer, QtCore.SIGNAL("timeout()"), loop, QtCore.SLOT("quit()"))
    timer.start(round(1000 * seconds))
    if HOLDS_THE_LOCK:
        _exec(shiboken6.getCppPointer(loop)[0], 0)
    else:
        loop.exec()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def sleep(seconds: float) -> None:
    """Do nothing, as C++ code that is busy does: with the lock held."""
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(round(1000 * seconds))
    else:
        ctypes.PyDLL(None).usleep(round(1e6 * seconds))
