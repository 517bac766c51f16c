"""How the parameter node wrapper writes typed values: annotations, and one writer per kind of type.

Counterparts of Slicer's Base/Python/slicer/parameterNodeWrapper: default.py, validators.py and serializers.py.
"""

from __future__ import annotations

import enum
import pathlib
import typing
from dataclasses import dataclass

import slicer


# ---- annotations ------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Default:
    value: object


class Validator:
    """Base of the annotations that refuse values; `validate` raises ValueError or TypeError."""

    def validate(self, value):
        raise NotImplementedError


@dataclass(frozen=True)
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value must be greater than {self.minimum}, is {value}")


@dataclass(frozen=True)
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value must be less than {self.maximum}, is {value}")


@dataclass(frozen=True)
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Choice(Validator):
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("Value must not be None")


def split(annotated):
    """(type, list of annotations) of a possibly Annotated type."""
    if typing.get_origin(annotated) is typing.Annotated:
        base, *extra = typing.get_args(annotated)
        return base, extra
    return annotated, []


# ---- how values are written -------------------------------------------------------------------------------------------------------
class _Plain:
    """A value that one text parameter holds."""

    def __init__(self, kind, default, to_text=str, from_text=None, accepts=None):
        self.kind, self.default = kind, default
        self._to_text, self._from_text, self._accepts = to_text, from_text or kind, accepts or kind

    def is_in(self, node, name):
        return node.HasParameter(name)

    def check(self, value):
        if value is None:
            raise ValueError("Value must not be None")
        if not isinstance(value, self._accepts):
            raise TypeError(f"Value must be of type '{self._accepts}', is type '{type(value)}' value '{value}'")

    def write(self, node, name, value):
        node.SetParameter(name, self._to_text(value))

    def read(self, node, name):
        return self._from_text(node.GetParameter(name))

    def remove(self, node, name):
        node.UnsetParameter(name)


class _Node(_Plain):
    """A reference to a MRML node, with an empty parameter of the same name that says that it was set."""

    def __init__(self, kind):
        super().__init__(kind, None)

    def check(self, value):
        if value is not None and not isinstance(value, self.kind):
            raise TypeError(f"Value must be of type '{self.kind}', is type '{type(value)}' value '{value}'")

    def write(self, node, name, value):
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name):
        return node.GetNodeReference(name)

    def remove(self, node, name):
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class _Optional:
    """typing.Optional: ``name_0`` holds a value, ``name_1`` says None."""

    default = None

    def __init__(self, inner):
        self._inner = inner

    def check(self, value):
        if value is not None:
            self._inner.check(value)

    def is_in(self, node, name):
        return self._inner.is_in(node, name + "_0") or node.HasParameter(name + "_1")

    def write(self, node, name, value):
        self.remove(node, name)
        if value is None:
            node.SetParameter(name + "_1", "True")
        else:
            self._inner.write(node, name + "_0", value)

    def read(self, node, name):
        return self._inner.read(node, name + "_0") if self._inner.is_in(node, name + "_0") else None

    def remove(self, node, name):
        self._inner.remove(node, name + "_0")
        node.UnsetParameter(name + "_1")


class _List:
    """``name_len`` and ``name_0`` ...; what is read is a plain tuple-like list: assign a new one to change it."""

    def __init__(self, inner):
        self._inner = inner

    @property
    def default(self):
        return []

    def check(self, value):
        for item in value:
            self._inner.check(item)

    def is_in(self, node, name):
        return node.HasParameter(name + "_len")

    def write(self, node, name, value):
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            for index, item in enumerate(value):
                self._inner.write(node, f"{name}_{index}", item)
            node.SetParameter(name + "_len", str(len(value)))

    def read(self, node, name):
        return [self._inner.read(node, f"{name}_{index}") for index in range(int(node.GetParameter(name + "_len") or 0))]

    def remove(self, node, name):
        for index in range(int(node.GetParameter(name + "_len") or 0)):
            self._inner.remove(node, f"{name}_{index}")
        node.UnsetParameter(name + "_len")


class _Pack:
    """A parameter pack: ``name.member`` for each member; assigning to a member of what was read writes it."""

    def __init__(self, kind):
        self.kind = kind

    @property
    def default(self):
        return self.kind()

    def check(self, value):
        if not isinstance(value, self.kind):
            raise ValueError(f"Value must be of type '{self.kind}', is type '{type(value)}'")

    def is_in(self, node, name):
        first = next(iter(self.kind.allParameters.values()))
        return first.writer.is_in(node, f"{name}.{first.basename}")

    def write(self, node, name, value):
        with slicer.util.NodeModify(node):
            for info in self.kind.allParameters.values():
                info.writer.write(node, f"{name}.{info.basename}", getattr(value, info.basename))

    def read(self, node, name):
        pack = self.kind()
        for info in self.kind.allParameters.values():
            pack.setValue(info.basename, info.writer.read(node, f"{name}.{info.basename}"))
        object.__setattr__(pack, "_save", lambda changed: self.write(node, name, changed))
        return pack

    def remove(self, node, name):
        for info in self.kind.allParameters.values():
            info.writer.remove(node, f"{name}.{info.basename}")


def writer_for(kind):
    inner = typing.get_args(kind)
    if getattr(kind, "_is_parameterPack", False):
        return _Pack(kind)
    if typing.get_origin(kind) is list:
        return _List(writer_for(split(inner[0])[0]))
    if typing.get_origin(kind) is typing.Union and len(inner) == 2 and inner[1] is type(None):
        return _Optional(writer_for(split(inner[0])[0]))
    if kind is bool:
        return _Plain(bool, False, lambda v: "True" if v else "False", lambda text: text == "True")
    if kind is int:
        return _Plain(int, 0)
    if kind is float:
        return _Plain(float, 0, accepts=(int, float))
    if kind is str:
        return _Plain(str, "")
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _Plain(kind, next(iter(kind)), lambda v: v.name, lambda text: kind[text])
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return _Plain(kind, kind())
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return _Node(kind)
    raise Exception(f"Unable to create serializer for type: {kind}")
