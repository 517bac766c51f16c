"""The contexts of a cohort: one set of examples per structure, and what happens when a bad one is taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import ContextError
from .cohort import Cohort

if TYPE_CHECKING:
    from ...core.context.context_set import ContextSet, Example


class Contexts:
    """Opens each structure's context once. Examples that are taken out are kept aside, so that old predictions can still be replayed."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self._open: dict[str, ContextSet] = {}

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

    def others(self, structure: str, case: str) -> list[Example]:
        """The examples of all cases but this one."""
        return [example for example in self.get(structure).examples if example.case != case]

    def replace_case(self, structure: str, example: Example) -> None:
        """Adds the example of a case; an older one of the same case steps aside, which puts nothing in doubt."""
        for old in [e for e in self.get(structure).examples if e.case == example.case and e.id != example.id]:
            self._put_aside(structure, old)
        self.get(structure).add(example)

    def remove(self, structure: str, example_id: str) -> list[str]:
        """Takes a bad example out and marks all that was predicted with it; gives the ids of the cases that need review now.

        Raises:
            ContextError: no such example.
            CohortError: the cohort is read-only.
        """
        self.cohort.check_writable()
        example = self.find(structure, example_id)
        before = {c.id for c in self.cohort.cases if c.status == "needs review"}
        self.cohort.record("example removed", structure=structure, example=example_id, source=example.case)
        self._put_aside(structure, example)
        return [c.id for c in self.cohort.cases if c.status == "needs review" and c.id not in before]

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

    def _put_aside(self, structure: str, example: Example) -> None:
        self._aside(structure).add(example)
        self.get(structure).remove(example.id)
