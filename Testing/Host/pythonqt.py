"""PythonQt's rules on top of PySide6.

Inside Slicer, Qt is reached through PythonQt, whose manners differ from PySide's. What this file reproduces, with the place in
commontk/PythonQt where each rule is defined:

* a Qt property is an attribute, read and written, and wins over a method of the same name, so ``label.text()`` fails with
  "'str' object is not callable" (``PythonQtClassInfo::member``, src/PythonQtClassInfo.cpp; ``name`` stands for ``objectName``);
* an unknown name raises AttributeError when read **and when written** (``PythonQtInstanceWrapper_getattro`` and ``_setattro``,
  src/PythonQtInstanceWrapper.cpp); only Python subclasses may carry attributes of their own;
* the Python classes have no inheritance among themselves: ``isinstance(qt.QPushButton(), qt.QWidget)`` is False (the same file);
* of a class that is not part of Qt only properties, signals, public slots and Q_INVOKABLE methods are visible
  (``PythonQtClassInfo::findDecoratorSlotsFromDecoratorProvider``);
* signals connect by ``w.connect("clicked(bool)", f)`` and ``w.clicked.connect(f)``, and pass a function as many arguments as it
  declares (``PythonQtSignalTarget::call``, src/PythonQtSignalReceiver.cpp): one with a default argument is given the signal's first
  one, ``functools.partial`` gets all of them;
* an object of a class with ``isEmpty``, ``isValid`` or ``isNull`` (asked in this order) is false when it is empty, invalid or null:
  an empty layout, ``QIcon()``, ``QColor()``, ``QSize(0, 0)``, ``QPoint(0, 0)``, ``QByteArray()`` (``getDefaultNonZeroFunction``,
  generator/abstractmetalang.cpp; ``__nonzero__``, generator/shellheadergenerator.cpp). ``slicer.util.findChildren`` leaves such children out;
* an exception in a slot does not leave it (``PythonQt::handleError``): here it is collected in `exceptions`, for tests to look at.

Stricter than PythonQt in one point: connecting to a signal that does not exist, which PythonQt answers with a warning, raises.
"""

from __future__ import annotations

import enum
import types
import weakref
from functools import cache

import shiboken6
from PySide6 import QtCore

exceptions: list[BaseException] = []
"""Exceptions raised in slots, event handlers and effect methods since the host was started."""

NOT_IN_QT5 = {
    "QCheckBox": {"checkStateChanged"},
    "QMouseEvent": {"globalPosition", "position", "scenePosition", "points"},
    "QPixmap": {"deviceIndependentSize"},
    "QImage": {"deviceIndependentSize", "colorTransformed"},
    "QShortcut": {"keys", "setKeys"},
    "QStyleHints": {"colorScheme", "setColorScheme", "colorSchemeChanged"},
    "QTimer": {"id"},
    "QWidget": {"setScreen"},
}
"""Names of Qt 6 by class that Qt 5 lacks: Slicer 5.12 may be built with either, so the host shows what both have."""

_ASKED_WITH_ARGUMENTS = frozenset({("QItemSelectionModel", "isEmpty")})
_PYSIDE_ONLY = frozenset({"emit", "Signal", "Slot", "Property", "staticMetaObject", "fromVariant"})
_wrappers: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_classes: dict[type, type] = {}
_properties: dict[tuple, dict] = {}
_adaptors: dict[tuple[str, str], object] = {}


def report(error: BaseException) -> None:
    """Collect and print an exception that PythonQt would print and swallow."""
    import traceback

    exceptions.append(error)
    traceback.print_exception(error)


class Enum(int):
    """A value of a C++ enum: an int, as in PythonQt, that remembers the PySide6 member it stands for."""

    member = None

    def __new__(cls, member):
        self = super().__new__(cls, member.value)
        self.member = member
        return self

    def _combine(self, other, operation):
        if isinstance(other, Enum) and type(other.member) is type(self.member) and isinstance(self.member, enum.Flag):
            return Enum(getattr(self.member, operation)(other.member))
        return getattr(int(self), operation)(int(other))

    def __or__(self, other):
        return self._combine(other, "__or__")

    def __and__(self, other):
        return self._combine(other, "__and__")

    def __eq__(self, other):
        return int(self) == int(other.value if isinstance(other, enum.Enum) else other) if isinstance(other, (int, enum.Enum)) else False

    __hash__ = int.__hash__

    def __repr__(self):
        return f"{getattr(self.member, 'name', None)} ({int(self)})"


