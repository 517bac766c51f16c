"""Any two-dimensional predictor as a method: models that ``batched`` can't take apart are asked through the seam, one query after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ..core.errors import MultiverSegError
from ..core.predicting import Predictor, Request, ShownExample
from .queries import Entry, Query


class SeamModel:
    """See ``queries.Method``. Soft masks are thresholded, as the seam's examples are of 0 and 1.

    Raises:
        MultiverSegError: the model works on volumes.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._capabilities = predictor.capabilities
        if self._capabilities.dims != 2:
            raise MultiverSegError(f"{self._capabilities.model} works on volumes: these experiments are of slices.")

    @property
    def interactive(self) -> bool:
        """Whether it reads points."""
        return {"positive", "negative"} <= set(self._capabilities.prompts)

    @property
    def in_context(self) -> bool:
        """Whether it reads examples."""
        return self._capabilities.context != "none"

    @property
    def reads_weak_examples(self) -> bool:
        """Whether it reads examples that have prompts in place of a mask."""
        return self._capabilities.context == "prompts"

    def predict(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """Logits float32 [H, W] of each query."""
        found = self._predictor.predict_batch([self._request(q) for q in queries])
        return [np.nan_to_num(prediction.logits.astype(np.float32)) for prediction in found]

    def _request(self, query: Query) -> Request:
        examples = tuple(_shown(entry) for entry in query.context) if self.in_context else ()
        previous = query.logits if self._capabilities.refines else None
        return Request(query.image, query.prompts, previous, examples)


def _shown(entry: Entry) -> ShownExample:
    mask = None if entry.mask is None else (entry.mask >= 0.5).astype(np.float32)
    parts = [np.packbits(a > 0).tobytes() if a is not None else b"none" for a in (mask, entry.prompts)]
    name = hashlib.sha256(entry.image.tobytes() + b"".join(parts)).hexdigest()[:16]
    return ShownExample(name, entry.image, mask, entry.prompts)
