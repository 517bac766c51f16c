"""A predictor behind the seam for tests, whose answers are known: one method says what it thinks."""

from __future__ import annotations

import numpy as np
from MultiverSegLib.core.predicting import PROMPTS, Capabilities, Prediction


class FakePredictor:
    """Subclasses give logits in ``answer``; ``able`` holds fields of ``Capabilities`` that differ from a model that reads everything.

    ``seen`` keeps the requests.
    """

    name, size, able = "fake", 128, {}

    def __init__(self):
        self.seen = []

    @property
    def capabilities(self):
        return Capabilities(**{"model": self.name, "dims": 2, "size": self.size, "prompts": PROMPTS, "context": "prompts", **self.able})

    @property
    def description(self):
        return f"{self.name} on CPU"

    def answer(self, image, prompts, previous, examples):
        """Logits [n, n]."""
        raise NotImplementedError

    def predict(self, request, cancel=None, progress=None):
        return self.predict_batch([request], cancel, progress)[0]

    def predict_batch(self, requests, cancel=None, progress=None):
        return [self.predicted(request) for request in requests]

    def predicted(self, request):
        self.capabilities.check(request)
        self.seen.append(request)
        logits = self.answer(request.image, request.prompts, request.previous, request.examples)
        return prediction(logits, model=self.name, n_context=len(request.examples))


def prediction(logits, **fields):
    """A prediction with these logits."""
    logits = np.asarray(logits, np.float32)
    probability = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return Prediction(probability, logits, **{"confidence": 0.9, "model": "fake", "device": "CPU", "seconds": 0.01, **fields})
