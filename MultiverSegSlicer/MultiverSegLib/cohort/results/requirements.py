"""Python packages that a result needs and Slicer doesn't bring: who asks for them names them here, the panel offers to install them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from .formats import FORMATS

#: What report.html is made with.
REPORT = ("jinja2>=3.1", "matplotlib>=3.8")


def requirements(*formats: str) -> tuple[str, ...]:
    """The packages that these export formats need beyond those of Slicer, as pip takes them ("highdicom>=0.22"), each once.

    Raises:
        CohortError: unknown format.
    """
    return tuple(dict.fromkeys(need for name in formats for need in FORMATS.get(name).needs))


def missing(needed: Iterable[str]) -> list[str]:
    """Those of ``needed`` that are not installed, or too old. Imports none of them."""
    return [need for need in needed if not _satisfied(need)]


def _satisfied(requirement: str) -> bool:
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    try:
        return wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False
