"""Many simulated people at once: each works on an own image, one pass of the method answers all of them (MultiverSeg, sections 6.1 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .metrics import hd95
from .protocols import SimulatedUser
from .queries import Entry, Method, Query
from .simulate import TARGET_DICE, fast_dice


@dataclass(eq=False)
class Sitting:
    """One person and one image: ``label`` bool [H, W] is the reference, ``user`` draws, ``context`` is what was accepted before.

    Attributes:
        dices: after each number of steps, the first without a prompt (NaN where there was nothing to predict from).
        logits: of the last prediction; None before the first.
    """

    image: np.ndarray
    label: np.ndarray
    user: SimulatedUser
    context: tuple[Entry, ...] = ()
    dices: list[float] = field(default_factory=lambda: [float("nan")])
    logits: np.ndarray | None = None
    prompts: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """Interactions so far."""
        return len(self.dices) - 1

    @property
    def mask(self) -> np.ndarray:
        """bool [H, W]: the last prediction; empty before the first."""
        return np.zeros(self.label.shape, bool) if self.logits is None else self.logits > 0

    @property
    def probability(self) -> np.ndarray:
        """float32 [H, W] of the last prediction; zeros before the first."""
        if self.logits is None:
            return np.zeros(self.label.shape, np.float32)
        return (1 / (1 + np.exp(-np.clip(self.logits, -80, 80)))).astype(np.float32)

    def distance(self) -> float:
        """HD95 in pixels between the last prediction and the reference, by MONAI; NaN where the prediction is empty."""
        return hd95(self.mask, self.label)


def work_together(method: Method, sittings: Sequence[Sitting], cap: int, target: float | None = TARGET_DICE) -> None:
    """Segments every sitting's image until its Dice reaches ``target`` or it took ``cap`` steps; with ``target`` None always ``cap`` steps.

    With examples (of a method that reads them) the first prediction needs no prompt. A method that can't be corrected predicts once.
    The batches depend on nothing but the sittings and how they go.
    """
    cap = cap if method.interactive else 0
    waiting = [s for s in sittings if method.in_context and s.context]
    for sitting in sittings:
        sitting.user.reset()
    _predict(method, waiting, prompted=False)
    while True:
        going = [s for s in sittings if s.steps < cap and (target is None or not s.dices[-1] >= target)]
        if not going:
            return
        for sitting in going:
            first = sitting.logits is None
            user = sitting.user
            sitting.prompts = user.first(sitting.label) if first else user.correct(sitting.label, sitting.mask, sitting.prompts)
        _predict(method, going, prompted=True)


def _predict(method: Method, sittings: Sequence[Sitting], prompted: bool) -> None:
    if not sittings:
        return
    answers = method.predict([Query(s.image, s.prompts, s.logits, s.context) for s in sittings])
    for sitting, logits in zip(sittings, answers, strict=True):
        sitting.logits = logits
        dice = fast_dice(logits > 0, sitting.label)
        if prompted:
            sitting.dices.append(dice)
        else:
            sitting.dices[0] = dice
