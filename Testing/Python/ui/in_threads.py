"""What requests to threads hold: nothing of the application's, or a thread may be the one that destroys it."""

from __future__ import annotations

import functools
import sys
from collections import deque
from pathlib import PurePath
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_PLAIN = (str, bytes, int, float, complex, type(None), np.ndarray, np.generic, type, ModuleType, PurePath)


def of_the_application(root: Any) -> list[str]:
    """Where nodes, other VTK objects and widgets hang that can be reached from ``root``: through attributes, containers, closures and bound methods.

    Not through arrays (whose voxels VTK may have allocated), classes, modules and what a function finds by a global name.
    """
    from vtkmodules.vtkCommonCore import vtkObjectBase

    # On the test host widgets are PySide6's. It must not be loaded inside Slicer, whose Qt is another one: the process would crash.
    qt_core = sys.modules.get("PySide6.QtCore")
    kinds = (vtkObjectBase,) if qt_core is None else (vtkObjectBase, qt_core.QObject)
    found, seen, waiting = [], set(), deque([("work", root)])
    while waiting:
        path, value = waiting.popleft()
        if isinstance(value, _PLAIN) or id(value) in seen or type(value).__module__.split(".")[0] in ("torch", "_thread", "threading"):
            continue
        seen.add(id(value))
        if isinstance(value, kinds) or type(value).__module__.split(".")[0] == "PythonQt":
            found.append(f"{path}: {type(value).__name__}")
        else:
            waiting.extend((f"{path}{step}", child) for step, child in _children(value))
    return found


def _children(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, functools.partial):
        return [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
    if isinstance(value, MethodType):
        return [(".__self__", value.__self__)]
    if isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        return [(f"<{name}>", cell.cell_contents) for name, cell in cells] + [("()", value.__defaults__), ("()", value.__kwdefaults__)]
    if isinstance(value, dict):
        return [(f"[{key!r:.40}]", child) for key, child in value.items()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [(f"[{number}]", child) for number, child in enumerate(value)]
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()) if isinstance(name, str)]
    named = {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(value, "__dict__", {})
    return [(f".{name}", child) for name, child in named.items()]
