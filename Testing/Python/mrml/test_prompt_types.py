"""Every kind of prompt has every ability: drawn, stored, moved, shown and kept as markups. A kind that is registered without one fails here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from MultiverSegLib.core.encoding import encode_prompts
from MultiverSegLib.core.prompts import PROMPT_TYPES, Box, Point, Prompt, Prompts, Scribble
from MultiverSegLib.core.volume_prompts import encode_volume_prompts
from MultiverSegLib.mrml.prompt_markups import MARKUPS, prompts_from_markups, prompts_to_markups
from MultiverSegLib.mrml.volumes import remove_node

EXAMPLES = {
    "point": [Point((3.0004, -2.0, 1.0)), Point((8.5, 4.0, 1.0), positive=False)],
    "scribble": [
        Scribble(((-9.0, 0, 1.0), (7.12345, 8.0, 1.0), (12.0, 9.0, 1.0)), width=3.0),
        Scribble(((0, 0, 1), (9, 0, 1), (4, 7, 1)), False, filled=True),
    ],
    "box": [Box((2.0, 3.0, 1.0), (12.00049, 9.0, 4.0))],
}
EVERY = [prompt for prompts in EXAMPLES.values() for prompt in prompts]
#: 20 degrees about S, and a shift.
TURN = np.array([[0.9396926208, -0.3420201433, 0, 5], [0.3420201433, 0.9396926208, 0, -7], [0, 0, 1, 3], [0, 0, 0, 1]])
#: (col, row, mm) of a slice at S = 1, and cells of a cube, to RAS.
SLICE = np.array([[0.5, 0, 0, -30.13], [0, 0.5, 0, -30.17], [0, 0, 1, 1], [0, 0, 0, 1]], float)
CUBE = np.array([[1, 0, 0, -30], [0, 1, 0, -30], [0, 0, 1, -30], [0, 0, 0, 1]], float)


def lacking(kind: type[Prompt]) -> list[str]:
    """What a kind of prompt can't do."""
    missing = sorted(getattr(kind, "__abstractmethods__", ()))
    if not isinstance(getattr(kind, "kind", None), str) or PROMPT_TYPES.get(kind.kind) is not kind:
        missing.append("kind")
    if kind not in MARKUPS:
        missing.append("markups")
    return missing


def test_every_registered_kind_has_every_ability_and_an_example_here():
    assert {name: lacking(kind) for name, kind in PROMPT_TYPES.items()} == {name: [] for name in PROMPT_TYPES}
    assert list(EXAMPLES) == list(PROMPT_TYPES)
    assert all(type(prompt) is PROMPT_TYPES[name] for name, prompts in EXAMPLES.items() for prompt in prompts)


def test_a_kind_that_lacks_something_is_seen():
    class Ellipse(Prompt):
        kind = "ellipse"

        def points_ras(self):
            return np.zeros((1, 3))

    assert lacking(Ellipse) == ["draw", "draw_volume", "moved", "outline", "kind", "markups"]


@pytest.mark.parametrize("prompt", EVERY, ids=lambda prompt: prompt.title)
class TestOne:
    def test_is_rounded_when_it_is_made_and_stored_as_it_is(self, prompt):
        assert max(abs(v - round(v, 3)) for v in np.ravel(prompt.points_ras())) < 1e-9 or isinstance(prompt, Box)
        text = json.dumps(Prompts((prompt,)).to_json())
        assert Prompts.from_json(json.loads(text)) == Prompts((prompt,))

    def test_is_drawn_into_its_channel(self, prompt):
        flat, solid = encode_prompts([prompt], SLICE, 2.0), encode_volume_prompts([prompt], CUBE, 64)
        assert [c for c in range(3) if flat[c].any()] == [c for c in range(3) if solid[c].any()] == [prompt.channel]

    def test_moves_with_the_patient(self, prompt):
        """Moved together with the grid, it is drawn as before but for pixels at its rim; moved back, it is where it was."""
        there = prompt.moved(TURN)
        before, after = encode_prompts([prompt], SLICE, 2.0), encode_prompts([there], TURN @ SLICE, 2.0)
        assert (before != after).sum() <= 0.03 * before.sum() + 1
        assert np.allclose(there.points_ras(), prompt.points_ras() @ TURN[:3, :3].T + TURN[:3, 3], atol=2e-3)
        assert np.allclose(there.moved(np.linalg.inv(TURN)).points_ras(), prompt.points_ras(), atol=2e-3)
        assert (there.channel, there.title) == (prompt.channel, prompt.title)

    def test_its_outline_lies_on_what_it_sets(self, prompt):
        outline = prompt.outline()
        located = np.array(outline.points) @ np.linalg.inv(SLICE)[:3, :3].T + np.linalg.inv(SLICE)[:3, 3]
        drawn = encode_prompts([prompt], SLICE, 2.0)[prompt.channel]
        for col, row in located[:, :2].round().astype(int):
            assert drawn[row - 1 : row + 2, col - 1 : col + 2].any()

    def test_comes_back_from_its_markup(self, prompt, host):
        nodes = prompts_to_markups(Prompts((prompt,)))
        try:
            (back,) = (found for node in nodes for found in prompts_from_markups(node))
        finally:
            for node in nodes:
                remove_node(node)
        assert back == prompt


def test_prompts_of_any_kinds_keep_their_order_as_markups(host):
    nodes = prompts_to_markups(Prompts(tuple(EVERY)))
    try:
        assert [found for node in nodes for found in prompts_from_markups(node)] == EVERY
        assert len(nodes) == len(EVERY) - 1, "points that follow each other share a list"
    finally:
        for node in nodes:
            remove_node(node)
