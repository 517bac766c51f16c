"""The contexts of a cohort: one set of examples per structure, and what happens when a bad one is taken out."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...core.errors import CohortError, ContextError
from .cohort import Cohort
from .records import ACCEPTED, NEEDS_REVIEW, SKIPPED

if TYPE_CHECKING:
    from ...core.context.context_set import ContextSet, Example


class Contexts:
    """Opens each structure's context once. Examples that are taken out are kept aside, so that old predictions can still be replayed.

    The journal is the truth about which cases are examples. Where work was cut short between a context and the journal, the contexts of a cohort
    that is open for writing are brought in line with it first; ``notes`` says what was done.
    """

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.notes: list[str] = []
        self._open: dict[str, ContextSet] = {}
        if not cohort.read_only and not cohort.reconciled:
            cohort.reconciled = True
            for structure in cohort.structures:
                with suppress(ContextError):  # a damaged context: whoever uses it says so
                    self._reconcile(structure.name)

    def get(self, structure: str) -> ContextSet:
        """The structure's context (examples in order of acceptance)."""
        return self._opened(structure, self.cohort.context_folder(structure))

    def _aside(self, structure: str) -> ContextSet:
        folder = self.cohort.context_folder(structure)
        return self._opened(f"{structure} removed", folder.parent / f".removed {folder.name}")

    def _opened(self, key: str, folder: Any) -> ContextSet:
        from ...core.context.context_set import ContextSet

        if key not in self._open:
            self._open[key] = ContextSet(folder)
        return self._open[key]

    def teaching(self, structure: str) -> list[Example]:
        """The examples that proposals are made with; none where not a single one shows the structure: then nothing can be found by them."""
        examples = list(self.get(structure).examples)
        return [] if all(example.empty for example in examples) else examples

    def others(self, structure: str, case: str) -> list[Example]:
        """The examples of all cases but this one."""
        return [example for example in self.get(structure).examples if example.case != case]

    def replace_case(self, structure: str, example: Example) -> None:
        """Adds the example of a case; an older one of the same case steps aside, which puts nothing in doubt."""
        self.get(structure).add(example)
        self._put_case_aside(structure, example.case, keep=example.id)

    def skip(self, case_id: str, note: str = "") -> None:
        """Leaves a case out, also as an example; ``note`` says why."""
        self.cohort.record("status", case=case_id, status=SKIPPED, note=note)
        for structure in self.cohort.structures:
            self._put_case_aside(structure.name, case_id)

    def reopen(self, case_id: str, structures: Iterable[str] = ()) -> None:
        """Takes the acceptance of a case (or of some of its structures) back: it is in progress again, and no example any more.

        Raises:
            CohortError: read-only, or there is nothing to take back.
        """
        case = self.cohort.case(case_id)
        names = [self.cohort.structure(name).name for name in structures] or list(self.cohort.state.structures)
        accepted = [name for name in names if case.work(name).status == ACCEPTED]
        if not accepted and case.status != SKIPPED:
            raise CohortError(f"Nothing of {case_id} is accepted: it is {case.status} already.")
        self.cohort.record("reopened", case=case_id, structures=accepted)
        for name in accepted:
            self._put_case_aside(name, case_id)

    def remove(self, structure: str, example_id: str) -> list[str]:
        """Takes a bad example out and marks all that was predicted with it; gives the ids of the cases that need review now.

        Raises:
            ContextError: no such example.
            CohortError: the cohort is read-only.
        """
        self.cohort.check_writable()
        example = self.find(structure, example_id)
        before = {c.id for c in self.cohort.cases if c.status == NEEDS_REVIEW}
        self.cohort.record("example removed", structure=structure, example=example_id, source=example.case)
        self._put_aside(structure, example)
        return [c.id for c in self.cohort.cases if c.status == NEEDS_REVIEW and c.id not in before]

    def find(self, structure: str, example_id: str) -> Example:
        """An example, taken out or not.

        Raises:
            ContextError: there never was one of this id.
        """
        for context in (self.get(structure), self._aside(structure)):
            for example in context.examples:
                if example.id == example_id:
                    return example
        raise ContextError(f"The context of {structure} has no example {example_id}.")

    def summary(self, structure: str) -> str:
        """What the context holds, for a person: "3 full, 5 weak" (weak: prompts without a mask)."""
        examples = self.get(structure).examples
        weak = sum(e.weak for e in examples)
        full = len(examples) - weak
        return f"{full} full, {weak} weak" if weak else f"{full} full"

    def _put_case_aside(self, structure: str, case_id: str, keep: str = "") -> None:
        for example in [e for e in self.get(structure).examples if e.case == case_id and e.id != keep]:
            self._put_aside(structure, example)

    def _reconcile(self, structure: str) -> None:
        """What no event made an example steps aside; what one did comes back, if it still is aside.

        Examples of cases that are not the cohort's (of an imported context) are left alone.
        """
        known = {work.example for case in self.cohort.cases if (work := case.work(structure)).example}
        present = {e.id for e in self.get(structure).examples if e.case in self.cohort.state.cases}
        if known == present:
            return
        known = self._by_the_journal(structure)  # the first version's snapshot does not tell all
        for example in [e for e in self.get(structure).examples if e.id in present - known]:
            self._put_aside(structure, example)
            self.notes.append(f"{structure}: the example of {example.case} was taken out; the journal does not know it as accepted.")
        for example in [e for e in self._aside(structure).examples if e.id in known - present]:
            self.get(structure).add(example)
            self.notes.append(f"{structure}: the example of {example.case} was put back; the journal knows it as accepted.")

    def _by_the_journal(self, structure: str) -> set[str]:
        """The ids of the examples that the structure has after all events."""
        examples: dict[str, str] = {}
        for event in self.cohort.journal.events():
            kind, case = event["event"], event.get("case", "")
            of_this = event.get("structure") == structure
            if of_this and kind in ("accepted", "example added") and event.get("example"):
                examples[case] = event["example"]
            elif of_this and kind == "example removed":
                examples = {c: example for c, example in examples.items() if example != event["example"]}
            elif (kind == "status" and event["status"] == SKIPPED) or (
                kind == "reopened" and structure in event.get("structures", (structure,))
            ):
                examples.pop(case, None)
        return set(examples.values())

    def _put_aside(self, structure: str, example: Example) -> None:
        self._aside(structure).add(example)
        self.get(structure).remove(example.id)
