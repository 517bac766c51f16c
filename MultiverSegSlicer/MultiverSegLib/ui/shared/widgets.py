"""Small helpers for Qt controls: each control gets a tooltip and an accessible name."""

from __future__ import annotations

import qt


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


def combo(tip: str, name: str):
    """A combo box that does not make the panel wider than its longest item."""
    made = described(qt.QComboBox(), tip, name)
    made.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(6)
    made.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
    return made


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
