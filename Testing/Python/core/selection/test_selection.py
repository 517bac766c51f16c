import time
import tracemalloc

import numpy as np
import pytest
from MultiverSegLib.core.context.context_set import ContextSet, Example
from MultiverSegLib.core.context.example import image_feature
from MultiverSegLib.core.errors import ContextError
from MultiverSegLib.core.selection import STRATEGIES, select

MASK = np.pad(np.ones((20, 20), np.uint8), 54)


def disc(row, col):
    rows, cols = np.mgrid[:128, :128]
    return (np.hypot(rows - row, cols - col) < 25).astype(np.float32)


@pytest.fixture(scope="module")
def examples():
    return [Example(disc(20 + 8 * i, 64), MASK, case=str(i)) for i in range(12)]


def test_the_three_strategies_are_there():
    assert set(STRATEGIES.names) >= {"all", "most_recent", "most_similar", "diverse", "balanced"}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES.names))
def test_every_strategy_keeps_to_the_interface(strategy, examples):
    image = disc(60, 64)
    for cap in (0, 1, 5, 12, 40, None):
        chosen = select(strategy, image, examples, cap)
        assert len(chosen) == min(12, 12 if cap is None else cap)
        assert len({e.id for e in chosen}) == len(chosen) and set(chosen) <= set(examples)
    assert select(strategy, image, [], 5) == []
    assert select(strategy, image, examples, 3, unknown_hint=1) == select(strategy, image, examples, 3)


def test_all_keeps_the_order_and_spreads_over_it(examples):
    assert select("all", examples[0].image, examples) == examples
    assert [e.case for e in select("all", examples[0].image, examples, 3)] in (["0", "5", "11"], ["0", "6", "11"])


def test_most_recent(examples):
    assert [e.case for e in select("most_recent", examples[0].image, examples, 3)] == ["9", "10", "11"]


def test_most_similar(examples):
    assert [e.case for e in select("most_similar", disc(20 + 8 * 7 - 1, 64), examples, 3)] == ["7", "6", "8"]
    brighter = 0.2 + 0.5 * disc(36, 64)  # brightness and contrast don't matter
    assert select("most_similar", brighter, examples, 1)[0].case == "2"


def test_most_similar_takes_the_newest_of_equals():
    same = [Example(disc(64, 64), MASK, case=str(i)) for i in range(4)]
    assert [e.case for e in select("most_similar", np.zeros((128, 128)), same, 2)] == ["3", "2"]


def test_feature_is_the_correlation_of_block_means():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 128, 128))
    blocks = [np.array([[x[8 * i : 8 * i + 8, 8 * j : 8 * j + 8].mean() for j in range(16)] for i in range(16)]).ravel() for x in (a, b)]
    assert image_feature(a) @ image_feature(b) == pytest.approx(np.corrcoef(*blocks)[0, 1], abs=1e-4)
    assert not image_feature(np.full((128, 128), 0.3)).any()


def test_bad_requests(examples):
    with pytest.raises(ContextError, match="Unknown context selection"):
        select("best", examples[0].image, examples, 3)
    with pytest.raises(ContextError, match="zero or more"):
        select("all", examples[0].image, examples, -1)


def test_context_remembers_features(tmp_path):
    context = ContextSet(tmp_path / "c")
    context.extend([Example(disc(20 + 8 * i, 64), MASK, case=str(i)) for i in range(4)])
    image = disc(28, 64)
    assert context.selection(image, "most_similar", 1)[0].case == "1"
    reopened = ContextSet(tmp_path / "c")
    assert all(e.has_feature for e in reopened)
    assert reopened.selection(image, "most_similar", 1)[0].case == "1"
    reopened.remove(reopened.examples[1].id)
    reopened.add(Example(disc(30, 64), MASK, case="new"))
    assert reopened.selection(image, "most_similar", 1)[0].case == "new"
    (tmp_path / "c" / ".features").write_bytes(b"junk")
    assert ContextSet(tmp_path / "c").selection(image, "most_similar", 1)[0].case == "new"


def test_ten_thousand_examples_cost_little_memory_to_select_from():
    rng = np.random.default_rng(0)
    facts = Example(disc(64, 64), MASK).facts()
    pixels = Example(disc(64, 64), MASK).pixels
    reads = []

    def read():
        reads.append(1)
        return pixels

    examples = [Example.lazy({**facts, "id": f"{i:016x}"}, read) for i in range(10_000)]
    for e in examples:
        e.remember_feature(rng.standard_normal(256))
    matrix = np.stack([e.feature for e in examples])
    tracemalloc.start()
    started = time.perf_counter()
    chosen = select("most_similar", disc(30, 30), examples, 8, features=matrix)
    print(f"10,000 examples: {1000 * (time.perf_counter() - started):.1f} ms")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chosen) == 8 and not reads and peak < 50e6