def wrap(value):
    """A value of PySide6 as PythonQt would hand it to Python."""
    if value is None or isinstance(value, (bool, int, float, str, bytes, PythonQtInstanceWrapper)):
        return value
    if isinstance(value, enum.Enum) and type(value).__module__.startswith("PySide6"):
        return Enum(value)
    if isinstance(value, shiboken6.Object):
        return wrap_object(value)
    if isinstance(value, (list, tuple)):
        return type(value)(wrap(item) for item in value) if type(value) in (list, tuple) else value
    if type(value) is dict:
        return {key: wrap(item) for key, item in value.items()}
    return value


def wrap_object(value):
    """The wrapper of a Qt object; the same one as long as somebody holds it."""
    key = shiboken6.getCppPointer(value)[0] if isinstance(value, QtCore.QObject) else id(value)
    wrapper = _wrappers.get(key)
    if wrapper is not None and wrapper._object is value:
        return wrapper
    wrapper = object.__new__(class_of(type(value)))
    object.__setattr__(wrapper, "_object", value)
    _wrappers[key] = wrapper
    return wrapper


def unwrap(value):
    """A value from the module under test as PySide6 wants it."""
    if isinstance(value, PythonQtInstanceWrapper):
        return value._object
    if isinstance(value, Enum):
        return value.member
    if isinstance(value, PythonQtClassWrapper):
        return value._pyside
    if type(value) in (list, tuple):
        return type(value)(unwrap(item) for item in value)
    if type(value) is dict:
        return {key: unwrap(item) for key, item in value.items()}
    return value


def adaptor(class_name: str, method: str):
    """Decorator: a function ``f(object_or_class, *args)`` that stands for a method whose PythonQt form differs from PySide6's."""

    def register(function):
        _adaptors[class_name, method] = function
        return function

    return register


def _adapted(cls: type, name: str):
    for base in cls.__mro__:
        found = _adaptors.get((base.__name__, name))
        if found is not None:
            return found
    return None


def _is_qt_class(cls: type) -> bool:
    return cls.__module__.startswith("PySide6")


def visible(cls: type, name: str) -> bool:
    """Whether PythonQt shows the method, signal or enum `name` of the C++ class that `cls` stands for."""
    if name.startswith("_") or name in _PYSIDE_ONLY or any(name in NOT_IN_QT5.get(base.__name__, ()) for base in cls.__mro__):
        return False
    for base in cls.__mro__:
        if _is_qt_class(base):
            return hasattr(base, name) and not hasattr(object, name)
        if "cpp" in base.__dict__ and name in base.cpp.visible:
            return True
    return False


class PythonQtClassWrapper(type):
    """A class of the ``qt``, ``ctk`` or ``slicer`` module: gives enums and static methods, refuses every other name."""

    def __getattr__(cls, name):
        if name.startswith("__") or "_pyside" not in cls.__dict__:
            raise AttributeError(name)
        pyside = cls._pyside
        special = _adapted(pyside, name)
        if special is not None:
            return lambda *args: wrap(special(pyside, *(unwrap(a) for a in args)))
        if not visible(pyside, name) or not hasattr(pyside, name):
            raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
        value = getattr(pyside, name)
        if isinstance(value, enum.Enum):
            return Enum(value)
        if isinstance(value, type):
            return _EnumClass(value) if issubclass(value, enum.Enum) else class_of(value)
        if callable(value):
            return _Method(value, name, owner=pyside.__name__)
        return wrap(value)

    def __setattr__(cls, name, value):
        if "_pyside" in cls.__dict__ and not name.startswith("__"):
            raise AttributeError(f"'{name}' of the C++ class {cls.__name__} can not be set")
        super().__setattr__(name, value)


class _EnumClass:
    """A nested enum type, e.g. ``qt.QMessageBox.StandardButton``: callable, and its values are attributes."""

    def __init__(self, pyside):
        self.__dict__["_pyside_enum"] = pyside

    def __call__(self, value):
        return Enum(self._pyside_enum(int(value)))

    def __getattr__(self, name):
        return Enum(self._pyside_enum[name])


