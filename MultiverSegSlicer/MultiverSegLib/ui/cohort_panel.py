"""The cohort's part of the panel. Its place is kept here: an empty section, hidden until there is something to show."""

from __future__ import annotations


class CohortPanel:
    """``ui``: the named widgets of the panel; the section is ``ui.cohortCollapsibleButton``, its layout ``ui.cohortLayout``."""

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.logic = logic
        ui.cohortCollapsibleButton.setVisible(False)

    def enter(self) -> None:
        """The module is shown."""

    def release_scene(self) -> None:
        """The scene is about to be closed."""

    def close(self) -> None:
        """The panel is about to be destroyed."""
