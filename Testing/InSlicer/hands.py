"""Keys and hands on the application's slice views; keys go through the window system."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import qt
import slicer
import vtk
from Host.hands import Hands
from vtk.util.numpy_support import vtk_to_numpy

_X_NAMES = {"/": "slash", ".": "period", "-": "minus", "_": "underscore", " ": "space"}


def can_press_keys() -> bool:
    """Whether real keys can be sent: with xdotool, to an X server."""
    return bool(os.environ.get("DISPLAY")) and shutil.which("xdotool") is not None


def press_key(keys: str, widget, held: int = 0) -> None:
    """Press and release a real key ("b", "Ctrl+Z", "Escape") while `widget` has the focus of the main window.

    `held`: how often it repeats itself at least before it is released.
    """
    if not can_press_keys():
        import pytest

        pytest.skip("real keys need xdotool and an X server")
    slicer.util.mainWindow().activateWindow()
    widget.setFocus()
    _process_events(0.05)
    *modifiers, key = keys.split("+")
    sequence = "+".join([m.lower() for m in modifiers] + [_X_NAMES.get(key, key.lower() if len(key) == 1 else key)])
    # Slicer's own libraries are no good for other programs
    environment = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")}
    if held:
        subprocess.run(["xdotool", "keydown", sequence], check=True, env=environment)
        _process_events(1.0 + 0.1 * held)  # an X server repeats a key after 0.66 s, then every 0.04 s
        subprocess.run(["xdotool", "keyup", sequence], check=True, env=environment)
    else:
        subprocess.run(["xdotool", "key", "--clearmodifiers", sequence], check=True, env=environment)
    _process_events(0.2)


def _process_events(seconds: float) -> None:
    timer = qt.QElapsedTimer()
    timer.start()
    while timer.elapsed() < seconds * 1000:
        slicer.app.processEvents()


class ViewDriver(Hands):
    """Hands on a view of the application."""

    def _process(self):
        slicer.app.processEvents()

    def to_xy(self, ras):
        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), to_xy)
        x, y, *_ = to_xy.MultiplyPoint([*ras, 1])
        return round(x), round(y)

    def to_ras(self, xy):
        return tuple(self.node.GetXYToRAS().MultiplyPoint([*xy, 0, 1])[:3])

    def key(self, keys, held=0):
        press_key(keys, self.sliceView, held)

    def pixels(self) -> np.ndarray:
        slicer.app.processEvents()
        self.sliceView.forceRender()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.sliceView.renderWindow())
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3]

    def cursor_shape(self):
        return self.sliceView.cursor.shape()