class _Method:
    """A bound C++ method: positional arguments only, wrapped results."""

    def __init__(self, function, name: str, owner: str):
        self._function, self._name, self._owner = function, name, owner

    def __call__(self, *args, **keywords):
        if keywords:
            raise TypeError(f"{self._owner}.{self._name}: PythonQt takes no keyword arguments ({', '.join(keywords)})")
        try:
            return wrap(self._function(*(unwrap(a) for a in args)))
        except (TypeError, NotImplementedError) as error:
            if "called with wrong argument" in str(error):
                raise ValueError(f"Could not find matching overload for {self._owner}.{self._name}: {error}") from None
            raise

    def __eq__(self, other):
        return isinstance(other, _Method) and self._function == other._function

    def __hash__(self):
        return hash((self._owner, self._name))

    def __repr__(self):
        return f"<{self._name} of {self._owner} object>"


class PythonQtInstanceWrapper(metaclass=PythonQtClassWrapper):
    """What the module under test holds instead of a Qt object."""

    def __init__(self, *args, **keywords):
        cls = type(self)
        if keywords:
            raise TypeError(f"{cls.__name__}(): PythonQt takes no keyword arguments ({', '.join(keywords)})")
        pyside = next(base._pyside for base in cls.__mro__ if "_pyside" in base.__dict__)
        if "_pyside" not in cls.__dict__:
            pyside = _shell(cls, pyside)
        try:
            instance = pyside(*(unwrap(a) for a in args))
        except TypeError as error:
            raise ValueError(f"Could not find matching overload for {cls.__name__}: {error}") from None
        object.__setattr__(self, "_object", instance)
        if isinstance(instance, QtCore.QObject):
            _wrappers[shiboken6.getCppPointer(instance)[0]] = self
            if "_pyside" not in cls.__dict__:
                instance._python_self = self

    def className(self):
        return type(self._object).__name__

    def inherits(self, name):
        return any(base.__name__ == name for base in type(self._object).__mro__)

    def delete(self):
        shiboken6.delete(self._object)

    def __getattr__(self, name):
        if name.startswith("__") or name == "_object":
            raise AttributeError(name)
        target, cls = self._object, type(self._object)
        if not shiboken6.isValid(target):
            raise ValueError(f"Trying to read property '{name}' from a destroyed {cls.__name__} object")
        if isinstance(target, QtCore.QObject):
            prop = _property(target, name)
            if prop is not None and name not in NOT_IN_QT5.get(cls.__name__, ()):
                return wrap(target.property(prop))
        special = _adapted(cls, name)
        if special is not None:
            return _Method(lambda *args: special(target, *args), name, cls.__name__)
        if visible(cls, name) and hasattr(target, name):
            value = getattr(target, name)
            if isinstance(value, QtCore.SignalInstance):
                from .signals import Signal

                return Signal(target, name)
            if isinstance(value, enum.Enum):
                return Enum(value)
            if callable(value):
                return _Method(value, name, cls.__name__)
            return wrap(value)
        if isinstance(target, QtCore.QObject):
            if name.encode() in [bytes(n.data()) for n in target.dynamicPropertyNames()]:
                return wrap(target.property(name))
            for child in target.children():
                if child.objectName() == name:
                    return wrap(child)
        raise AttributeError(f"{cls.__name__} has no attribute named '{name}'")

    def __setattr__(self, name, value):
        target, cls = self._object, type(self._object)
        if not shiboken6.isValid(target):
            raise AttributeError(f"Trying to set property '{name}' on a destroyed {cls.__name__} object")
        if isinstance(target, QtCore.QObject):
            prop = _property(target, name)
            if prop is not None:
                _write_property(target, prop, value)
                return
        if _adapted(cls, name) is not None or (visible(cls, name) and hasattr(target, name)):
            raise AttributeError(f"'{name}' can not be overwritten on {cls.__name__} object")
        if isinstance(target, QtCore.QObject) and name.encode() in [bytes(n.data()) for n in target.dynamicPropertyNames()]:
            target.setProperty(name, unwrap(value))
        elif "_pyside" not in type(self).__dict__:
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(f"'{name}' does not exist on {cls.__name__} and creating new attributes on C++ objects is not allowed")

    def __eq__(self, other):
        if isinstance(other, PythonQtInstanceWrapper):
            return self._object is other._object or (not isinstance(self._object, QtCore.QObject) and self._object == other._object)
        return other is None and not shiboken6.isValid(self._object)

    def __hash__(self):
        return hash(shiboken6.getCppPointer(self._object)[0]) if isinstance(self._object, QtCore.QObject) else hash(id(self._object))

    def __bool__(self):
        if not shiboken6.isValid(self._object):
            return False
        question = _truth(type(self._object))
        return True if question is None else getattr(self._object, question)() == (question == "isValid")

    def __repr__(self):
        return f"{type(self).__name__} (at: {hex(id(self._object))})"


