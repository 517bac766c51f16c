"""The seam: requests and answers travel as arrays, and a model says in a sentence what it can't do."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.core.predicting import Capabilities, Cost, Prediction, Query, Request, ShownExample, Structure, Taught

RANDOM = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return RANDOM.random(shape, dtype=np.float32)


def through_a_file(arrays: dict) -> dict:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def same(a: object, b: object) -> bool:
    return a is b is None or np.array_equal(a, b)


@pytest.mark.parametrize("shape", [(8, 8), (4, 4, 4)])
def test_requests_come_back_from_a_file(shape):
    mask = (array(*shape) > 0.5).astype(np.uint8)
    examples = (ShownExample("a", array(*shape), mask), ShownExample("b\n☃", array(*shape), None, array(3, *shape)))
    for query in (None, Query("left atrium"), Query("x", Taught(array(4, 16), array(4, 16), "ab12"))):
        for given in (Request(array(*shape)), Request(array(*shape), array(3, *shape), array(*shape), examples, query)):
            back = Request.from_arrays(through_a_file(given.to_arrays()))
            assert all(same(getattr(back, name), getattr(given, name)) for name in ("image", "prompts", "previous"))
            assert back.image.dtype == np.float32
            for one, other in zip(back.examples, given.examples, strict=True):
                assert one.id == other.id and all(same(getattr(one, n), getattr(other, n)) for n in ("image", "mask", "prompts"))
            assert (back.query is None) == (given.query is None)
            if given.query is not None:
                assert back.query.structure == given.query.structure
                if given.query.taught is not None:
                    assert np.array_equal(back.query.taught.features, given.query.taught.features)
                    assert back.query.taught.weights == "ab12"


def test_answers_come_back_from_a_file():
    for presence in (None, 0.25):
        given = Prediction(array(8, 8), array(8, 8) - 0.5, 0.75, presence, "compact", "CPU", 1.5, 3, "Some notice.")
        back = Prediction.from_arrays(through_a_file(given.to_arrays()))
        assert np.array_equal(back.probability, given.probability) and np.array_equal(back.logits, given.logits)
        assert {**vars(back), "probability": 0, "logits": 0} == {**vars(given), "probability": 0, "logits": 0}
        assert back.absent == (presence is not None)


def test_malformed_arrays_are_said_in_one_sentence():
    whole = Request(array(4, 4), None, None, (ShownExample("a", array(4, 4)),), Query("x")).to_arrays()
    for broken in ({}, {"about": np.array("{")}, {"about": np.array("{}")}, {k: v for k, v in whole.items() if k != "examples.0.image"}):
        with pytest.raises(MultiverSegError, match="Malformed request") as caught:
            Request.from_arrays(broken)
        assert "\n" not in str(caught.value)
    for broken in ({}, {"probability": array(2, 2), "logits": array(2, 2), "about": np.array('{"more": 1}')}):
        with pytest.raises(MultiverSegError, match="Malformed prediction"):
            Prediction.from_arrays(broken)
    with pytest.raises(MultiverSegError, match="Malformed description"):
        Capabilities.from_json({"model": "x"})


ATRIUM = Structure("Left atrium", "82471001")
HEART = Capabilities(
    "heart", 2, 8, ("positive", "negative"), "none", ("structure", "prompt"), (ATRIUM, Structure("scar")), True, True, "f00d"
)
BOXES = Capabilities("boxes", 3, 4, ("box",), "prompts", ("example", "prompt"), refines=False, cost=Cost(10, 5, 100))
MASKS = Capabilities("masks", 2, 8, (), "masks", ("example",))


def test_descriptions_come_back_from_json():
    import json

    for known in (HEART, BOXES, MASKS):
        assert Capabilities.from_json(json.loads(json.dumps(known.to_json()))) == known
    assert BOXES.cost.seconds(8) == 0.5 and HEART.cost.seconds() is None


def prompts(shape: tuple, *channels: int) -> np.ndarray:
    drawn = np.zeros((3, *shape), np.float32)
    drawn[list(channels)] = 1
    return drawn


@pytest.mark.parametrize(
    ("capabilities", "request_", "words"),
    [
        (HEART, Request(array(9, 9)), r"works on 8 x 8 cells: the image has 9 x 9"),
        (HEART, Request(array(8, 8), array(2, 8, 8)), r"the prompts has 2 x 8 x 8"),
        (HEART, Request(array(8, 8), prompts((8, 8), 0, 1)), r"reads no boxes: use points on the structure or points beside"),
        (HEART, Request(array(8, 8)), r"nothing to go by: give the name of a structure it knows or a prompt"),
        (HEART, Request(array(8, 8), prompts((8, 8))), r"nothing to go by"),
        (HEART, Request(array(8, 8), query=Query("liver")), r"does not know 'liver': it knows Left atrium, scar"),
        (HEART, Request(array(8, 8), query=Query("x", Taught(array(4, 2), array(4, 2), "beef"))), r"other weights"),
        (HEART, Request(array(8, 8), None, None, (ShownExample("a", array(8, 8), array(8, 8)),), Query("scar")), r"reads no examples"),
        (BOXES, Request(array(4, 4, 4), prompts((4, 4, 4), 1)), r"reads no points on the structure: use boxes"),
        (
            BOXES,
            Request(array(4, 4, 4), None, None, (ShownExample("a", array(4, 4, 4), None, prompts((4, 4, 4), 1)),)),
            r"example a: .* boxes",
        ),
        (BOXES, Request(array(4, 4, 4), None, None, (ShownExample("a", array(8, 8, 8), array(8, 8, 8)),)), r"example a has 8 x 8 x 8"),
        (BOXES, Request(array(4, 4, 4), query=Query("scar")), r"it knows no structure by name"),
        (MASKS, Request(array(8, 8), None, None, (ShownExample("a", array(8, 8), None, prompts((8, 8), 1)),)), r"reads masks"),
        (MASKS, Request(array(8, 8)), r"give an example"),
    ],
)
def test_what_a_model_can_not_answer_is_said_in_one_sentence(capabilities, request_, words):
    with pytest.raises(MultiverSegError, match=words) as caught:
        capabilities.check(request_)
    assert "\n" not in str(caught.value) and str(caught.value).count(". ") == 0


def test_what_a_model_can_answer_passes():
    for query in (Query("LEFT ATRIUM "), Query("", Taught(array(4, 2), array(4, 2), "f00d"))):
        HEART.check(Request(array(8, 8), query=query))
    HEART.check(Request(array(8, 8), prompts((8, 8), 1)))
    BOXES.check(Request(array(4, 4, 4), None, None, (ShownExample("a", array(4, 4, 4), None, prompts((4, 4, 4), 0, 1)),)))
    MASKS.check(Request(array(8, 8), None, None, (ShownExample("a", array(8, 8), array(8, 8)),)))


def test_the_seam_needs_no_torch():
    code = "import sys; import MultiverSegLib.core.predicting, MultiverSegLib.core.predictors; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(p for p in sys.path if p)})
