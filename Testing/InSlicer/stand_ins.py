"""What must not really happen while the tests run in the application: a dialog that waits for a person, an installation, a browser.

`put_in_place` replaces these functions of Slicer's and Qt's Python interface; everything else of the application stays as it is.
"""

from __future__ import annotations

import sys

import qt
import slicer
from Host.dialogs import Dialogs
from Host.pytorch import extension_module


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
        sys.modules["PyTorchUtils"] = extension_module(self._install) if present else None

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
