"""Small helpers for Qt controls: each control gets a tooltip and an accessible name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import qt
import slicer

from ...core.errors import MultiverSegError


def described(widget, tip: str, name: str):
    """The widget, with a tooltip and an accessible name."""
    widget.setToolTip(tip)
    widget.setAccessibleName(name)
    return widget


def button(text: str, tip: str, name: str, checkable: bool = False):
    """A tool button that shares the width of its row."""
    made = described(qt.QToolButton(), tip, name)
    made.text = text
    made.setCheckable(checkable)
    made.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
    return made


def combo(tip: str, name: str, length: int = 6):
    """A combo box that shares the width of its row, at least ``length`` letters wide whatever its items are."""
    made = described(qt.QComboBox(), tip, name)
    made.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(length)
    made.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
    return made


@contextmanager
def told(what: str) -> Iterator[None]:
    """What goes wrong inside with a file or with our data is shown in a dialog that begins with ``what``; then things go on."""
    try:
        yield
    except (MultiverSegError, OSError) as error:
        slicer.util.errorDisplay(f"{what}\n\n{error}")


def choose(box, value: str) -> None:
    """Select the item with this data; the first where there is none."""
    box.setCurrentIndex(max(0, box.findData(value)))


def choose_or_add(box, text: str) -> None:
    """Select the item with this text in an editable combo box, adding it where it is missing."""
    index = box.findText(text)
    if index < 0:
        box.addItem(text)
        index = box.findText(text)
    box.setCurrentIndex(index)
