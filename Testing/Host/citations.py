"""Where each Slicer, CTK and Qt name that the host offers is defined, so that what passes here exists there.

Two kinds of entries: `Cpp`, which a host class carries as its attribute ``cpp`` (one C++ class: header, properties, methods,
signals), and `cite`, for names of Python modules and for single C++ methods. `all_names` gives both as one table, which
Testing/Python/host/test_citations.py checks. A name that is in neither is not visible to the module under test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SLICER, CTK, PYTHONQT, QT = "Slicer/Slicer", "commontk/CTK", "commontk/PythonQt", "Qt"


@dataclass(frozen=True)
class Cpp:
    """One C++ class outside Qt: what its header declares and the host offers.

    `properties`: names of Q_PROPERTY. `methods`: public slots, Q_INVOKABLE methods and methods that a PythonQt decorator adds.
    `signals`: C++ signatures; where two share a name, ``{"signature": "attribute of the host class"}``.
    """

    repository: str
    header: str
    properties: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    signals: dict[str, str] = field(default_factory=dict)
    enums: tuple[str, ...] = ()

    @property
    def visible(self) -> frozenset:
        return frozenset(self.methods) | frozenset(self.signals.values()) | frozenset(self.enums)


def cpp(repository: str, header: str, properties: str = "", methods: str = "", signals=(), enums: str = "") -> Cpp:
    """A `Cpp` from blank-separated names; `signals` is a list of signatures, or a dict as in `Cpp`."""
    if not isinstance(signals, dict):
        signals = {normalized(s): s.split("(")[0] for s in signals}
    signals = {normalized(signature): name for signature, name in signals.items()}
    return Cpp(repository, header, tuple(properties.split()), tuple(methods.split()), signals, tuple(enums.split()))


def normalized(signature: str) -> str:
    """A signal's signature as Qt compares it: no spaces, no const references."""
    signature = re.sub(r"\bconst\s+([\w:<>*, ]+?)\s*&", r"\1", signature)
    return re.sub(r"\s*([(),*&<>])\s*", r"\1", signature.strip())


CITATIONS: dict[str, str] = {}
"""Name as the module under test writes it -> ``repository: file (class::method)``."""


def cite(names: str, repository: str, file: str, owner: str = "", prefix: str = "") -> None:
    """Record where the blank-separated `names` are defined; `prefix` is put before each of them, e.g. ``slicer.util.``."""
    for name in names.split():
        CITATIONS[prefix + name] = f"{repository}: {file}" + (f" ({owner}{name.rsplit('.', 1)[-1]})" if owner else "")


def host_classes() -> dict[str, type]:
    """Every class of the host that stands for one C++ class, by its C++ name."""
    from PySide6 import QtCore

    found, pending = {}, [QtCore.QObject]
    while pending:
        for cls in pending.pop().__subclasses__():
            pending.append(cls)
            if "cpp" in cls.__dict__:
                found[cls.__name__] = cls
    return found


def all_names() -> dict[str, str]:
    """Every cited name: Python names, and ``Class.member`` for the C++ classes."""
    table = dict(CITATIONS)
    for class_name, cls in host_classes().items():
        table[class_name] = f"{cls.cpp.repository}: {cls.cpp.header} ({class_name})"
        for member in (*cls.cpp.properties, *cls.cpp.methods, *cls.cpp.signals.values(), *cls.cpp.enums):
            table[f"{class_name}.{member}"] = f"{cls.cpp.repository}: {cls.cpp.header} ({class_name}::{member})"
    return table
