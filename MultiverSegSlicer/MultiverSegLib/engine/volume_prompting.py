"""A structure in a whole volume from prompts on any of its slices: prompted slices are predicted from their prompts, the others propagated.

Arrays only, any thread. A prompt on a slice makes that slice anew, from its own present result, and the slices between it and its prompted
neighbours; the rest stays (see ``volume_propagation``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.asking import ask
from ..core.errors import Cancelled, ContextError
from ..core.predicting import Prediction, Predictor
from .find_slice import find_slice
from .volume_propagation import Confirmed, Limits, SliceResult, VolumePropagation


class VolumePrompting:
    """One structure in one volume. Keeps what it found, for the next prompt.

    Args:
        image: the image of a slice on its grid, float32 [n, n] in 0..1, by index.
        count: number of slices.
        predictor: see ``core.predicting``.
        examples: the cohort's examples (already selected).
        example_of: makes an example of a prompted slice (image, mask, index) for the context of the others.
        limits: where propagation goes and stops; a box in 3D gives ``first`` and ``last``.
        step: distance of two slices in grid pixels.
    """

    def __init__(
        self,
        image: Callable[[int], np.ndarray],
        count: int,
        predictor: Predictor,
        examples: Sequence[Any] = (),
        example_of: Callable[[np.ndarray, np.ndarray, int], Any] | None = None,
        limits: Limits | None = None,
        step: float = 1.0,
    ) -> None:
        self._image, self._count, self._predictor = image, count, predictor
        self._examples, self._example_of = list(examples), example_of
        self._propagation = VolumePropagation(image, count, predictor, examples, example_of, limits, step)
        self._prompts: dict[int, np.ndarray] = {}
        self._confirmed: dict[int, Confirmed] = {}
        self.results: dict[int, SliceResult] = {}

    @property
    def predicted(self) -> int:
        """Slices that propagation predicted so far, all calls together."""
        return self._propagation.predicted

    def run(
        self,
        prompts: Mapping[int, np.ndarray],
        cancel: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda done: None,
    ) -> dict[int, SliceResult]:
        """The slices of the structure by index; slices that aren't in it are missing or empty.

        Args:
            prompts: all prompts [3, n, n] so far by slice index. Without any, the examples say what is wanted.
            cancel: asked before each forward pass.
            progress: gets the number of slices propagated in this call.

        Raises:
            ContextError: neither prompts nor examples.
            Cancelled: ``cancel`` said so; what was there before stays.
        """
        given = {index: np.asarray(channels, np.float32) for index, channels in prompts.items() if np.any(channels)}
        confirmed = {index: entry for index, entry in self._confirmed.items() if index in given}
        for index in sorted(given):
            known = self._prompts.get(index)
            if index not in confirmed or known is None or not np.array_equal(known, given[index]):
                confirmed[index] = self._predicted(index, given[index], confirmed, cancel)
        if not given:
            confirmed = self._found(cancel)
        if all(entry.empty for entry in confirmed.values()):
            results = {}
        else:
            results = self._propagation.run(confirmed, cancel=cancel, progress=progress)
        self._prompts, self.results = given, results
        self._confirmed = confirmed if given else {}
        return results

    def _predicted(self, index: int, channels: np.ndarray, confirmed: Mapping[int, Confirmed], cancel: Callable[[], bool]) -> Confirmed:
        """A prompted slice, from its present result if it has one, with the other prompted slices among the examples."""
        if cancel():
            raise Cancelled("The prediction was cancelled; nothing was changed.")
        before = self._confirmed.get(index)
        previous = self.results[index].logits if before is None and index in self.results else None if before is None else before.previous
        context = self._examples
        if self._example_of is not None and self._predictor.capabilities.context != "none":
            own = sorted((i for i in confirmed if i != index), key=lambda i: abs(i - index))[:2]
            context = [*(self._example_of(self._image(i), confirmed[i].mask, i) for i in own), *context]
        return self._as_confirmed(ask(self._predictor, self._image(index), channels, previous, context))

    def _found(self, cancel: Callable[[], bool]) -> dict[int, Confirmed]:
        """The slice that looks most like the examples, as they alone segment it."""
        if not self._examples:
            raise ContextError("There is nothing to go by: click on the structure, or accept a case first.")
        index = find_slice(self._image, self._count, self._examples, cancel).index
        return {index: self._as_confirmed(ask(self._predictor, self._image(index), examples=self._examples))}

    def _as_confirmed(self, prediction: Prediction) -> Confirmed:
        mask = np.asarray(prediction.probability) > self._propagation.limits.threshold
        return Confirmed(mask.astype(np.uint8), np.asarray(prediction.logits, np.float32))


def within(limits: Limits, first: int, last: int) -> Limits:
    """``limits`` with the slices that a box in 3D leaves."""
    return replace(limits, first=first, last=last)
