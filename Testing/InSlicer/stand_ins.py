"""What must not really happen while the tests run in the application: a dialog that waits for a person, an installation, a browser.

`put_in_place` replaces these functions of Slicer's and Qt's Python interface; everything else of the application stays as it is.
"""

from __future__ import annotations

import sys
import types
from collections import deque

import qt
import slicer


class Dialogs:
    """Stands for the person in front of a modal dialog: `shown` is what was asked, `answers` what to return, first in first out.

    Without an answer a question is answered Yes, a message Ok, and a file, text or colour dialog is cancelled.
    """

    def __init__(self):
        self.shown: list[dict] = []
        self.answers: deque = deque()

    def ask(self, default, **about):
        self.shown.append(about)
        return self.answers.popleft() if self.answers else default

    def texts(self) -> list[str]:
        return [entry.get("text", "") for entry in self.shown]

    def clear(self) -> None:
        self.shown.clear()
        self.answers.clear()


class StandIns:
    """The replaced functions of one test; `take_away` puts the application's own back."""

    def __init__(self):
        self.dialogs, self.installs = Dialogs(), []
        self._replaced: list[tuple] = []
        self._extension = sys.modules.get("PyTorchUtils")

    def put_in_place(self) -> None:
        for name, default in (
            ("getOpenFileName", ""),
            ("getOpenFileNames", ()),
            ("getSaveFileName", ""),
            ("getExistingDirectory", ""),
        ):
            self._replace(qt.QFileDialog, name, self._dialog("QFileDialog", default, text_at=1))
        for name, default in (("getText", ""), ("getItem", ""), ("getInt", 0), ("getDouble", 0.0)):
            self._replace(qt.QInputDialog, name, self._dialog("QInputDialog", default, text_at=2))
        self._replace(qt.QColorDialog, "getColor", self._dialog("QColorDialog", qt.QColor(), text_at=2))
        self._replace(qt.QDesktopServices, "openUrl", lambda url: self.dialogs.ask(True, dialog="openUrl", text=url.toString()))
        self._replace(slicer.util, "messageBox", self._message_box)
        # In testing mode Slicer's other message functions answer by themselves and never come to messageBox.
        self._replace(slicer.util, "_messageDisplay", lambda _level, text, *_, **options: self._message_box(text, **options))
        from slicer import packaging

        for module in (slicer.util, packaging):
            self._replace(module, "pip_install", self._install)
        self._replace(packaging, "pip_uninstall", lambda requirements, *_, **__: self._install(requirements, "-"))
        self.pytorch_extension(False)

    def take_away(self) -> None:
        while self._replaced:
            owner, name, original = self._replaced.pop()
            setattr(owner, name, original)
        if self._extension is None:
            sys.modules.pop("PyTorchUtils", None)
        else:
            sys.modules["PyTorchUtils"] = self._extension

    def pytorch_extension(self, present: bool) -> None:
        """Whether ``import PyTorchUtils`` finds the PyTorch extension; its logic here only records what it is asked for."""
        module = types.ModuleType("PyTorchUtils")
        module.PyTorchUtilsLogic = lambda: _PyTorchUtilsLogic(self._install)
        sys.modules["PyTorchUtils"] = module if present else None

    def _replace(self, owner, name, function) -> None:
        self._replaced.append((owner, name, getattr(owner, name)))
        setattr(owner, name, staticmethod(function) if isinstance(owner, type) else function)

    def _dialog(self, kind, default, text_at):
        def ask(*arguments):
            text = arguments[text_at] if len(arguments) > text_at else ""
            return self.dialogs.ask(default, dialog=kind, text=str(text), arguments=arguments)

        return ask

    def _message_box(self, text, parent=None, **options):
        buttons = int(options.get("standardButtons", qt.QMessageBox.Ok))
        default = qt.QMessageBox.Yes if buttons & int(qt.QMessageBox.Yes) else qt.QMessageBox.Ok
        return self.dialogs.ask(
            default, dialog="QMessageBox", text=text, title=options.get("windowTitle", ""), detail=options.get("detailedText", "")
        )

    def _install(self, requirements, sign="", *_, **__) -> None:
        names = [requirements] if isinstance(requirements, str) else requirements
        self.installs.extend(sign + str(name) for name in names)


class _PyTorchUtilsLogic:
    """The logic of the PyTorch extension, with its signatures."""

    def __init__(self, install):
        self._install = install

    @staticmethod
    def torchInstalled():
        return sys.modules.get("torch") is not None

    def installTorch(
        self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None, torchvisionVersionRequirement=None
    ):
        question = "PyTorch will be downloaded and installed. Do you want to install it now?"
        if askConfirmation and not slicer.util.confirmOkCancelDisplay(question):
            return None
        self._install("torch" + (torchVersionRequirement or ""))
        return self.torch

    def uninstallTorch(self, askConfirmation=False):
        if askConfirmation and not slicer.util.confirmOkCancelDisplay("PyTorch will be uninstalled."):
            return
        self._install("torch", "-")

    @property
    def torch(self):
        return sys.modules.get("torch")


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
