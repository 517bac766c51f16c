import numpy as np
import pytest
import torch
from core.reference_network import cross_network
from MultiverSegLib.benchmarks.network import VARIANTS, _gflop, _runner, bench_network, print_table, probe_rates, published_forward
from MultiverSegLib.core.networks import MultiverSegNet


@pytest.mark.parametrize("entries", [0, 3])
def test_the_published_way_equals_the_equations(entries):
    state = {k: v.double() for k, v in MultiverSegNet(5, 2, (4, 6, 8)).state_dict().items()}
    target, context = torch.rand(2, 5, 16, 24).double(), torch.rand(2, entries, 2, 16, 24).double()
    torch.testing.assert_close(published_forward(state, target, context), cross_network(state, target, context))


def test_bench_compares_both_ways(capsys):
    result = bench_network([0, 2], features=8, size=32, repeats=1, threads=1)
    assert result["reachable_gflops"] > 0 and [r["entries"] for r in result["rows"]] == [0, 2] and result["threads"] == 1
    for row in result["rows"]:
        assert row["ratio"] == pytest.approx(row["ours"]["seconds"] / row["published"]["seconds"], rel=0.1)
        assert row["difference"] < 1e-5
        assert row["ours"]["gflop"] <= row["published"]["gflop"]
        assert 0.05 < row["ours"]["peak_gb"] < 5 and 0.05 < row["published"]["peak_gb"] < 5
        assert 0 < row["ours"]["rate"] <= 1 and 0 < row["published"]["rate"] <= 1, "nothing is faster than what the machine reaches"
    print_table(result)
    assert "ratio" in capsys.readouterr().err


def test_ours_computes_fewer_operations():
    ours, published = (_gflop(_runner(variant, 4, 16, 64)) for variant in VARIANTS)
    assert 0 < ours < 0.9 * published


def test_operations_are_counted_in_full():
    """The decoder's upsampled half costs 9 mixings on a quarter of the pixels and two matrix products instead of 9 mixings on all pixels."""
    features, n, size = 96, 3, 32
    counted = _gflop(_runner("ours", n, features, size))

    def direct(channels, side):
        return 2 * 9 * channels * features * side**2

    def upsampled(side):
        half = side // 2
        return 2 * (9 * features**2 * half**2 + 9 * features * half**2 * side + features * 3 * half * side**2)

    sides = [size, size // 2, size // 4, size // 8]
    per_stream = [sum(direct(c, s) + direct(features, s) for c, s in zip([first, *[features] * 3], sides, strict=True)) for first in (5, 2)]
    decoder = [upsampled(s) + 2 * direct(features, s) for s in sides[2::-1]]
    target, entry = (encoder + sum(decoder) for encoder in per_stream)
    expected = target + n * (entry - direct(features, size)) + 2 * features * size**2
    assert counted == pytest.approx(expected / 1e9, rel=0.001)


def test_the_reachable_rate_is_measured_at_the_networks_sizes():
    rates = probe_rates(features=16, size=32, repeats=2)
    assert {name for name in rates if name.endswith("x1")} == {f"3x3 {side} x1" for side in (32, 16, 8, 4)}
    assert all(rate > 0 for rate in rates.values())


def test_each_way_has_a_process_of_its_own():
    """Memory that only one way needs shows in its figure alone, and what the starting process once used in neither."""
    ballast = np.ones(220_000_000)  # 1.8 GB, more than both ways need
    del ballast
    row = bench_network([24], features=48, size=64, repeats=1, threads=1)["rows"][0]
    assert row["published"]["peak_gb"] > row["ours"]["peak_gb"] + 0.02
