"""Python packages that Slicer doesn't bring: asked for once, when something needs them, and installed by Slicer's own functions."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

import slicer
from slicer.i18n import tr as _

from ...core.errors import MultiverSegError


def ensure(what: str, needed: Sequence[str], missing: Callable[[Sequence[str]], Sequence[str]]) -> None:
    """Has the packages installed that aren't there yet, if the user agrees. Main thread, from a button only.

    Args:
        what: what needs them, for the question: "The report".
        needed: as pip takes them: "highdicom>=0.22".
        missing: those of them that are not there.

    Raises:
        MultiverSegError: the user declined, or they can't be installed.
    """
    absent = list(missing(needed))
    if not absent:
        return
    try:
        _install(what, absent)
    except Exception as error:  # pip, and the user's refusal, come as any exception
        raise MultiverSegError(
            _("{what} needs {packages}, which was not installed: {reason}").format(what=what, packages=", ".join(absent), reason=error)
        ) from error
    importlib.invalidate_caches()
    if still := missing(needed):
        raise MultiverSegError(
            _("{what} needs {packages}. Install it, restart Slicer if needed, and try again.").format(what=what, packages=", ".join(still))
        )


def _install(what: str, packages: list[str]) -> None:
    """With ``slicer.packaging`` (Slicer 5.12), which asks by itself; before with ``slicer.util``."""
    try:
        from slicer.packaging import pip_ensure
    except ImportError:
        question = _("{what} needs the Python packages {packages}. Install them now?").format(what=what, packages=", ".join(packages))
        if not slicer.util.confirmYesNoDisplay(question, _("Install Python packages")):
            raise MultiverSegError(_("it was declined.")) from None
        slicer.util.pip_install(packages)
        return
    from packaging.requirements import Requirement

    pip_ensure([Requirement(package) for package in packages], requester=_("MultiverSeg: {what}").format(what=what))
