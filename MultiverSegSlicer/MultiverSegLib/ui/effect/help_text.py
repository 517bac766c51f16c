"""Texts that explain gestures and keys, in one place so that tooltips, help page and documentation agree."""

from __future__ import annotations

from slicer.i18n import tr as _


def gestures() -> list[tuple[str, str]]:
    """(gesture or key, what it does)."""
    return [
        (_("Left click"), _("positive point: this belongs to the structure")),
        (_("Ctrl (Cmd) + left click"), _("negative point: this does not")),
        (_("Left drag"), _("positive scribble; with Ctrl (Cmd) negative")),
        (_("B, then drag"), _("box around the structure")),
        ("P, S, B", _("tool: point, scribble, box")),
        ("T", _("toggle: prompts count as positive or negative")),
        ("M", _("predict now")),
        ("Z, Y", _("undo, redo: the prompt and its result together; also the system's keys, such as Ctrl+Z")),
        ("R", _("clear the prompts of this slice")),
        ("E", _("accept: the slice with the largest area becomes an example")),
        ("Esc", _("cancel the prediction or the stroke; once more: leave the effect")),
    ]


def effect_help() -> str:
    """The help box of the effect (HTML)."""
    items = "".join(f"<li><b>{key}:</b> {what}</li>" for key, what in gestures())
    intro = _("Click, scribble or draw a box in any slice view: the structure is segmented on that slice")
    more = _("Correct with more prompts, or with Paint and Erase: the next prediction starts from what you left.")
    notice = _("Research use, not for clinical decisions.")
    # what stands before "<br>." is always shown, the rest when asked for
    return f'<html>{intro}<br>. {more}<p><ul style="margin: 0">{items}</ul><p>{notice}</html>'
