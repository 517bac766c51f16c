"""Numbers of things in the user's language: one of them is named differently from several."""

from __future__ import annotations

from slicer.i18n import tr as _


def counted(count: int, one: str, several: str, **parts: object) -> str:
    """``one`` or ``several``, with the number in place of ``{count}`` and ``parts`` in place of their names. Whoever calls translates both."""
    return (one if count == 1 else several).format(count=count, **parts)


def examples(count: int) -> str:
    """E.g. "3 examples"."""
    return counted(count, _("1 example"), _("{count} examples"))
