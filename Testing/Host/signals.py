"""Signals as PythonQt shows them, and the few QObject methods whose PythonQt form differs from PySide6's.

Sources: ``PythonQtStdDecorators`` (connect, disconnect, findChild, findChildren, src/PythonQtStdDecorators.h) and
``PythonQtSignalTarget::call`` (src/PythonQtSignalReceiver.cpp) in commontk/PythonQt.
"""

from __future__ import annotations

import ctypes
import sys
import types

import shiboken6
from PySide6 import QtCore

from .citations import normalized
from .pythonqt import adaptor, report, unwrap, wrap

_connections: dict[int, list] = {}

if sys.version_info < (3, 12):
    # PySide6 6.12 returns True from every ``emit`` without counting the reference: after some thousand of them Python ends the process
    # ("deallocating True or False"). From 3.12 on True is not counted; here it gets more references than can be lost.
    ctypes.c_ssize_t.from_address(id(True)).value += 1 << 40


class Signal:
    """A signal bound to its object: ``connect(f)``, ``disconnect(f)``, and calling it emits it."""

    def __init__(self, target, name: str):
        self._target, self._name = target, name

    def connect(self, *receiver):
        return connect(self._target, self._name, receiver[-1])

    def disconnect(self, *receiver):
        return disconnect(self._target, self._name, *receiver)

    def __call__(self, *args):
        getattr(self._target, attribute_of(self._target, self._name)).emit(*(unwrap(a) for a in args))

    emit = __call__


def attribute_of(target, signal: str) -> str:
    """The PySide6 attribute for a signal given by name or by C++ signature; AttributeError where there is none."""
    signature = normalized(signal)
    for base in type(target).__mro__:
        for known, attribute in getattr(base.__dict__.get("cpp"), "signals", {}).items():
            if signature in (known, known.split("(")[0]):
                return attribute
    return _qt_signal(target, signature).split("(")[0]


def _qt_signal(target, signature: str) -> str:
    """The full signature of one of Qt's own signals; a name alone means the first of its overloads."""
    meta = target.metaObject()
    if "(" in signature:
        index = meta.indexOfSignal(signature)
        if index >= 0:
            return signature
    else:
        for index in range(meta.methodCount()):
            method = meta.method(index)
            if method.methodType() == QtCore.QMetaMethod.MethodType.Signal and method.name().data().decode() == signature:
                return method.methodSignature().data().decode()
    raise AttributeError(f"QObject::connect() signal '{signature}' does not exist on {type(target).__name__}")


def _argument_count(function) -> int | None:
    """How many arguments PythonQt gives a callable: a function's own number, all of them (None) to anything else."""
    bound = isinstance(function, types.MethodType)
    code = getattr(function.__func__ if bound else function, "__code__", None)
    if not isinstance(function.__func__ if bound else function, types.FunctionType) or code.co_flags & 0x04:
        return None
    return code.co_argcount - bound


def connect(target, signal: str, function) -> bool:
    if not callable(function):
        raise ValueError(f"QObject::connect() to {type(target).__name__}.{signal}: {function!r} is not callable")
    count = _argument_count(function)

    def receive(*args):
        if not receive.connected:
            return
        try:
            function(*(wrap(a) for a in (args if count is None else args[:count])))
        except Exception as error:
            report(error)

    receive.connected = True
    attribute = attribute_of(target, signal)
    if any(attribute in base.cpp.signals.values() for base in type(target).__mro__ if "cpp" in base.__dict__):
        getattr(target, attribute).connect(receive)
    else:
        QtCore.QObject.connect(target, QtCore.SIGNAL(_qt_signal(target, normalized(signal))), receive)
    key = shiboken6.getCppPointer(target)[0]
    if key not in _connections:
        _connections[key] = []
        target.destroyed.connect(lambda *_: _connections.pop(key, None))
    _connections[key].append((attribute, function, receive))
    return True


def disconnect(target, signal: str, function=None) -> bool:
    attribute = attribute_of(target, signal)
    entries = _connections.get(shiboken6.getCppPointer(target)[0], [])
    found = [entry for entry in entries if entry[0] == attribute and (function is None or entry[1] == function)]
    for entry in found[: None if function is None else 1]:
        entry[2].connected = False
        entries.remove(entry)
    return bool(found)


def forget(target) -> None:
    """Disconnect every Python function from an object's signals."""
    for _attribute, _function, receive in _connections.get(shiboken6.getCppPointer(target)[0], []):
        receive.connected = False
    _connections.get(shiboken6.getCppPointer(target)[0], []).clear()


@adaptor("QObject", "connect")
def _connect(target, signal, function, *_):
    return connect(target, signal, function)


@adaptor("QObject", "disconnect")
def _disconnect(target, signal, *function):
    return disconnect(target, signal, *function[:1])


@adaptor("QObject", "findChildren")
def _find_children(target, kind, name=""):
    """`kind`: a class of qt, ctk or slicer, or a C++ class name; `name`: an objectName or nothing."""
    wanted = kind if isinstance(kind, str) else kind.__name__
    return [
        child
        for child in target.findChildren(QtCore.QObject)
        if any(base.__name__ == wanted for base in type(child).__mro__) and name in ("", child.objectName())
    ]


@adaptor("QObject", "findChild")
def _find_child(target, kind, name=""):
    found = _find_children(target, kind, name)
    return found[0] if found else None


@adaptor("QObject", "setProperty")
def _set_property(target, name, value):
    return target.setProperty(name, value)


@adaptor("QObject", "property")
def _get_property(target, name):
    return target.property(name)
