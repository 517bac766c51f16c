import pytest
import torch
from core.reference_network import cross_network
from MultiverSegLib.cli.bench_network import bench_network, print_table, published_forward
from MultiverSegLib.core.networks import MultiverSegNet


@pytest.mark.parametrize("entries", [0, 3])
def test_the_published_way_equals_the_equations(entries):
    state = {k: v.double() for k, v in MultiverSegNet(5, 2, (4, 6, 8)).state_dict().items()}
    target, context = torch.rand(2, 5, 16, 24).double(), torch.rand(2, entries, 2, 16, 24).double()
    torch.testing.assert_close(published_forward(state, target, context), cross_network(state, target, context))


def test_bench_compares_both_ways(capsys):
    result = bench_network([0, 2], features=8, size=32, repeats=1, threads=1)
    assert result["matmul_gflops"] > 0 and [r["entries"] for r in result["rows"]] == [0, 2]
    for row in result["rows"]:
        assert row["ratio"] == pytest.approx(row["ours"]["seconds"] / row["published"]["seconds"], rel=0.1)
        assert row["difference"] < 1e-5
        assert row["ours"]["gflop"] <= row["published"]["gflop"]
        assert 0.05 < row["ours"]["peak_gb"] < 5 and 0.05 < row["published"]["peak_gb"] < 5
    print_table(result)
    assert "ratio" in capsys.readouterr().err


def test_ours_computes_fewer_operations():
    row = bench_network([4], features=16, size=64, repeats=1, memory=False)["rows"][0]
    assert 0 < row["ours"]["gflop"] < 0.9 * row["published"]["gflop"]
    assert row["ours"]["peak_gb"] is None
