"""What was noticed while something was done to a cohort, kept in its journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...core.notices import noticed
from .cohort import Cohort


@contextmanager
def noting(cohort: Cohort, case: str = "") -> Iterator[None]:
    """Record the notices of the block as one event "noticed" (``texts``, and the ``case`` they are about), if there are any."""
    with noticed() as texts:
        yield
    keep(cohort, texts, case)


def keep(cohort: Cohort, texts: Sequence[str], case: str = "") -> None:
    """Record ``texts``, if there are any; of a case only those that its journal doesn't hold yet (its files are read again and again)."""
    if texts and case:
        known = {text for event in cohort.journal.events(case=case) if event["event"] == "noticed" for text in event["texts"]}
        texts = [text for text in texts if text not in known]
    if texts:
        cohort.record("noticed", texts=list(texts), **({"case": case} if case else {}))
