"""How parameters and widgets are connected: the counterpart of Slicer's parameterNodeWrapper/guiConnectors.py.

As there, a widget's exact class and the parameter's type choose the connection, and a pair that Slicer does not know raises.
"""

from __future__ import annotations

import enum
import pathlib
from dataclasses import dataclass

import slicer

from .serializers import Choice, Maximum, Minimum, WithinRange, split

SlicerParameterNamePropertyName = "SlicerParameterName"


@dataclass(frozen=True)
class Decimals:
    value: int


@dataclass(frozen=True)
class SingleStep:
    value: float


def widgets_by_parameter(gui) -> dict:
    """Parameter name -> widget, from the dynamic property that a .ui file sets."""
    if hasattr(gui, "isWidgetType"):
        import qt

        widgets = gui.findChildren(qt.QWidget)
    else:
        widgets = [w for w in gui.__dict__.values() if hasattr(w, "property")]
    named = ((w.property(SlicerParameterNamePropertyName), w) for w in widgets)
    return {name: widget for name, widget in named if name}


def findChildWidgetForParameter(widget, parameter):
    return widgets_by_parameter(widget).get(parameter)


class _Connector:
    """One widget property bound to one signal, with a translation of values both ways."""

    def __init__(self, widget, attribute, signal, to_widget=lambda v: v, from_widget=lambda v: v):
        self.widget, self._attribute, self._signal = widget, attribute, signal
        self._to_widget, self._from_widget, self._callback = to_widget, from_widget, None

    def read(self):
        return self._from_widget(getattr(self.widget, self._attribute))

    def write(self, value):
        setattr(self.widget, self._attribute, self._to_widget(value))

    def on_changed(self, callback):
        if callback is None and self._callback is not None:
            getattr(self.widget, self._signal).disconnect(self._changed)
        elif callback is not None and self._callback is None:
            getattr(self.widget, self._signal).connect(self._changed)
        self._callback = callback

    def _changed(self):
        if self._callback:
            self._callback()


class _NodeConnector(_Connector):
    def read(self):
        return self.widget.currentNode()

    def write(self, value):
        self.widget.setCurrentNode(value)


class _TextEditConnector(_Connector):
    def read(self):
        return self.widget.toPlainText()

    def write(self, value):
        self.widget.setPlainText(value)


def _limits(widget, annotations, lowest, highest, must_be_bounded):
    low = high = None
    for annotation in annotations:
        if isinstance(annotation, (WithinRange, Minimum)):
            low = annotation.minimum
        if isinstance(annotation, (WithinRange, Maximum)):
            high = annotation.maximum
        if isinstance(annotation, Decimals):
            widget.decimals = annotation.value
        if isinstance(annotation, SingleStep):
            widget.singleStep = annotation.value
    if must_be_bounded and None in (low, high):
        raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")
    widget.minimum = lowest if low is None else low
    widget.maximum = highest if high is None else high


def _items(widget, labels, values):
    widget.clear()
    for label in labels:
        widget.addItem(label)
    return _Connector(widget, "currentIndex", "currentIndexChanged", values.index, values.__getitem__)


def createGuiConnector(widget, datatype):
    """The connection of a widget and an (annotated) type; RuntimeError for a pair that Slicer has no connector for."""
    kind, annotations = split(datatype)
    cls = widget.className()
    if kind is bool and cls == "QCheckBox":
        return _Connector(widget, "checked", "stateChanged")
    if kind is bool and cls == "QPushButton":
        widget.checkable = True
        return _Connector(widget, "checked", "toggled")
    if kind is int and cls in ("QSpinBox", "QSlider"):
        _limits(widget, annotations, -(2**31), 2**31 - 1, cls == "QSlider")
        return _Connector(widget, "value", "valueChanged")
    if kind is float and cls in ("QDoubleSpinBox", "ctkSliderWidget"):
        _limits(widget, annotations, float("-inf"), float("inf"), cls == "ctkSliderWidget")
        return _Connector(widget, "value", "valueChanged")
    if cls == "QComboBox" and isinstance(kind, type) and issubclass(kind, enum.Enum):
        label = getattr(kind, "label", lambda member: member.name)
        return _items(widget, [label(member) for member in kind], list(kind))
    if cls == "QComboBox" and kind in (int, float, str, bool):
        choices = next((a.choices for a in annotations if isinstance(a, Choice)), None)
        if choices is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        return _items(widget, [str(choice) for choice in choices], list(choices))
    if kind is str and cls == "QLineEdit":
        return _Connector(widget, "text", "textChanged")
    if kind is str and cls == "QTextEdit":
        return _TextEditConnector(widget, "", "textChanged")
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath) and cls in ("ctkPathLineEdit", "ctkDirectoryButton"):
        attribute = "currentPath" if cls == "ctkPathLineEdit" else "directory"
        return _Connector(widget, attribute, attribute + "Changed", str, kind)
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode) and cls == "qMRMLNodeComboBox":
        widget.nodeTypes = [kind.__name__]
        return _NodeConnector(widget, "", "currentNodeChanged")
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{cls}'")
