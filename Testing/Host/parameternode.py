"""``slicer.parameterNodeWrapper``: typed access to a vtkMRMLScriptedModuleNode, for the types that modules commonly use.

An implementation of its own with the observable behaviour of Slicer's Base/Python/slicer/parameterNodeWrapper (wrapper.py,
serializers.py, validators.py, default.py, parameterPack.py): same parameter names and texts in the node, so that scenes are
exchangeable; values are cached and read again on ModifiedEvent; node references keep an empty parameter of the same name beside
the reference; values of a wrong type raise TypeError, None for a plain value ValueError. Supported: int, float, str, bool, Enum,
pathlib paths, MRML nodes, Optional of those, lists, parameter packs, and the annotations Default, Choice, Minimum, Maximum,
WithinRange, NotNone.
"""

from __future__ import annotations

import typing
import weakref
from dataclasses import dataclass

import slicer
import vtk

from .citations import SLICER, cite
from .serializers import Default, Validator, split, writer_for

_FOLDER = "Base/Python/slicer/parameterNodeWrapper/"


@dataclass
class ParameterInfo:
    """One member of a wrapper or pack: `basename`, how it is written, its default, its type with annotations."""

    basename: str
    writer: object
    validators: list
    default: object
    unalteredType: object

    def check(self, value):
        self.writer.check(value)
        for validator in self.validators:
            validator.validate(value)


def _members(cls) -> dict[str, ParameterInfo]:
    found = {}
    for name, annotated in typing.get_type_hints(cls, include_extras=True).items():
        kind, annotations = split(annotated)
        writer = writer_for(kind)
        defaults = [a.value for a in annotations if isinstance(a, Default)]
        default = getattr(cls, name) if hasattr(cls, name) else defaults[0] if defaults else writer.default
        found[name] = ParameterInfo(name, writer, [a for a in annotations if isinstance(a, Validator)], default, annotated)
    return found


# ---- packs ------------------------------------------------------------------------------------------------------------------------
def parameterPack(cls=None):
    """Class decorator: an aggregate of typed members for use in a parameterNodeWrapper."""
    if cls is None:
        return parameterPack
    infos = _members(cls)

    def init(self, *args, **keywords):
        values = {name: info.default for name, info in infos.items()} | dict(zip(infos, args, strict=False)) | keywords
        for name, value in values.items():
            setattr(self, name, value)

    def member(info):
        def write(self, value):
            info.check(value)
            self.__dict__["_" + info.basename] = value
            self.__dict__.get("_save", lambda _: None)(self)

        return property(lambda self: self.__dict__["_" + info.basename], write)

    for name, info in infos.items():
        setattr(cls, name, member(info))
    cls.__init__ = init
    cls.__eq__ = lambda self, other: isinstance(other, cls) and all(getattr(self, n) == getattr(other, n) for n in infos)
    cls.allParameters, cls._is_parameterPack = infos, True
    cls.getValue = lambda self, name: _walk(self, name.split("."))
    cls.setValue = lambda self, name, value: setattr(_walk(self, name.split(".")[:-1]), name.split(".")[-1], value)
    cls.dataType = staticmethod(lambda name: _data_type(infos, name))
    return cls


def _walk(value, names):
    for name in names:
        value = getattr(value, name)
    return value


def _data_type(infos, name):
    head, _, rest = name.partition(".")
    if head not in infos:
        raise ValueError(f"Cannot find a param with the given name: {head}")
    kind = infos[head].unalteredType
    return split(kind)[0].dataType(rest) if rest else kind


# ---- the wrapper ------------------------------------------------------------------------------------------------------------------
def _parameter(info: ParameterInfo):
    def read(self):
        return self._values[info.basename]

    def write(self, value):
        info.check(value)
        with slicer.util.NodeModify(self.parameterNode):
            info.writer.write(self.parameterNode, info.basename, value)
            self._values[info.basename] = info.writer.read(self.parameterNode, info.basename)

    return property(read, write)


