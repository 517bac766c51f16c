import pytest
import torch
from core.reference_network import cross_network, scribbleprompt_unet
from MultiverSegLib.core.errors import CheckpointError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.networks import MultiverSegNet, Network, ScribblePromptUNet
from MultiverSegLib.core.networks.convolution import PartConvolution, Upsampled, convolve


def randomised(network, seed=0):
    """Random weights everywhere, norms and biases included, so that no parameter's role is hidden by a neutral value."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = 1 + 0.3 * noise if "norml.weight" in name else 0.1 * noise
    return network.eval()


def double_state(network):
    return {k: v.double() for k, v in network.state_dict().items()}


@pytest.mark.parametrize("entries", [0, 1, 2, 7])
@pytest.mark.parametrize(("height", "width", "batch"), [(16, 16, 1), (32, 16, 3), (40, 24, 2)])
def test_forward_equals_the_equations(entries, height, width, batch):
    torch.manual_seed(entries)
    network = randomised(MultiverSegNet(5, 2, (8, 12, 16, 12), (14, 8, 6)))
    target, context = torch.rand(batch, 5, height, width), torch.rand(batch, entries, 2, height, width)
    with torch.no_grad():
        result = network(target, context)
    expected = cross_network(double_state(network), target.double(), context.double())
    assert result.shape == (batch, 1, height, width)
    torch.testing.assert_close(result.double(), expected, atol=1e-5, rtol=1e-5)


def test_forward_equals_the_equations_at_the_real_size():
    torch.manual_seed(0)
    network = randomised(MultiverSegNet(5, 5, (16, 16, 16, 16)))
    target, context = torch.rand(1, 5, 128, 128), torch.rand(1, 5, 5, 128, 128)
    with torch.no_grad():
        result = network(target, context)
    torch.testing.assert_close(
        result.double(), cross_network(double_state(network), target.double(), context.double()), atol=1e-5, rtol=1e-5
    )


def test_universeg_has_no_norm_and_no_activation_after_the_cross_convolution():
    network = build_network(
        {"family": "multiverseg", "target_channels": 1, "encoder_features": [8] * 4, "norm": None, "cross_activation": False}
    )
    randomised(network)
    target, context = torch.rand(2, 1, 32, 32), torch.rand(2, 3, 2, 32, 32)
    with torch.no_grad():
        result = network(target, context)
    expected = cross_network(double_state(network), target.double(), context.double(), cross_activation=False)
    torch.testing.assert_close(result.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
def test_chunks_do_not_change_the_result(chunk):
    network = randomised(MultiverSegNet(5, 2, (8, 8, 8)))
    target, context = torch.rand(2, 5, 32, 32), torch.rand(2, 7, 2, 32, 32)
    with torch.no_grad():
        network.chunk = 100
        whole = network(target, context)
        network.chunk = chunk
        assert (network(target, context) - whole).abs().max() <= 1e-5


def test_the_context_is_read_in_chunks_and_nothing_superfluous_is_computed():
    network = randomised(MultiverSegNet(5, 2, (8, 16, 8)))
    seen: dict[str, list[int]] = {}
    for name, module in network.named_modules():
        if name.endswith("support.vmapped.conv"):
            module.register_forward_hook(lambda _module, inputs, _output, name=name: seen.setdefault(name, []).append(len(inputs[0])))
    target, context = torch.rand(2, 5, 256, 256), torch.rand(2, 9, 2, 256, 256)  # one entry for both takes 16 * 2 * 256 KiB of the 24 MiB
    with torch.no_grad():
        network(target, context)
    assert sorted(seen) == [f"{part}.support.vmapped.conv" for part in ("dec_blocks.0", "enc_blocks.0", "enc_blocks.1", "enc_blocks.2")]
    assert all(sizes == [6, 6, 6] for sizes in seen.values())  # three entries at a time, for two targets
    seen.clear()
    network.chunk = 2
    with torch.no_grad():
        network(target, context)
    assert all(sizes == [4, 4, 4, 4, 2] for sizes in seen.values())


def test_gradients_equal_those_of_the_equations():
    network = randomised(MultiverSegNet(3, 2, (4, 6, 8))).double().train()
    target, context = torch.rand(2, 3, 16, 16).double(), torch.rand(2, 3, 2, 16, 16).double()
    network(target, context).square().mean().backward()
    state = {k: v.detach().clone().requires_grad_() for k, v in network.state_dict().items()}
    cross_network(state, target, context).square().mean().backward()
    for name, parameter in network.named_parameters():
        if name.startswith("dec_blocks.1.support"):
            assert parameter.grad is None  # the last support convolution reaches no output
        else:
            torch.testing.assert_close(parameter.grad, state[name].grad)


def test_inputs_are_left_as_they_were():
    network = randomised(MultiverSegNet(5, 2, (4, 4)))
    target, context = torch.rand(1, 5, 8, 8), torch.rand(1, 3, 2, 8, 8)
    before = target.clone(), context.clone()
    with torch.no_grad():
        network(target, context)
    assert torch.equal(target, before[0])
    assert torch.equal(context, before[1])


def test_published_multiverseg_parameters():
    network = build_network("multiverseg")
    widths = {"enc_blocks": [(7, 256), (512, 256), (512, 256), (512, 256)], "dec_blocks": [(1024, 256)] * 3}
    expected = {"out_conv.conv.weight": (1, 256, 1, 1), "out_conv.conv.bias": (1,)}
    for part, blocks in widths.items():
        for i, (channels, features) in enumerate(blocks):
            expected[f"{part}.{i}.cross.cross_conv.weight"] = (features, channels, 3, 3)
            expected[f"{part}.{i}.cross.cross_conv.bias"] = (features,)
            for stream in ("target", "support"):
                expected[f"{part}.{i}.{stream}.vmapped.conv.weight"] = (features, features, 3, 3)
                for name in ("conv.bias", "norml.weight", "norml.bias"):
                    expected[f"{part}.{i}.{stream}.vmapped.{name}"] = (features,)
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == expected
    assert sum(p.numel() for p in network.parameters()) == 18_903_297


def test_published_scribbleprompt_parameters():
    network = build_network("scribbleprompt")
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    assert shapes["downs.0.conv.0.weight"] == (192, 5, 3, 3)
    assert shapes["ups.1.conv.0.weight"] == (192, 384, 3, 3)
    assert shapes["bottleneck.conv.1.weight"] == (1,)
    assert shapes["final_conv.conv.0.weight"] == (1, 192, 1, 1)
    assert len(shapes) == 3 * 4 + 3 + 3 * 4 + 2
    assert sum(p.numel() for p in network.parameters()) == 3_991_882


@pytest.mark.parametrize("size", [(16, 16), (32, 48)])
def test_scribbleprompt_equals_its_plain_form(size):
    network = randomised(ScribblePromptUNet(5, (6, 8, 8, 10)))
    target = torch.rand(2, 5, *size)
    with torch.no_grad():
        result = network(target, None)
    torch.testing.assert_close(result.double(), scribbleprompt_unet(double_state(network), target.double()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("network", [MultiverSegNet(5, 5, (4, 8), (6,)), ScribblePromptUNet(4, (3, 5))])
def test_architecture_rebuilds_an_equal_network(network):
    twin = build_network(network.architecture)
    assert isinstance(twin, Network)
    assert {k: v.shape for k, v in twin.state_dict().items()} == {k: v.shape for k, v in network.state_dict().items()}


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("unet", "Unknown architecture"),
        ({"family": "transformer"}, "Unknown network family"),
        ({"family": "multiverseg", "colour": 3}, "can't be built"),
        ({"family": "multiverseg", "encoder_features": [8, 8], "decoder_features": [8, 8]}, "can't be built"),
        ({"family": "multiverseg", "norm": "batch"}, "can't be built"),
    ],
)
def test_architectures_that_make_no_sense(architecture, words):
    with pytest.raises(CheckpointError, match=words):
        build_network(architecture)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (3, 5), (1, 4), (64, 32)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_cheap_convolution_of_an_upsampled_part(height, width, with_bias):
    torch.manual_seed(0)
    x, other = Upsampled(torch.rand(2, 100, height, width).double()), torch.rand(2, 3, 2 * height, 2 * width).double()
    weight, bias = torch.randn(97, 103, 3, 3).double(), torch.randn(97).double() if with_bias else None
    with torch.no_grad():
        kernels = [PartConvolution(weight[:, :100], x), PartConvolution(weight[:, 100:], other)]
        assert [k.cheap for k in kernels] == [True, False]
        expected = torch.nn.functional.conv2d(torch.cat([x.computed(), other], 1), weight, bias, padding=1)
        torch.testing.assert_close(convolve((x, other), kernels, bias), expected)
        alone = torch.nn.functional.conv2d(x.computed(), weight[:, :100], bias, padding=1)
        torch.testing.assert_close(convolve((x,), kernels[:1], bias), alone)


@pytest.mark.parametrize("entries", [1, 3])
def test_wide_networks_equal_the_equations_too(entries):
    torch.manual_seed(0)
    network = randomised(MultiverSegNet(5, 2, (96, 100, 104)))
    target, context = torch.rand(2, 5, 16, 24), torch.rand(2, entries, 2, 16, 24)
    with torch.no_grad():
        result = network(target, context)
    expected = cross_network(double_state(network), target.double(), context.double())
    torch.testing.assert_close(result.double(), expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-5)


def test_wide_networks_run_in_lower_precision():
    torch.manual_seed(0)
    network = randomised(MultiverSegNet(5, 2, (96, 96)))
    target, context = torch.rand(1, 5, 16, 16), torch.rand(1, 3, 2, 16, 16)
    with torch.inference_mode():
        exact = network(target, context)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(target, context)
    assert 0 < (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()