@cache
def _truth(cls: type) -> str | None:
    """The method that PythonQt's generator asks for the truth of an object: the first of these that its class has, without arguments."""
    for base in (b for b in cls.__mro__ if _is_qt_class(b)):
        for name in ("isEmpty", "isValid", "isNull"):
            if hasattr(base, name) and (base.__name__, name) not in _ASKED_WITH_ARGUMENTS:
                return name
        return None
    return None


def _operator(name):
    def operate(self, *args):
        function = getattr(self._object, name, None)
        return NotImplemented if function is None else wrap(function(*(unwrap(a) for a in args)))

    return operate


for _name in ("add", "sub", "mul", "truediv", "neg", "or", "and", "lt", "gt", "le", "ge", "len", "getitem"):
    setattr(PythonQtInstanceWrapper, f"__{_name}__", _operator(f"__{_name}__"))


def properties_of(target: QtCore.QObject) -> dict:
    """Name -> (writable, C++ type) of an object's Qt properties."""
    meta = target.metaObject()
    key = type(target), meta.className()
    if key not in _properties:
        found = [meta.property(index) for index in range(meta.propertyCount())]
        _properties[key] = {p.name(): (p.isWritable(), p.typeName()) for p in found}
    return _properties[key]


def _property(target: QtCore.QObject, name: str) -> str | None:
    """The property that an attribute name means: ``name`` is ``objectName`` where the class has no ``name``."""
    known = properties_of(target)
    return name if name in known else "objectName" if name == "name" else None


def _write_property(target, name, value):
    writable, kind = properties_of(target)[name]
    if not writable:
        raise AttributeError(f"Property '{name}' of {type(target).__name__} object is not writable")
    if not target.setProperty(name, unwrap(value)):
        raise AttributeError(f"Property '{name}' of type '{kind}' does not accept an object of type {type(value).__name__} ({value!r})")


def _shell(cls: type, pyside: type) -> type:
    """A PySide6 class whose virtual methods call the ones that a Python subclass of a wrapped class defines."""
    cached = cls.__dict__.get("_pyside_shell")
    if cached is not None:
        return cached
    methods = {}
    for base in cls.__mro__:
        if "_pyside" in base.__dict__:
            break
        for name, function in base.__dict__.items():
            if isinstance(function, types.FunctionType) and not name.startswith("__") and hasattr(pyside, name):
                methods.setdefault(name, _virtual(name, getattr(pyside, name)))
    shell = type(cls.__name__, (pyside,), methods)
    type.__setattr__(cls, "_pyside_shell", shell)
    return shell


def _virtual(name, default):
    def method(self, *args):
        python_self = getattr(self, "_python_self", None)
        if python_self is None:
            return default(self, *args)
        try:
            return unwrap(getattr(python_self, name)(*(wrap(a) for a in args)))
        except Exception as error:  # PythonQt prints it and goes on with the default
            report(error)
            return default(self, *args)

    return method


def class_of(pyside: type) -> type:
    """The class that the ``qt``, ``ctk`` and ``slicer`` modules show for a class of PySide6 or of the host."""
    if pyside not in _classes:
        cls = PythonQtClassWrapper(pyside.__name__, (PythonQtInstanceWrapper,), {"__doc__": pyside.__doc__})
        type.__setattr__(cls, "_pyside", pyside)
        _classes[pyside] = cls
    return _classes[pyside]
