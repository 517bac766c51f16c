"""The batched methods against the predictor that a person uses, and methods made of several models."""

import numpy as np
import pytest
from MultiverSegLib.core.asking import ask
from MultiverSegLib.core.context.example import Example
from MultiverSegLib.core.errors import CheckpointError, MultiverSegError
from MultiverSegLib.core.predicting import Capabilities
from MultiverSegLib.core.predictors import open_predictor
from MultiverSegLib.evaluation.batched import BatchedModel
from MultiverSegLib.evaluation.methods import Composed, MethodSpec, method_spec, open_method
from MultiverSegLib.evaluation.queries import Entry, Query
from MultiverSegLib.evaluation.seam import SeamModel

from .made_up import disk


def pictures(count, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.random((128, 128), np.float32), disk(40 + 5 * i, 60, 12, (128, 128))) for i in range(count)]


def clicks(row, col):
    prompts = np.zeros((3, 128, 128), np.float32)
    prompts[1, row, col] = 1
    return prompts


@pytest.fixture(scope="module", params=["cached", "crossblock"])
def network(request):
    import torch
    from MultiverSegLib.core.networks import MultiverSegNet
    from MultiverSegLib.core.networks.cached import CachedContextNet

    torch.manual_seed(1)
    network = CachedContextNet(reduce=2) if request.param == "cached" else MultiverSegNet(5, 2, [8, 8])
    return network.eval()


def test_a_batch_gives_what_the_predictor_gives_one_by_one(network):
    shown = pictures(5)
    entries = [Entry(image, label.astype(np.float32)) for image, label in shown[:4]]
    examples = [Example(image, label.astype(np.uint8), case=str(i)) for i, (image, label) in enumerate(shown[:4])]
    model, predictor = BatchedModel(network), open_predictor(network, "cpu")
    logits = np.random.default_rng(2).normal(size=(128, 128)).astype(np.float32)
    image = shown[4][0]
    cases = [
        (None, None, (0, 1)),
        (clicks(60, 60), logits, (0, 1)),
        (None, None, (2, 3)),
        (clicks(50, 50), None, ()),
        (clicks(9, 9), None, (1, 2, 3)),
    ]
    queries = [Query(image, prompts, before, tuple(entries[i] for i in chosen)) for prompts, before, chosen in cases]
    for answer, (prompts, before, chosen) in zip(model.predict(queries), cases, strict=True):
        expected = ask(predictor, image, prompts, before, [examples[i] for i in chosen]).logits
        np.testing.assert_allclose(answer, expected, atol=2e-3 * max(1, np.abs(expected).max()))


def test_through_the_seam_a_network_says_the_same(network):
    (a, b), model = pictures(2, seed=5), BatchedModel(network)
    queries = [Query(b[0], clicks(30, 30), None, (Entry(a[0], a[1].astype(np.float32)),)), Query(b[0], clicks(9, 9))]
    seam = SeamModel(open_predictor(network, "cpu"))
    assert seam.interactive and seam.in_context
    for answer, expected in zip(seam.predict(queries), model.predict(queries), strict=True):
        np.testing.assert_allclose(answer, expected, atol=2e-3 * max(1, np.abs(expected).max()))


def test_models_of_volumes_are_refused():
    class Volumes:
        capabilities = Capabilities("solid", 3, 64)

    with pytest.raises(MultiverSegError, match="solid works on volumes"):
        SeamModel(Volumes())


def test_what_was_computed_before_changes_nothing(network):
    (a, b, c), model = pictures(3, seed=4), BatchedModel(network)
    query = Query(c[0], clicks(30, 30), None, (Entry(a[0], a[1].astype(np.float32)),))
    other = Query(c[0], None, None, (Entry(b[0], b[1].astype(np.float32)),))
    first = model.predict([query])[0]
    model.predict([other, other])
    assert np.array_equal(model.predict([query])[0], first)


class Says:
    """Answers with its number; notes what it was asked."""

    def __init__(self, number, interactive=True, in_context=True):
        self.number, self.interactive, self.in_context, self.asked = number, interactive, in_context, []

    def predict(self, queries):
        self.asked += queries
        return [np.full(q.image.shape, self.number, np.float32) for q in queries]


def test_universeg_corrected_by_scribbleprompt_from_five_examples_on():
    image = np.zeros((8, 8), np.float32)
    entry = Entry(image, image)
    sp, uvs = Says(1, in_context=False), Says(2, interactive=False)
    method = Composed(MethodSpec("SP+UVS", "uvs", "sp", "sp", minimum=5), {"uvs": uvs, "sp": sp})
    prompts = np.zeros((3, 8, 8), np.float32)
    few, many = (entry,) * 4, (entry,) * 5
    answers = method.predict(
        [Query(image, prompts, None, few), Query(image, None, None, many), Query(image, prompts, image + 2, many), Query(image, prompts)]
    )
    assert [float(a[0, 0]) for a in answers] == [1, 2, 1, 1] and method.interactive and method.in_context
    assert all(not q.context for q in sp.asked) and sp.asked[1].logits[0, 0] == 2, "UniverSeg's prediction is what is corrected"


def test_without_context_examples_are_not_shown():
    image = np.zeros((8, 8), np.float32)
    model = Says(3)
    method = Composed(MethodSpec("m alone", "m", use_context=False), {"m": model})
    method.predict([Query(image, None, None, (Entry(image, image),))])
    assert not method.in_context and model.asked[0].context == ()


def test_names_that_people_type(tmp_path):
    spec, alone = method_spec("compact"), method_spec("compact:alone")
    assert (spec.name, spec.use_context, alone.name, alone.use_context) == ("compact", True, "compact without context", False)
    assert len(spec.checksums[0][1]) == 64 and open_method(spec).interactive
    other = MethodSpec(**{**vars(spec), "checksums": (("compact", "0" * 64),)})
    with pytest.raises(CheckpointError, match="are others"):
        open_method(other)
    with pytest.raises(MultiverSegError, match="malformed"):
        method_spec("sp+uvs:one")
    with pytest.raises(CheckpointError, match="neither a model"):
        method_spec(str(tmp_path / "none.pt"))
