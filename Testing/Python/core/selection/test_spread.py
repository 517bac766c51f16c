"""The strategies that look for variety: what they choose among examples whose likeness is known."""

import numpy as np
import pytest
from MultiverSegLib.core.context.context_set import ContextSet, Example
from MultiverSegLib.core.selection import select

ROW, COL = np.mgrid[:128, :128]


def picture(angle, noise=0.0, seed=0):
    """A gradient; the correlation of two is the cosine of the angle between them."""
    values = np.cos(angle) * (ROW - 63.5) + np.sin(angle) * (COL - 63.5)
    values = values + noise * np.random.default_rng(seed).normal(size=values.shape)
    return ((values - values.min()) / np.ptp(values)).astype(np.float32)


def example(angle, name):
    return Example(picture(angle), np.ones((128, 128)), case=name)


def names(chosen):
    return [e.case for e in chosen]


def test_diverse_takes_one_of_many_alike():
    alike = [example(0.1 + n * 1e-3, f"alike {n}") for n in range(8)]
    other = [example(-0.5, "left"), example(2.5, "far")]
    assert names(select("diverse", picture(0.0), [*alike, *other], 2)) == ["alike 0", "left"]
    assert all(n.startswith("alike") for n in names(select("most_similar", picture(0.0), [*alike, *other], 2)))


def test_balanced_takes_near_and_far():
    examples = [example(n * 0.3, str(n)) for n in range(10)]
    assert names(select("balanced", picture(0.0), examples, 4)) == ["0", "1", "2", "9"]
    assert names(select("balanced", picture(0.0), examples, 1)) == ["0"]


@pytest.mark.parametrize("strategy", ["diverse", "balanced"])
@pytest.mark.parametrize("cap", [0, 1, 5, 12, 99])
def test_no_example_twice_and_never_more_than_the_cap(strategy, cap):
    examples = [example(n * 0.2, str(n)) for n in range(12)]
    chosen = names(select(strategy, picture(0.05), examples, cap))
    assert len(chosen) == len(set(chosen)) == min(cap, 12)


@pytest.mark.parametrize("strategy", ["diverse", "balanced"])
def test_the_contexts_own_features_give_the_same(strategy):
    context, examples = ContextSet(), [example(n * 0.2, str(n)) for n in range(12)]
    context.extend(examples)
    assert names(context.selection(picture(0.3), strategy, 5)) == names(select(strategy, picture(0.3), context.examples, 5))


@pytest.mark.parametrize("strategy", ["diverse", "balanced"])
def test_constant_images_are_no_trouble(strategy):
    flat = [Example(np.full((128, 128), n / 9), np.ones((128, 128)), case=str(n)) for n in range(4)]
    assert len(select(strategy, np.zeros((128, 128), np.float32), flat, 3)) == 3
