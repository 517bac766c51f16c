"""The slice to begin with is the one that looks like the context, found without looking at every slice of a long volume."""

import numpy as np
import pytest
from MultiverSegLib.core.context.context_set import Example
from MultiverSegLib.core.errors import Cancelled, ContextError
from MultiverSegLib.engine.find_slice import find_slice

ROW, COL = np.mgrid[:128, :128]


def slice_of(k, center=137, height=60):
    """A ball in a body that widens along the volume: no two slices look alike."""
    radius = np.sqrt(max(0.0, 1 - ((k - center) / height) ** 2)) * 30
    body = np.hypot(ROW - 64, COL - 64) <= 30 + k / 10
    return (0.4 * body + 0.5 * (np.hypot(ROW - 50, COL - 70) <= radius)).astype(np.float32)


def examples(*indices):
    return [Example(slice_of(k), np.ones((128, 128)), case=str(k)) for k in indices]


def test_the_max_slice_is_found_among_three_hundred():
    looked = []
    found = find_slice(lambda k: looked.append(k) or slice_of(k), 300, examples(134, 137, 140))
    assert abs(found.index - 137) <= 3 and found.score > 0.98
    assert len(looked) == len(set(looked)) <= 72


@pytest.mark.parametrize("count", [1, 2, 7, 64, 65])
def test_any_number_of_slices(count):
    assert 0 <= find_slice(slice_of, count, examples(3)).index < count


def test_the_own_slice_is_its_own_best():
    assert find_slice(slice_of, 64, examples(41)).index == 41


def test_cancel_and_no_examples():
    with pytest.raises(Cancelled):
        find_slice(slice_of, 300, examples(1), cancel=lambda: True)
    with pytest.raises(ContextError, match="accept a case first"):
        find_slice(slice_of, 300, [])


def test_examples_of_absence_are_no_guide_unless_there_are_no_others():
    absent = [Example(slice_of(k), np.zeros((128, 128)), case=str(k)) for k in (5, 6, 7)]
    assert all(e.empty for e in absent) and not any(e.empty for e in examples(41))
    assert find_slice(slice_of, 64, [*examples(41), *absent]).index == 41
    assert find_slice(slice_of, 64, absent).index < 12
