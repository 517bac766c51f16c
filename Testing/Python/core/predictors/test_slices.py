"""Networks for slices behind the seam give what the predictor gives that has always run them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.core.models.checkpoints import save_checkpoint
from MultiverSegLib.core.networks import MultiverSegNet, ScribblePromptUNet
from MultiverSegLib.core.predicting import Predictor, Query, Request, ShownExample
from MultiverSegLib.core.predictor import Predictor as OldPredictor
from MultiverSegLib.core.predictors import open_predictor
from MultiverSegLib.core.predictors.slices import SlicePredictor, _shown

RANDOM = np.random.default_rng(0)
IMAGE, PREVIOUS = RANDOM.random((128, 128), dtype=np.float32), RANDOM.standard_normal((128, 128)).astype(np.float32)
PROMPTS = (RANDOM.random((3, 128, 128)) > 0.999).astype(np.float32)
MASK = (RANDOM.random((128, 128)) > 0.5).astype(np.uint8)


def file(folder, network):
    torch.manual_seed(0)
    return save_checkpoint(folder / "x.pt", network)


def test_compact_answers_as_before():
    predictor, old = open_predictor("compact", "cpu"), OldPredictor("compact", "cpu")
    assert isinstance(predictor, Predictor) and isinstance(predictor, SlicePredictor)
    capabilities = predictor.capabilities
    assert (capabilities.dims, capabilities.size, capabilities.context) == (2, 128, "prompts") and not capabilities.structures
    examples = (ShownExample("a", IMAGE[::-1], MASK), ShownExample("b", IMAGE[:, ::-1], None, PROMPTS))
    requests = [Request(IMAGE, PROMPTS, PREVIOUS, examples), Request(IMAGE, None, None, examples), Request(IMAGE, PROMPTS)]
    steps = []
    found = predictor.predict_batch(requests, progress=lambda done, of: steps.append((done, of)))
    assert steps == [(2, 3), (3, 3)]
    for request, prediction in zip(requests, found, strict=True):
        expected = old.predict(request.image, request.prompts, request.previous, [_shown(e) for e in request.examples])
        assert np.allclose(prediction.logits, expected.logits, atol=1e-3)
        assert prediction.confidence == pytest.approx(expected.confidence, abs=1e-3)
        assert (prediction.presence is None) == (expected.presence is None)
    with pytest.raises(MultiverSegError, match="knows no structure by name"):
        predictor.predict(Request(IMAGE, query=Query("liver")))


def test_what_other_networks_read(tmp_path):
    masks = open_predictor(file(tmp_path, MultiverSegNet(5, 2, (4, 6))), "cpu")
    assert masks.capabilities.context == "masks"
    with pytest.raises(MultiverSegError, match="reads masks"):
        masks.predict(Request(IMAGE, None, None, (ShownExample("b", IMAGE, None, PROMPTS),)))
    alone = open_predictor(file(tmp_path, ScribblePromptUNet(5, (4, 4))), "cpu")
    assert alone.capabilities.context == "none" and alone.capabilities.refines
    universeg = open_predictor(file(tmp_path, MultiverSegNet(1, 2, (4, 6), norm=None)), "cpu")
    assert universeg.capabilities.prompts == () and universeg.capabilities.needs == ("example",)
    with pytest.raises(MultiverSegError, match="has no prompts at all"):
        universeg.predict(Request(IMAGE, PROMPTS))
