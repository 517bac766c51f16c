"""VerSe: equal to its published code in all modes, and what is true of it at any width."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from core.networks.reference_rule import error, image, layout, parameter, reference
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.networks.verse import ObjectQuery, Verse
from MultiverSegLib.core.networks.verse.published import architecture_of, used_part

pytestmark = pytest.mark.usefixtures("one_thread")
TOLERANCE = 2e-4
CASES = ["automatic_128", "refine_128", "interactive_1_128", "interactive_3_128", "automatic_256", "refine_256"]


@pytest.fixture(scope="module")
def published():
    """The published layout with the rule's parameters; the drawn click encoders have theirs under ``clicks.``."""
    file = reference("verse")
    with torch.random.fork_rng():
        network = file.fill(Verse())
    for name, value in network.named_buffers():
        if name.startswith("clicks."):
            value.copy_(torch.from_numpy(parameter(name, tuple(value.shape), file.gain, file.seed)))
    return network


def inputs(case: str) -> tuple[torch.Tensor, list[int] | None, torch.Tensor | None, torch.Tensor | None]:
    file, (scenario, size) = reference("verse"), case.rsplit("_", 1)
    keys = [f"verse.{size}.{scenario}.{j}.{variant}" for j, variant in enumerate(file[f"{case}.variants"])]
    shape = 1, 1, int(size), int(size)
    images = np.concatenate([image(f"{key}.image", shape, file.seed) for key in keys])
    structures, clicks, previous = None, None, None
    if f"{case}.structures" in file.arrays:
        structures = [int(n) - 1 for n in file[f"{case}.structures"]]
    if f"{case}.clicks" in file.arrays:
        clicks = torch.from_numpy(file[f"{case}.clicks"].astype(np.float32))
    if scenario in ("refine", "interactive_3"):
        previous = torch.from_numpy(np.concatenate([image(f"{key}.previous", shape, file.seed) for key in keys]))
    return torch.from_numpy(images), structures, clicks, previous


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_the_published_code_gives_the_same_in_all_six_layers(published, case):
    file, (images, structures, clicks, previous) = reference("verse"), inputs(case)
    features = published.backbone(((images - 0.367) / 3.13).repeat(1, 3, 1, 1))
    for name, feature in zip(("res5", "res4", "res3"), features, strict=True):
        found = torch.stack([feature.mean((2, 3)), feature.std((2, 3))], dim=1)
        assert torch.allclose(found, torch.from_numpy(file[f"{case}.{name}"]), rtol=1e-5, atol=3e-3)
    query = None if structures is None else published.query(structures)
    layers = published.layers(published.encode(images), query, clicks, previous)
    for number, logits in enumerate(layers):
        assert error(logits, file[f"{case}.layer{number}"]) < TOLERANCE, number


TINY = {"encoder_widths": (8, 8, 16, 16), "width": 32, "heads": 4, "hidden": 16, "pixel_hidden": 8, "head_width": 4, "size": 64}
SWITCHES = [
    {"clicks": "learned"},
    {"semantic": False},
    {"negative_stream": False},
    {"residual": False, "clicks": "learned"},
    {"semantic": False, "negative_stream": False, "residual": False, "clicks": "learned"},
]


def tiny(**options) -> Verse:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = Verse(**{"structures": ["atrium", "ventricle"], **TINY, **options})
        for value in network.parameters():
            if value.ndim > 1:
                value.data = torch.randn(value.shape) * (1.4 / value[0].numel() ** 0.5)
    return network.eval()


IMAGE = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
CLICKS = torch.tensor([[[20.0, 30, 1], [40, 10, 0]], [[50, 5, 1], [9, 63, 1]]])


@pytest.mark.parametrize("options", [{}, *SWITCHES])
def test_every_mode_of_every_variant_predicts_learns_and_is_rebuilt(options):
    network = tiny(**options)
    again = build_network(network.architecture)
    assert again.architecture == network.architecture
    again.load_state_dict(network.state_dict())
    query, previous = network.query([0, 1]), torch.rand(2, 1, 64, 64)
    modes = {"automatic": (query, None, None), "refine": (query, CLICKS, previous), "interactive": (None, CLICKS, None)}
    results = {mode: network(IMAGE, *given) for mode, given in modes.items()}
    with torch.no_grad():
        for mode, given in modes.items():
            assert results[mode].shape == IMAGE.shape and torch.isfinite(results[mode]).all()
            assert torch.equal(again.eval()(IMAGE, *given), results[mode])
    assert not torch.equal(results["automatic"], results["refine"])
    layers = [layer for given in modes.values() for layer in network.layers(network.encode(IMAGE), *given)]
    sum(layer.square().mean() for layer in layers).backward()
    idle = {name for name, value in network.named_parameters() if value.grad is None}
    assert not idle


