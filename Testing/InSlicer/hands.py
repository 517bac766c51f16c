"""A person's hands on a slice view of the application: mouse events on the view's interactor, keys through the window system."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess

import numpy as np
import qt
import slicer
import vtk
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


class ViewDriver:
    """Acts on one qMRMLSliceWidget. Points are RAS in mm, or with ``xy=True`` pixels from the lower left corner."""

    def __init__(self, widget):
        self.widget, self.sliceView = widget, widget.sliceView()
        self.interactor = self.sliceView.interactor()

    @property
    def node(self):
        return self.widget.mrmlSliceNode()

    @property
    def logic(self):
        return self.widget.sliceLogic()

    def to_xy(self, ras):
        """Pixel of the view that is nearest to a RAS point."""
        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), to_xy)
        x, y, *_ = to_xy.MultiplyPoint([*ras, 1])
        return round(x), round(y)

    def to_ras(self, xy):
        """RAS point of a pixel, on the view's plane."""
        return tuple(self.node.GetXYToRAS().MultiplyPoint([*xy, 0, 1])[:3])

    def set_offset(self, millimetres):
        self.logic.SetSliceOffset(millimetres)

    def jump_to(self, ras):
        """Show the slice through a point."""
        self.node.JumpSliceByOffsetting(*ras)

    # ---- mouse ----
    def _event(self, name, position, ctrl=False, shift=False, alt=False):
        self.interactor.SetLastEventPosition(*self.interactor.GetEventPosition())
        self.interactor.SetEventInformation(int(position[0]), int(position[1]), int(ctrl), int(shift), "\0", 0, "")
        self.interactor.SetAltKey(int(alt))
        self.interactor.InvokeEvent(name)
        slicer.app.processEvents()

    def press(self, point, xy=False, button="Left", **modifiers):
        self.sliceView.setFocus()
        self._event(f"{button}ButtonPressEvent", point if xy else self.to_xy(point), **modifiers)

    def release(self, point, xy=False, button="Left", **modifiers):
        self._event(f"{button}ButtonReleaseEvent", point if xy else self.to_xy(point), **modifiers)

    def move(self, point, xy=False, **modifiers):
        self._event("MouseMoveEvent", point if xy else self.to_xy(point), **modifiers)

    def click(self, ras=None, xy=None, button="Left", **modifiers):
        """Move there, press, release; `modifiers`: ctrl, shift, alt."""
        position = xy if xy is not None else self.to_xy(ras)
        self.move(position, xy=True, **modifiers)
        self.press(position, xy=True, button=button, **modifiers)
        self.release(position, xy=True, button=button, **modifiers)

    def double_click(self, ras=None, xy=None, **modifiers):
        position = xy if xy is not None else self.to_xy(ras)
        self.click(xy=position, **modifiers)
        self._event("LeftButtonDoubleClickEvent", position, **modifiers)
        self.release(position, xy=True, **modifiers)

    def drag(self, points, xy=False, button="Left", steps=8, **modifiers):
        """Press at the first point, move through the others with `steps` events each, release at the last."""
        path = [tuple(p) for p in points] if xy else [self.to_xy(p) for p in points]
        self.move(path[0], xy=True, **modifiers)
        self.press(path[0], xy=True, button=button, **modifiers)
        for start, end in itertools.pairwise(path):
            for step in range(1, steps + 1):
                at = tuple(round(a + (b - a) * step / steps) for a, b in zip(start, end, strict=True))
                self.move(at, xy=True, **modifiers)
        self.release(path[-1], xy=True, button=button, **modifiers)

    def wheel(self, forward=True, ctrl=False):
        self._event("MouseWheelForwardEvent" if forward else "MouseWheelBackwardEvent", self.interactor.GetEventPosition(), ctrl=ctrl)

    def enter(self):
        self._event("EnterEvent", self.interactor.GetEventPosition())

    def leave(self):
        self._event("LeaveEvent", self.interactor.GetEventPosition())

    # ---- keys ----
    def key(self, keys, held=0):
        """Press and release a real key with the view focused; `held`: how often it repeats itself at least."""
        press_key(keys, self.sliceView, held)

    # ---- seeing ----
    def pixels(self) -> np.ndarray:
        """The rendered view, uint8 [row, col, 3]."""
        slicer.app.processEvents()
        self.sliceView.forceRender()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.sliceView.renderWindow())
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3]

    def event_id(self, name):
        return vtk.vtkCommand.GetEventIdFromString(name)

    def cursor_shape(self):
        return self.sliceView.cursor.shape()
