"""What came of work on many cases: a line, what was left out and why, and the folder it went to. Stays until it is put away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import qt
from slicer.i18n import tr as _

from ..shared.widgets import button, described

_LINES = 4


class Outcome:
    """A frame in ``layout``, hidden until there is something to say."""

    def __init__(self, layout) -> None:
        self.frame = qt.QFrame()
        column = qt.QVBoxLayout(self.frame)
        column.setContentsMargins(0, 0, 0, 0)
        self.label = described(qt.QLabel(), _("What was done last for several cases."), _("Result of the last work"))
        self.label.setWordWrap(True)
        self.list = described(qt.QListWidget(), _("What was left out, and why."), _("What was left out"))
        self.list.setWordWrap(True)
        self.list.setMaximumHeight(_LINES * 2 * self.list.fontMetrics().height())
        self.open_button = button(
            _("Open folder"), _("Show the folder of the files in the file manager."), _("Open the folder of the files")
        )
        self.hide_button = button(_("Hide"), _("Put this message away."), _("Hide the result of the last work"))
        row = qt.QHBoxLayout()
        row.addWidget(self.open_button)
        row.addWidget(self.hide_button)
        for widget in (self.label, self.list):
            column.addWidget(widget)
        column.addLayout(row)
        layout.addWidget(self.frame)
        self._folder: Path | None = None
        self.open_button.connect("clicked()", self._open)
        self.hide_button.connect("clicked()", self.hide)
        self.hide()

    def tell(self, text: str, left_out: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        """Says what was done; ``left_out``: case -> why; ``folder``: where the files are."""
        self._folder = folder
        self.label.text = text
        self.list.clear()
        for case, reason in (left_out or {}).items():
            self.list.addItem(f"{case}: {reason}")
        self.list.setVisible(bool(left_out))
        self.open_button.setVisible(folder is not None)
        self.frame.show()

    def hide(self) -> None:
        """Puts the message away."""
        self.frame.hide()

    def _open(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._folder)))