def test_drawn_click_encoders_are_the_same_every_time_and_in_no_checkpoint():
    first, second, other = tiny(), tiny(), tiny(seed=1)
    assert not [name for name in first.state_dict() if name.startswith("clicks.")]
    with torch.no_grad():
        assert torch.equal(first(IMAGE, None, CLICKS), second(IMAGE, None, CLICKS))
        assert not torch.equal(first(IMAGE, None, CLICKS), other(IMAGE, None, CLICKS))
    assert [name for name in tiny(clicks="learned").state_dict() if name.startswith("clicks.semantic.1.2.negative")]


def test_drawing_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(3)
    Verse(**{**TINY, "clicks": "drawn", "seed": 7})
    a = torch.rand(1)
    torch.manual_seed(3)
    Verse(**{**TINY, "clicks": "drawn", "seed": 8})
    assert torch.equal(a, torch.rand(1))


@torch.no_grad()
def test_an_image_is_encoded_once_for_all_structures_and_clicks():
    network = tiny()
    encoded = network.encode(IMAGE)
    for given in ((network.query([1, 0]), None), (network.query([1, 1]), CLICKS), (None, CLICKS)):
        whole = network(IMAGE, *given)
        assert torch.equal(network.upsampled(network.layers(encoded, *given)[-1], (64, 64)), whole)
        for n in range(2):
            alone = network(
                IMAGE[n : n + 1],
                given[0] and ObjectQuery(*(p[n : n + 1] for p in given[0])),
                None if given[1] is None else given[1][n : n + 1],
            )
            assert torch.allclose(alone, whole[n : n + 1], atol=1e-4)


@torch.no_grad()
def test_clicks_count_by_place_and_sign_not_by_order():
    network = tiny()
    given = network(IMAGE, None, CLICKS)
    assert torch.allclose(network(IMAGE, None, CLICKS.flip(1)), given, atol=1e-4)
    turned = CLICKS.clone()
    turned[..., 2] = 1 - turned[..., 2]
    assert not torch.allclose(network(IMAGE, None, turned), given, atol=1e-2)


@torch.no_grad()
def test_taught_vectors_stand_for_a_structure():
    """Vectors [M,C] from outside of the network, of any number, for every sample of a batch."""
    network = tiny()
    own = network.query([1])
    taught = ObjectQuery(own.features[0], own.embedding[0])
    assert torch.allclose(network(IMAGE, taught), network(IMAGE, network.query([1, 1])), atol=1e-5)
    assert network(IMAGE, ObjectQuery(torch.randn(7, 32), torch.randn(7, 32))).shape == IMAGE.shape


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda n: n(IMAGE), "something must be clicked"),
        (lambda n: n(IMAGE, None, CLICKS[:, :0]), "something must be clicked"),
        (lambda n: n.query([2]), "knows 2 structures"),
        (lambda n: n(IMAGE[..., :60], n.query([0])), "multiples of 64"),
        (lambda n: n(IMAGE[..., :32, :32], n.query([0])), "multiples of 64"),
    ],
)
def test_what_can_not_be_predicted_is_said_in_one_sentence(act, words):
    with pytest.raises(MultiverSegError, match=words) as caught:
        act(tiny())
    assert "\n" not in str(caught.value)


def test_the_published_layout_is_ours_but_for_what_it_never_reads():
    with torch.device("meta"):
        network, published = Verse(), {k: torch.empty(shape) for k, shape in layout("verse").items()}
    ours = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    assert ours.items() <= layout("verse").items()
    assert sum(p.numel() for p in network.parameters()) == 44_978_681
    assert {k: tuple(v.shape) for k, v in used_part(published).items()} == ours
    with torch.device("meta"):
        assert build_network(architecture_of(published)).architecture == network.architecture


@pytest.mark.parametrize("options", [{}, *SWITCHES])
def test_switches_are_read_off_names(options):
    network = tiny(**options)
    found, known = architecture_of(network.state_dict()), network.architecture
    for name in ("encoder_widths", "width", "hidden", "pixel_hidden", "head_width", "clicks", "semantic", "negative_stream", "residual"):
        assert found[name] == known[name], name
