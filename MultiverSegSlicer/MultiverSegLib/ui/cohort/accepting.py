"""When the open case may be accepted: not before the user's last click is answered, and not before it can have been looked at."""

from __future__ import annotations

import time
from collections.abc import Callable

from slicer.i18n import tr as _

from ...core.errors import MultiverSegError
from ..shared import options

#: What was opened less than so many seconds ago, and nothing was done in it, can't have been looked at.
SEEN_S = 0.4


class Accepting:
    """``owner``: the CohortPanel. Call ``opened`` when a case was opened."""

    def __init__(self, owner) -> None:
        self.owner = owner
        self._opened_at = 0.0

    def opened(self) -> None:
        self._opened_at = time.monotonic()

    def presenter(self):
        """That of our effect, while it is active in the panel's editor."""
        effect = self.owner.panel.editor.activeEffect()
        return effect.self().presenter if effect is not None and effect.name == options.EFFECT_NAME else None

    def unanswered(self) -> bool:
        """Whether a click waits for its answer."""
        presenter = self.presenter()
        return presenter is not None and presenter.busy

    def when_answered(self, accept: Callable[[], None]) -> None:
        """Accepts once the user's last click is answered: it belongs to the result.

        Raises:
            MultiverSegError: the case has hardly been seen, or slices are still being predicted.
        """
        owner, work = self.owner, self.owner.desk.work
        if work is not None and not work.acted and time.monotonic() - self._opened_at < SEEN_S and self._segmented():
            raise MultiverSegError(_("{case} was opened just now: look at it first, then accept it.").format(case=work.case_id))
        if owner.panel.predict.busy:
            raise MultiverSegError(_("Slices are still being predicted: wait for them, or cancel that, before accepting."))
        if not self.unanswered():
            accept()
            return

        def then(problem: str) -> None:
            if problem:
                owner.say(_("Not accepted: {reason}").format(reason=problem))
            elif owner.desk.work is work:
                owner.guarded(accept)

        owner.say(_("The last click is being answered; then it is accepted."))
        self.presenter().when_answered(then)

    def _segmented(self) -> bool:
        desk = self.owner.desk
        return any(desk.work.nodes.stamp(structure.name) for structure in desk.cohort.structures)
