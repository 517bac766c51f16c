"""A short way to declare the Qt properties of the host's stand-ins for C++ widgets."""

from PySide6 import QtCore


def stored(kind, name: str, default, changed: str | None = None, signal: str | None = None):
    """A Qt property whose value the object keeps; `changed`: method called after a change, `signal`: signal emitted with the value."""

    def read(self):
        return self.__dict__.get("_" + name, default)

    def write(self, value):
        if read(self) == value:
            return
        self.__dict__["_" + name] = value
        if changed:
            getattr(self, changed)()
        if signal:
            getattr(self, signal).emit(value)

    return QtCore.Property(kind, read, write)


def forwarded(kind, part: str, getter: str, setter: str):
    """A Qt property that is one of a child widget's (`part` names the attribute that holds the child)."""

    def read(self):
        return getattr(getattr(self, part), getter)()

    def write(self, value):
        getattr(getattr(self, part), setter)(value)

    return QtCore.Property(kind, read, write)
