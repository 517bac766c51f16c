"""Asking a predictor with the examples of a context, or for a structure that it knows: the few lines that everybody who predicts would write alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from .context.example import Example
from .context.showing import show
from .predicting import Cancel, Capabilities, Prediction, Predictor, Progress, Query, Request, ShownExample, Structure


def for_structure(predictor: Predictor, name: str, code: str = "") -> Predictor:
    """The predictor asked for the structure of this ``name`` or SNOMED CT ``code`` in every request; itself if it does not know the structure (then
    prompts and examples say what is meant)."""
    known = predictor.capabilities.known(name, code) if name or code else None
    return predictor if known is None else _AskedFor(predictor, known)


class _AskedFor:
    """See ``predicting.Predictor``. A request that asks for something itself stays as it is."""

    def __init__(self, predictor: Predictor, structure: Structure) -> None:
        self._predictor = predictor
        self._structure = structure

    @property
    def capabilities(self) -> Capabilities:
        return replace(self._predictor.capabilities, needs=(), asked=self._structure)

    @property
    def description(self) -> str:
        return self._predictor.description

    def predict(self, request: Request, cancel: Cancel = None, progress: Progress | None = None) -> Prediction:
        return self._predictor.predict(self._asked(request), cancel, progress)

    def predict_batch(self, requests: Sequence[Request], cancel: Cancel = None, progress: Progress | None = None) -> list[Prediction]:
        return self._predictor.predict_batch([self._asked(request) for request in requests], cancel, progress)

    def _asked(self, request: Request) -> Request:
        return request if request.query is not None else replace(request, query=Query(self._structure.name))


def ask(
    predictor: Predictor,
    image: np.ndarray,
    prompts: np.ndarray | None = None,
    previous: np.ndarray | None = None,
    examples: Iterable[Example | ShownExample] = (),
    query: Query | None = None,
    cancel: Cancel = None,
) -> Prediction:
    """The answer about one image; see ``ask_each``."""
    return ask_each(predictor, [image], [prompts], [previous], examples, query, cancel)[0]


def ask_each(
    predictor: Predictor,
    images: Sequence[np.ndarray],
    prompts: Sequence[np.ndarray | None] | None = None,
    previous: Sequence[np.ndarray | None] | None = None,
    examples: Iterable[Example | ShownExample] = (),
    query: Query | None = None,
    cancel: Cancel = None,
) -> list[Prediction]:
    """The answers about several images with the same examples, as the model can be asked.

    Args:
        images: on the model's grid; ``prompts`` and ``previous``: one per image or None, see ``predicting.Request``. Previous results are given to
            models that read them.
        examples: those that the model can't read are left out, and the predictions' ``notice`` says so.
        query: what is asked for by name.

    Raises:
        MultiverSegError: the model can't read a prompt, or has nothing to go by.
        Cancelled: ``cancel`` was set.
    """
    able = predictor.capabilities
    shown, notice = show(examples, able)
    requests = Request.each(images, prompts, previous if able.refines else None, shown, query)
    found = predictor.predict_batch(requests, cancel)
    return [replace(p, notice="; ".join(filter(None, (notice, p.notice)))) for p in found] if notice else found
