"""What was noticed while something was done to a cohort, kept in its journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...core.notices import noticed
from .cohort import Cohort


@contextmanager
def noting(cohort: Cohort, case: str = "") -> Iterator[None]:
    """Record the notices of the block as one event "noticed" (``texts``, and the ``case`` they are about), if there are any."""
    with noticed() as texts:
        yield
    keep(cohort, texts, case)


def keep(cohort: Cohort, texts: list[str], case: str = "") -> None:
    """Record ``texts``, if there are any."""
    if texts:
        cohort.record("noticed", texts=texts, **({"case": case} if case else {}))
