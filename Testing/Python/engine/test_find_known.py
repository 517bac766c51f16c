"""A structure that the model knows is found by asking for it on some of the slices."""

import numpy as np
import pytest
from MultiverSegLib.core.asking import for_structure
from MultiverSegLib.core.errors import Cancelled, PromptError
from MultiverSegLib.core.predicting import Capabilities, Query, Request, Structure
from MultiverSegLib.engine.find_known import find_known

from ..fakes import FakePredictor

KNOWN = {"structures": (Structure("left atrium", "82471001"), Structure("aorta")), "needs": ("structure", "prompt"), "context": "none"}


class ByName(FakePredictor):
    """What is bright is the structure, if that is asked for by its name."""

    size, able = 32, KNOWN

    def answer(self, image, prompts, previous, examples):
        wanted = self.seen[-1].query is not None and self.seen[-1].query.structure == "left atrium"
        return np.where(image > 0.5, 4.0, -4.0) if wanted else np.full(image.shape, -4.0)


def ball(center, radius):
    rows, columns = np.mgrid[:32, :32]

    def image(k):
        here = max(0.0, 1 - ((k - center) / radius) ** 2) ** 0.5 * 12
        return (np.hypot(rows - 16, columns - 16) < here).astype(np.float32)

    return image


@pytest.mark.parametrize("count, center", [(1, 0), (9, 3), (24, 20), (50, 31), (300, 137)])
def test_the_slice_with_most_of_it(count, center):
    predictor = ByName()
    found = find_known(ball(center, max(2, count // 5)), count, for_structure(predictor, "Left Atrium"))
    image = ball(center, max(2, count // 5))
    assert image(found.index).sum() >= 0.97 * image(center).sum()
    assert len(predictor.seen) <= 24 + 2 * max(1, int(np.ceil(np.log2(max(2, -(-count // 24))))))


def test_where_it_is_not_there_nothing_is_found():
    assert find_known(lambda k: np.zeros((32, 32), np.float32), 40, for_structure(ByName(), "left atrium")) is None


def test_a_code_is_as_good_as_the_name_and_a_similar_name_is_not():
    assert for_structure(ByName(), "LA", "82471001").capabilities.asked == Structure("left atrium", "82471001")
    for name in ("", "atrium", "left atria", "the left atrium"):
        predictor = ByName()
        assert for_structure(predictor, name) is predictor


def test_what_a_request_asks_for_itself_counts():
    predictor = ByName()
    asked = for_structure(predictor, "left atrium")
    asked.predict(Request(ball(0, 2)(0)))
    asked.predict_batch([Request(ball(0, 2)(0), query=Query("aorta"))])
    assert [request.query.structure for request in predictor.seen] == ["left atrium", "aorta"]
    assert asked.capabilities.needs == () and Capabilities.from_json(asked.capabilities.to_json()) == asked.capabilities


def test_refusals():
    with pytest.raises(PromptError, match="not asked for a structure"):
        find_known(ball(0, 2), 4, ByName())
    with pytest.raises(Cancelled):
        find_known(ball(0, 2), 4, for_structure(ByName(), "aorta"), cancel=lambda: True)
