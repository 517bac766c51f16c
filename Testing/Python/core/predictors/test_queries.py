"""A network that is asked for structures by name, behind the seam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from MultiverSegLib.core.errors import Cancelled, MultiverSegError
from MultiverSegLib.core.models.checkpoints import save_checkpoint
from MultiverSegLib.core.networks.verse import Verse
from MultiverSegLib.core.predicting import Predictor, Query, Request, Taught
from MultiverSegLib.core.predictors import open_predictor
from MultiverSegLib.core.predictors.queries import MOST_CLICKS, QueryPredictor, clicks_of

N = 64


def network(**options) -> Verse:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = Verse(("atrium", "ventricle"), 4, N, (8, 8, 16, 16), 32, 4, 16, 8, 4, **options)
        for value in made.parameters():
            if value.ndim > 1:
                value.data = torch.randn(value.shape) * (1.4 / value[0].numel() ** 0.5)
    return made.eval()


IMAGE = np.random.default_rng(0).random((N, N), dtype=np.float32)
PREVIOUS = np.random.default_rng(1).standard_normal((N, N)).astype(np.float32)


def clicked(*places: tuple[int, int, int]) -> np.ndarray:
    """[3, n, n] with pixels (row, column, channel)."""
    channels = np.zeros((3, N, N), np.float32)
    for row, col, channel in places:
        channels[channel, row, col] = 1
    return channels


@torch.inference_mode()
def test_the_mode_follows_from_what_is_there():
    made = network()
    predictor = QueryPredictor(made, "heart")
    assert isinstance(predictor, Predictor)
    image, query = torch.from_numpy(IMAGE)[None, None], made.query([1])
    drawn, clicks = clicked((9, 12, 1), (40, 30, 2)), torch.tensor([[[9.0, 12, 1], [40, 30, 0]]])
    previous = torch.from_numpy(PREVIOUS)[None, None].sigmoid()
    for request, expected in (
        (Request(IMAGE, query=Query("Ventricle")), made(image, query)),
        (Request(IMAGE, drawn, PREVIOUS, query=Query("ventricle")), made(image, query, clicks, previous)),
        (Request(IMAGE, drawn), made(image, None, clicks)),
        (Request(IMAGE, drawn, np.zeros((N, N), np.float32)), made(image, None, clicks)),  # no previous result is not one half
        (Request(IMAGE, clicked(), PREVIOUS, query=Query("ventricle")), made(image, query)),  # without prompts: automatic again
    ):
        found = predictor.predict(request)
        assert np.allclose(found.logits, expected[0, 0].numpy(), atol=1e-4)
        assert found.model == "heart" and found.probability.shape == (N, N)


def test_an_image_is_encoded_once_for_structures_and_clicks():
    predictor = QueryPredictor(network(), "heart")
    encode, count = predictor._run.network.encode, []
    predictor._run.network.encode = lambda image: (count.append(1), encode(image))[1]
    requests = [Request(IMAGE, query=Query("atrium")), Request(IMAGE, query=Query("ventricle")), Request(IMAGE, clicked((3, 4, 1)))]
    first, second, third = predictor.predict_batch(requests)
    assert len(count) == 1 and not np.array_equal(first.logits, second.logits) and not np.array_equal(second.logits, third.logits)
    predictor.predict(Request(IMAGE[::-1], query=Query("atrium")))
    assert len(count) == 2
    assert np.array_equal(predictor.predict(requests[0]).logits, first.logits)


def test_predictions_with_drawn_click_encoders_can_be_repeated():
    request = Request(IMAGE, clicked((3, 4, 1), (30, 40, 2)))
    assert np.array_equal(QueryPredictor(network(), "a").predict(request).logits, QueryPredictor(network(), "b").predict(request).logits)


@torch.inference_mode()
def test_taught_vectors_are_asked_for_by_the_weights_they_belong_to():
    made = network()
    predictor = QueryPredictor(made, "heart")
    query = made.query([1])
    vectors = query.features[0].numpy(), query.embedding[0].numpy()
    taught = Taught(*vectors, predictor.capabilities.weights)
    found = predictor.predict(Request(IMAGE, query=Query("mine", taught)))
    assert np.allclose(found.logits, predictor.predict(Request(IMAGE, query=Query("ventricle"))).logits, atol=1e-4)
    with pytest.raises(MultiverSegError, match="mine belongs to other weights"):
        predictor.predict(Request(IMAGE, query=Query("mine", Taught(*vectors, "0" * 64))))


def test_strokes_are_shown_whole_and_stood_for_by_some_of_their_pixels():
    channels = np.zeros((2, N, N), np.float32)
    channels[0, 10, 5:60] = 1
    channels[0, 40, 40] = channels[1, 50, 50] = 1
    clicks, strokes = clicks_of(channels)
    assert len(clicks) == MOST_CLICKS and strokes[0].sum() == 55 and not strokes[1].any()
    assert [40, 40, 1] in clicks.tolist() and [50, 50, 0] in clicks.tolist() and [10, 5, 1] in clicks.tolist()
    assert {row for row, _, sign in clicks.tolist() if sign} == {10, 40}
    many = np.zeros((2, N, N), np.float32)
    many[0, ::2, ::8] = 1
    assert len(clicks_of(many)[0]) == 32 * 8  # clicks are never dropped
    predictor = QueryPredictor(network(), "heart")
    drawn = np.concatenate([np.zeros((1, N, N), np.float32), channels])
    assert np.isfinite(predictor.predict(Request(IMAGE, drawn)).logits).all()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(IMAGE, clicked((3, 4, 0))), "heart reads no boxes: use points"),
        (Request(IMAGE, query=Query("liver")), "does not know 'liver': it knows atrium, ventricle"),
        (Request(IMAGE), "nothing to go by"),
        (Request(IMAGE[:32, :32], query=Query("atrium")), "works on 64 x 64 cells"),
    ],
)
def test_what_it_can_not_do_is_said_in_one_sentence(request_, words):
    with pytest.raises(MultiverSegError, match=words) as caught:
        QueryPredictor(network(), "heart").predict(request_)
    assert "\n" not in str(caught.value)


def test_cancelling_stops_after_the_encoding():
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        QueryPredictor(network(), "heart").predict(Request(IMAGE, query=Query("atrium")), lambda: next(asked))


def test_the_cost_is_that_of_a_prediction():
    cost = QueryPredictor(network(), "heart").capabilities.cost
    assert 0.01 < cost.gflop < 1 and cost.seconds() > 0


def test_a_file_is_opened_by_its_path(tmp_path):
    predictor = open_predictor(save_checkpoint(tmp_path / "heart.pt", network(clicks="learned"), half=False), "cpu")
    assert isinstance(predictor, QueryPredictor) and predictor.description == "heart on CPU"
    assert [s.name for s in predictor.capabilities.structures] == ["atrium", "ventricle"]
    found = predictor.predict(Request(IMAGE, query=Query("atrium")))
    assert np.allclose(found.logits, QueryPredictor(network(clicks="learned"), "x").predict(Request(IMAGE, query=Query("atrium"))).logits)
