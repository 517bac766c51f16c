"""Composes the panel: the only file of ``ui`` that knows all of its rooms."""

from __future__ import annotations

from .cohort.panel import CohortPanel
from .panel.panel import Panel


def make_panel(widget, logic) -> Panel:
    """The module's panel in ``widget`` (the loaded .ui file); ``logic``: MultiverSegSlicerLogic."""
    return Panel(widget, logic, CohortPanel)
