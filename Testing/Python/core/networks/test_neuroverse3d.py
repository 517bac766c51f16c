"""The 3D network of WS-ICL: equal to its published code, and what is true of it at any width."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from core.networks.reference_rule import error, image, layout, mask, reference
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.networks.neuroverse3d import Neuroverse3D, architecture_of, combined

pytestmark = pytest.mark.usefixtures("one_thread")
TOLERANCE = 5e-5
WIDTHS = {"small": (4, 8, 16, 32, 64), "published": (32, 64, 128, 256, 512)}
CASES = [
    "small_b1_n1_32x32x32",
    "small_b1_n3_32x32x32",
    "small_b2_n2_16x48x32",
    "published_b1_n1_32x32x32",
    "published_b1_n3_32x32x32",
]


@pytest.fixture(scope="module")
def networks():
    built = {}

    def get(size):
        if size not in built:
            built[size] = reference("neuroverse3d").fill(Neuroverse3D(WIDTHS[size]))
        return built[size]

    return get


def inputs(case: str) -> tuple[torch.Tensor, torch.Tensor]:
    seed, key = reference("neuroverse3d").seed, f"neuroverse3d.{case}"
    batch, count, *size = map(int, re.findall(r"\d+", case))
    target = image(f"{key}.target", (batch, 1, *size), seed, 3)
    shape = (batch, count, 1, *size)
    context = np.concatenate([image(f"{key}.context_image", shape, seed, 3), mask(f"{key}.context_prompt", shape, seed, 3)], axis=2)
    return torch.from_numpy(target), torch.from_numpy(context)


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_the_published_code_gives_the_same(networks, case):
    network, (target, context) = networks(case.partition("_")[0]), inputs(case)
    expected = reference("neuroverse3d")[case]
    assert error(network(target, context), expected) < TOLERANCE
    if case == CASES[1]:
        for piece in (1, 2, 3, 9):
            assert error(network(target, context, piece), expected) < TOLERANCE


@pytest.mark.parametrize("size", ["small", "published"])
def test_the_published_layout_is_ours_and_tells_its_widths(size):
    with torch.device("meta"):
        network = Neuroverse3D(WIDTHS[size])
    state = network.state_dict()
    assert {k: tuple(v.shape) for k, v in state.items()} == layout(f"neuroverse3d.{size}")
    with torch.device("meta"):
        assert build_network(architecture_of(state)).architecture == network.architecture
    if size == "published":
        assert sum(v.numel() for v in state.values()) == 70_854_913


def lively(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for value in network.parameters():
        value.data = torch.randn(value.shape, generator=generator) * (1.2 / max(1, value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1)
    return network.eval()


OPTIONS = [
    {"widths": (4, 6, 6, 8)},  # equal neighbours: a pool without parameters
    {"widths": (4, 6), "convolutions": 3, "norm": "group1"},
    {"widths": (6, 8, 10), "fold": 2, "norm": "group1", "context_channels": 5, "output": "logits"},
]


@pytest.mark.parametrize("options", OPTIONS)
@torch.inference_mode()
def test_forward_is_the_composition_of_its_steps(options):
    network = lively(Neuroverse3D(**options))
    torch.manual_seed(1)
    target, context = torch.rand(2, 1, 16, 32, 16), torch.rand(2, 5, network.context_channels, 16, 32, 16)
    whole = network(target, context)
    assert whole.shape == target.shape and whole.std() > 0.01
    encoded = network.encode_target(target)
    for pieces in ((1, 1, 1, 1, 1), (2, 3), (5,)):
        readings = [network.read(encoded, part) for part in context.split(pieces, dim=1)]
        assert (network.decode(encoded, combined(readings)) - whole).abs().max() < 1e-5 * whole.std()
    changed = context.clone()
    changed[:, 4] = torch.rand_like(changed[:, 4])
    kept = network.read(encoded, context[:, :4])
    again = network.decode(encoded, combined([kept, network.read(encoded, changed[:, 4:])]))
    expected = network(target, changed)
    assert (again - expected).abs().max() < 1e-5 * expected.std() and (expected - whole).abs().max() > 1e-3
    assert (network(target, context.flip(1)) - whole).abs().max() < 1e-5 * whole.std()
    alone = network(target[:1], context[:1])
    assert (alone - whole[:1]).abs().max() < 1e-5 * whole.std()


@pytest.mark.parametrize("options", OPTIONS)
def test_every_variant_is_rebuilt_from_its_description(options):
    network = Neuroverse3D(**options)
    again = build_network(network.architecture)
    assert again.architecture == network.architecture
    again.load_state_dict(network.state_dict())
    assert architecture_of(network.state_dict()).items() <= {**network.architecture, "output": ""}.items()


@torch.inference_mode()
def test_folding_puts_every_voxel_back_in_its_place():
    network = Neuroverse3D((4, 6), fold=2)
    x = torch.rand(2, 1, 4, 6, 8)
    assert torch.equal(network._unfolded(network._folded(x)), x)
    folded = network._folded(x)
    assert folded.shape == (2, 8, 2, 3, 4)
    assert torch.equal(folded[0, :, 1, 2, 3], x[0, 0, 2:4, 4:6, 6:8].flatten())


@torch.inference_mode()
def test_a_regression_becomes_logits_that_agree_about_one_half():
    network = Neuroverse3D((4, 6))
    output = torch.tensor([-3.0, 0.0, 0.4999, 0.5, 0.5001, 1.0, 9.0])
    logits = network.logits(output)
    assert torch.equal(torch.sigmoid(logits) > 0.5, output > 0.5) and logits.abs().max() <= 8
    assert torch.equal(Neuroverse3D((4, 6), output="logits").logits(output), output)


@pytest.mark.parametrize(
    ("target", "context", "words"),
    [
        ((1, 1, 16, 16, 16), (1, 0, 2, 16, 16, 16), "at least one"),
        ((1, 1, 12, 16, 16), (1, 1, 2, 12, 16, 16), "multiple of 8, got 12 x 16 x 16"),
        ((1, 1, 16, 16, 16), (1, 1, 2, 16, 16, 8), "examples have 16 x 16 x 8 cells, the volume 16 x 16 x 16"),
        ((1, 1, 16, 16, 16), (1, 1, 1, 16, 16, 16), "context .B,N,2,D,H,W"),
        ((2, 1, 16, 16, 16), (1, 1, 2, 16, 16, 16), "each of 2 targets"),
        ((1, 16, 16, 16), (1, 1, 2, 16, 16, 16), "target .B,1,D,H,W"),
    ],
)
def test_what_can_not_be_predicted_is_said_in_one_sentence(target, context, words):
    with pytest.raises(MultiverSegError, match=words) as caught:
        Neuroverse3D((2, 2, 2, 2))(torch.zeros(target), torch.zeros(context))
    assert "\n" not in str(caught.value)


def test_gradients_reach_every_parameter():
    network = lively(Neuroverse3D((4, 6, 8), fold=2, norm="group1"))
    network(torch.rand(1, 1, 16, 16, 16), torch.rand(1, 2, 2, 16, 16, 16), piece=1).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
