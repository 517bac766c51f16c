"""The ``qt`` module: PySide6's QtCore, QtGui, QtWidgets and QtUiTools in one namespace, under PythonQt's rules.

Dialogs do not block: what would wait for a person is recorded in `dialogs.shown` and answered from `dialogs.answers`.
"""

from __future__ import annotations

import types
import xml.etree.ElementTree as ElementTree
from functools import cache

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from . import signals
from .citations import PYTHONQT, cite, host_classes
from .dialogs import Dialogs
from .pythonqt import adaptor, class_of, properties_of, report, unwrap, wrap

_NAMESPACES = (QtCore, QtGui, QtWidgets, QtUiTools)
_REMOVED = frozenset({"Signal", "Slot", "Property", "QEnum", "QFlag", "QtMsgType"})


class QtDialogs(Dialogs):
    """Answers in Qt's own types."""

    def ask(self, default, **about):
        return unwrap(super().ask(default, **about))


dialogs = QtDialogs()


class QtModule(types.ModuleType):
    """``import qt``: a name that Qt lacks raises AttributeError."""

    def __getattr__(self, name):
        if name in _REMOVED or name.startswith("_"):
            raise AttributeError(f"module 'qt' has no attribute '{name}'")
        for namespace in _NAMESPACES:
            value = getattr(namespace, name, None)
            if value is None:
                continue
            if name == "QUiLoader":
                value = UiLoader
            return class_of(value) if isinstance(value, type) else wrap(value)
        raise AttributeError(f"module 'qt' has no attribute '{name}'")

    def __setattr__(self, name, value):
        if not name.startswith("__"):
            raise AttributeError(f"'{name}' can not be set on module 'qt'")
        super().__setattr__(name, value)


cite(
    "connect disconnect findChild findChildren setProperty property",
    PYTHONQT,
    "src/PythonQtStdDecorators.h",
    "PythonQtStdDecorators::",
    "QObject.",
)


class UiLoader(QtUiTools.QUiLoader):
    """QUiLoader that makes the host's Slicer and CTK widgets, and connects what the .ui file asks for by C++ signatures."""

    def createWidget(self, class_name, parent=None, name=""):
        cls = host_classes().get(class_name)
        if cls is None:
            widget = super().createWidget(class_name, parent, name)
            if widget is None:
                report(RuntimeError(f"The .ui file uses {class_name}, for which the test host has no counterpart."))
            return widget
        widget = cls(parent)
        widget.setObjectName(name)
        return widget


@adaptor("UiLoader", "load")
def _load(loader, device, parent=None):
    root = ElementTree.fromstring(device.readAll().data())
    connections = root.find("connections")
    if connections is not None:
        root.remove(connections)
    _refuse_unknown_properties(root)
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(root))
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    widget = loader.load(buffer, parent)
    for connection in connections if connections is not None else ():
        _connect(widget, *(connection.findtext(tag) for tag in ("sender", "signal", "receiver", "slot")))
    return widget


@cache
def _property_names(cls) -> frozenset:
    return frozenset(properties_of(cls()))


def _refuse_unknown_properties(root) -> None:
    """Report a property in the file that the widget's class does not declare (a real build would print a warning)."""
    classes = host_classes()
    for element in root.iter("widget"):
        cls = classes.get(element.get("class"))
        if cls is None:
            continue
        for prop in element.findall("property"):
            if prop.get("stdset") != "0" and prop.get("name") not in _property_names(cls):
                report(RuntimeError(f"The .ui file sets {element.get('class')}.{prop.get('name')}, which does not exist."))


def _connect(root, sender, signal, receiver, slot) -> None:
    def named(name):
        return root if root.objectName() == name else root.findChild(QtCore.QObject, name)

    target = wrap(named(receiver))
    signals.connect(named(sender), signal, getattr(target, slot.split("(")[0]))


# ---- static functions whose results differ from PySide6's -----------------------------------------------------------------------
def _file_dialog(method: str):
    @adaptor("QFileDialog", method)
    def ask(cls, parent=None, caption="", *_):
        return dialogs.ask([] if method == "getOpenFileNames" else "", kind=f"QFileDialog.{method}", title=caption, text=caption)

    return ask


for _method in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"):
    _file_dialog(_method)


def _input_dialog(method: str):
    @adaptor("QInputDialog", method)
    def ask(cls, parent=None, title="", label="", *_):
        return dialogs.ask("", kind=f"QInputDialog.{method}", title=title, text=label)

    return ask


for _method in ("getText", "getItem", "getInt", "getDouble", "getMultiLineText"):
    _input_dialog(_method)


@adaptor("QColorDialog", "getColor")
def _color_dialog(cls, initial=None, parent=None, title="", *_):
    return dialogs.ask(QtGui.QColor(), kind="QColorDialog.getColor", title=title, text=title)


def _message_box(method: str):
    @adaptor("QMessageBox", method)
    def ask(cls, parent=None, title="", text="", *_):
        default = QtWidgets.QMessageBox.StandardButton.Ok
        return dialogs.ask(default, kind=f"QMessageBox.{method}", title=title, text=text)

    return ask


for _method in ("information", "warning", "critical", "question"):
    _message_box(_method)


def _execute(dialog, *_):
    """``exec_`` of any dialog: recorded and answered; the dialog's finished signals are sent."""
    is_box = isinstance(dialog, QtWidgets.QMessageBox)
    text = dialog.text() if is_box else " ".join(label.text() for label in dialog.findChildren(QtWidgets.QLabel))
    answer = dialogs.ask(
        QtWidgets.QMessageBox.StandardButton.Ok if is_box else 0,
        kind=type(dialog).__name__,
        title=dialog.windowTitle(),
        text=text,
        detail=dialog.detailedText() if is_box else "",
        dialog=dialog,
    )
    answer = int(getattr(answer, "value", answer))
    dialog.done(answer)
    return answer


for _method in ("exec", "exec_"):
    adaptor("QDialog", _method)(_execute)


@adaptor("QMenu", "exec_")
@adaptor("QMenu", "exec")
def _execute_menu(menu, *_):
    return dialogs.ask(None, kind="QMenu", text=", ".join(a.text() for a in menu.actions()))


@adaptor("QTimer", "singleShot")
def _single_shot(cls, milliseconds, *receiver):
    function = receiver[-1]

    def fire():
        try:
            function()
        except Exception as error:
            report(error)

    QtCore.QTimer.singleShot(int(milliseconds), fire)


@adaptor("QDesktopServices", "openUrl")
def _open_url(cls, url):
    dialogs.shown.append({"kind": "QDesktopServices.openUrl", "text": url.toString()})
    return True


@adaptor("QObject", "tr")
def _translate(target, text, *_):
    return text