class _Wrapper:
    """What `parameterNodeWrapper` adds to a class."""

    def __init__(self, parameterNode, prefix=None):
        if prefix:
            raise NotImplementedError("The test host's parameterNodeWrapper has no prefixes.")
        self.parameterNode = parameterNode
        self._values, self._guis, self._next_tag, self._updating = {}, {}, 0, False
        self._gui_observers = {}
        for name, info in self.allParameters.items():
            if not info.writer.is_in(parameterNode, name):
                info.check(info.default)
                info.writer.write(parameterNode, name, info.default)
            self._values[name] = info.writer.read(parameterNode, name)
        me = weakref.ref(self)
        self._tag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: me() and me()._on_modified(), 1.0)

    def __del__(self):
        if hasattr(self, "_tag"):
            self.parameterNode.RemoveObserver(self._tag)

    def _on_modified(self):
        for name, info in self.allParameters.items():
            if info.writer.is_in(self.parameterNode, name):
                self._values[name] = info.writer.read(self.parameterNode, name)

    def default(self, name):
        _data_type(self.allParameters, name)
        return Default(self.allParameters[name].default)

    def getValue(self, name):
        _data_type(self.allParameters, name)
        return _walk(self, name.split("."))

    def setValue(self, name, value):
        _data_type(self.allParameters, name)
        head, _, rest = name.partition(".")
        if rest:
            getattr(self, head).setValue(rest, value)
        else:
            setattr(self, head, value)

    def connectGui(self, gui):
        from .parametergui import widgets_by_parameter

        return self.connectParametersToGui(widgets_by_parameter(gui))

    def connectParametersToGui(self, mapping):
        from .parametergui import createGuiConnector

        connectors = {name: createGuiConnector(widget, self.dataType(name)) for name, widget in mapping.items()}
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        self._guis[tag] = connectors
        for name, gui in connectors.items():
            gui.write(self.getValue(name))
            gui.on_changed(self._gui_callback(name, gui))
        self._gui_observers[tag] = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update_gui())
        return tag

    def _gui_callback(self, name, gui):
        def changed():
            with slicer.util.NodeModify(self):
                if not self._updating:
                    self.setValue(name, gui.read())

        return changed

    def _update_gui(self):
        if self._updating:
            return
        self._updating = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in list(self._guis.values()):
                    for name, gui in connectors.items():
                        gui.write(self.getValue(name))
        finally:
            self._updating = False

    def disconnectGui(self, tag):
        for gui in self._guis.pop(tag, {}).values():
            gui.on_changed(None)
        if tag in self._gui_observers:
            self.RemoveObserver(self._gui_observers.pop(tag))

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, was_modified):
        return self.parameterNode.EndModify(was_modified)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        return self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        return self.parameterNode.Modified()


def parameterNodeWrapper(cls=None):
    """Class decorator: typed properties that live in a vtkMRMLScriptedModuleNode, and connection to widgets."""
    if cls is None:
        return parameterNodeWrapper
    infos = _members(cls)
    for name in vars(_Wrapper):
        if name in infos:
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    for name, info in infos.items():
        setattr(cls, name, _parameter(info))
    for name, function in vars(_Wrapper).items():
        if callable(function):
            setattr(cls, name, function)
    cls.allParameters, cls._is_parameter_node_wrapper = infos, True
    cls.dataType = staticmethod(lambda name: _data_type(infos, name))
    return cls


def isParameterNodeWrapper(thing):
    return getattr(thing, "_is_parameter_node_wrapper", False)


def isParameterPack(thing):
    return getattr(thing, "_is_parameterPack", False)


_PREFIX = "slicer.parameterNodeWrapper."
cite(
    "parameterNodeWrapper isParameterNodeWrapper SlicerParameterNamePropertyName findChildWidgetForParameter",
    SLICER,
    _FOLDER + "wrapper.py",
    prefix=_PREFIX,
)
cite("Default", SLICER, _FOLDER + "default.py", prefix=_PREFIX)
cite("Choice Maximum Minimum NotNone Validator WithinRange", SLICER, _FOLDER + "validators.py", prefix=_PREFIX)
cite("parameterPack isParameterPack", SLICER, _FOLDER + "parameterPack.py", prefix=_PREFIX)
cite("createGuiConnector Decimals SingleStep", SLICER, _FOLDER + "guiConnectors.py", prefix=_PREFIX)
_METHODS = "default getValue setValue dataType connectGui connectParametersToGui disconnectGui StartModify EndModify AddObserver RemoveObserver Modified parameterNode"
cite(_METHODS, SLICER, _FOLDER + "wrapper.py", prefix="ParameterNodeWrapper.")
