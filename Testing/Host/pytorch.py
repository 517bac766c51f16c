"""PyTorch as an extension finds it on first run: the PyTorch extension beside it or not, torch missing, broken or there.

Nothing is installed: what is asked for is told to a function.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable

import slicer

from .citations import cite


def extension_module(record: Callable[[list[str]], None]) -> types.ModuleType:
    """``import PyTorchUtils``; ``record`` is told what its logic would install (``torch>=2.6``) or remove (``-torch``)."""
    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = lambda: PyTorchUtilsLogic(record)
    return module


class PyTorchUtilsLogic:
    """The logic of the PyTorch extension, with its signatures."""

    def __init__(self, record: Callable[[list[str]], None]) -> None:
        self._record = record

    @staticmethod
    def torchInstalled():
        return sys.modules.get("torch") is not None

    def installTorch(
        self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None, torchvisionVersionRequirement=None
    ):
        question = "PyTorch will be downloaded and installed. Do you want to install it now?"
        if askConfirmation and not slicer.util.confirmOkCancelDisplay(question):
            return None
        self._record(["torch" + (torchVersionRequirement or "")])
        return self.torch

    def uninstallTorch(self, askConfirmation=False):
        """As the extension's own: it takes torch and torchvision away without asking, whatever ``askConfirmation`` says."""
        self._record(["-torch", "-torchvision"])

    @property
    def torch(self):
        return sys.modules.get("torch")


cite(
    "torchInstalled installTorch uninstallTorch torch",
    "fepegar/SlicerPyTorch",
    "PyTorchUtils/PyTorchUtils.py",
    prefix="PyTorchUtils.PyTorchUtilsLogic.",
)


class TorchState:
    """Context manager that makes PyTorch look "missing" or "broken" to code that imports it."""

    def __init__(self, state: str):
        self._state, self._saved = state, {}

    def __enter__(self):
        self._saved = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "torch" or name.startswith("torch.")}
        sys.modules["torch"] = None if self._state == "missing" else _BrokenTorch("torch")
        return self

    def __exit__(self, *_):
        sys.modules.pop("torch", None)
        sys.modules.update(self._saved)


class _BrokenTorch(types.ModuleType):
    """A torch that imports and fails at the first use, as after half an installation."""

    def __getattr__(self, name):
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        raise OSError("[WinError 126] The specified module could not be found. Error loading 'c10.dll' or one of its dependencies.")
