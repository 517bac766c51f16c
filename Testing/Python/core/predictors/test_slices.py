import os
import subprocess
import sys
import threading
from pathlib import Path

import MultiverSegLib
import numpy as np
import pytest
import torch
from MultiverSegLib.core.asking import ask, ask_each
from MultiverSegLib.core.calibration import Calibration, expected_dice
from MultiverSegLib.core.context.context_set import Example
from MultiverSegLib.core.errors import Cancelled, CheckpointError, DeviceError, MultiverSegError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.models.checkpoints import save_checkpoint
from MultiverSegLib.core.models.registry import Registry
from MultiverSegLib.core.networks import MultiverSegNet, ScribblePromptUNet, SliceNetwork
from MultiverSegLib.core.predicting import Predictor, Query, Request, ShownExample
from MultiverSegLib.core.predictors import open_predictor, slice_reading, warm_up

RNG = np.random.default_rng(0)
IMAGE = RNG.random((128, 128), dtype=np.float32)
PROMPTS = (RNG.random((3, 128, 128)) > 0.99).astype(np.float32)
LOGITS = RNG.standard_normal((128, 128)).astype(np.float32)
MASK = np.pad(np.ones((40, 40), np.uint8), 44)


def network(context_channels=5, **options):
    torch.manual_seed(1)
    return MultiverSegNet(5, context_channels, (4, 6, 8), **options).eval()


def full(seed):
    return Example(np.random.default_rng(seed).random((128, 128)), np.roll(MASK, seed, 0), case=f"full {seed}")


def weak(seed):
    return Example(np.random.default_rng(seed).random((128, 128)), None, np.roll(PROMPTS, seed, 1), case=f"weak {seed}")


class Greedy(MultiverSegNet):
    """Runs out of memory above a number of targets, as a GPU would."""

    limit = 1
    tried: list

    def forward(self, target, context=None):
        self.tried.append((len(target), self.chunk))
        if len(target) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(target, context)


def test_predict_gives_the_network_the_channels_in_order():
    net = network()
    examples = [full(1), weak(2)]
    prediction = ask(open_predictor(net), IMAGE, PROMPTS, LOGITS, examples)
    target = torch.from_numpy(np.stack([IMAGE, *PROMPTS, LOGITS])[None])
    zeros = np.zeros((128, 128), np.float32)
    context = [
        np.stack([examples[0].image, examples[0].mask, zeros, zeros, zeros]),
        np.stack([examples[1].image, zeros, *examples[1].prompts]),
    ]
    with torch.no_grad():
        expected = net(target, torch.from_numpy(np.stack(context)[None].astype(np.float32)))[0, 0].numpy()
    np.testing.assert_allclose(prediction.logits, expected, atol=1e-6)
    np.testing.assert_allclose(prediction.probability, 1 / (1 + np.exp(-expected.astype(np.float64))), atol=1e-6)
    assert prediction.n_context == 2 and prediction.device == "CPU" and prediction.seconds > 0 and prediction.notice == ""
    assert prediction.probability.dtype == prediction.logits.dtype == np.float32
    assert np.array_equal(prediction.mask(0.4), prediction.probability >= 0.4)


def test_missing_inputs_are_zeros_and_broken_values_too():
    predictor = open_predictor(network())
    plain = ask(predictor, IMAGE)
    zeros = ask(predictor, IMAGE, np.zeros((3, 128, 128)), np.zeros((128, 128)), [])
    assert np.array_equal(plain.logits, zeros.logits)
    holes = np.where(MASK, np.nan, IMAGE)
    assert np.array_equal(ask(predictor, holes).logits, ask(predictor, np.where(MASK, 0, IMAGE)).logits)


def test_in_context_really_looks_at_the_context():
    predictor = open_predictor(network())
    with_one, with_other = (ask(predictor, IMAGE, PROMPTS, None, [full(seed)]).logits for seed in (1, 20))
    assert np.abs(with_one - with_other).max() > 1e-4


def test_batches_equal_single_predictions():
    predictor = open_predictor(network())
    predictor.batch_size = 2
    images = [IMAGE * f for f in (0.1, 0.5, 1.0)]
    batch = ask_each(predictor, images, [PROMPTS, None, PROMPTS], [None, LOGITS, None], [full(1), full(2)])
    single = [
        ask(predictor, i, p, x, [full(1), full(2)]) for i, p, x in zip(images, [PROMPTS, None, PROMPTS], [None, LOGITS, None], strict=True)
    ]
    for a, b in zip(batch, single, strict=True):
        np.testing.assert_allclose(a.logits, b.logits, atol=1e-5)
    assert ask_each(predictor, []) == []


def test_network_that_reads_masks_only_leaves_weak_examples_out():
    predictor = open_predictor(network(context_channels=2))
    mixed = ask(predictor, IMAGE, PROMPTS, None, [full(1), weak(2)])
    assert mixed.n_context == 1 and "1 of 2 examples have none" in mixed.notice
    assert np.array_equal(mixed.logits, ask(predictor, IMAGE, PROMPTS, None, [full(1)]).logits)
    only_weak = ask(predictor, IMAGE, PROMPTS, None, [weak(2)])
    assert only_weak.n_context == 0 and np.array_equal(only_weak.logits, ask(predictor, IMAGE, PROMPTS).logits)


@pytest.fixture
def pair(tmp_path):
    """A registry with the published pair's names, its files being networks of their architecture with few features."""
    import json

    (tmp_path / "resources").mkdir()
    models = []
    for name, net, partner in (
        ("multiverseg-v1", network(2), "scribbleprompt-v1"),
        ("scribbleprompt-v1", ScribblePromptUNet(5, (4, 4)), None),
    ):
        models.append({"name": name, "title": name, "file": f"{name}.pt", "empty_context": partner, "architecture": net.architecture})
        save_checkpoint(tmp_path / f"given {name}.pt", net, half=False)
    (tmp_path / "resources" / "models.json").write_text(json.dumps({"version": 1, "default": "x", "models": models}))
    return Registry(tmp_path / "weights", tmp_path / "resources")


def test_pair_uses_scribbleprompt_for_the_first_image_only(pair, tmp_path):
    for name in ("multiverseg-v1", "scribbleprompt-v1"):
        assert pair.add_file(tmp_path / f"given {name}.pt") == name
    predictor = open_predictor("multiverseg-v1", registry=pair)
    first, later = ask(predictor, IMAGE, PROMPTS), ask(predictor, IMAGE, PROMPTS, None, [full(1)])
    assert (first.model, later.model) == ("scribbleprompt-v1", "multiverseg-v1")
    assert np.array_equal(first.logits, ask(open_predictor("scribbleprompt-v1", registry=pair), IMAGE, PROMPTS, None, [full(1)]).logits)
    assert np.array_equal(later.logits, ask(open_predictor(network(2)), IMAGE, PROMPTS, None, [full(1)]).logits)


def test_warm_up_runs_the_network_of_the_first_prediction(pair, tmp_path):
    for name in ("multiverseg-v1", "scribbleprompt-v1"):
        pair.add_file(tmp_path / f"given {name}.pt")
    predictor, passes = open_predictor("multiverseg-v1", registry=pair), []
    for network in (predictor._network, predictor._partner[1]):
        network.register_forward_hook(lambda module, *_: passes.append(type(module)))
    warm_up(predictor)
    assert passes == [ScribblePromptUNet]


def test_pair_without_its_partner_says_so(pair, tmp_path):
    pair.add_file(tmp_path / "given multiverseg-v1.pt")
    prediction = ask(open_predictor("multiverseg-v1", registry=pair), IMAGE, PROMPTS)
    assert prediction.model == "multiverseg-v1" and "scribbleprompt-v1" in prediction.notice
    with pytest.raises(CheckpointError, match="scribbleprompt-v1 are not here"):
        open_predictor("scribbleprompt-v1", registry=pair)


def test_encoded_examples_are_reused(monkeypatch):
    monkeypatch.setattr(slice_reading, "_ENCODED_AT_ONCE", 2)

    class Caching(SliceNetwork):
        target_channels, context_channels, architecture = 5, 5, {}
        encodes_examples = True
        encoded, passes = 0, []

        def encode_context(self, context):
            self.encoded += context.shape[1]
            self.passes.append(context.shape[1])
            return (context[:, :, :2].clone(), context.mean((-2, -1)))

        def forward_with_features(self, target, features):
            maps, means = features
            places = torch.arange(1, 1 + maps.shape[1])[:, None]  # the order of the examples counts
            return target[:, :1] + (places[..., None, None] * maps).mean(1)[:, 1:] + (places * means).sum((1, 2))[:, None, None, None]

        def forward(self, target, context=None):
            return target[:, :1] if context is None else self.forward_with_features(target, self.encode_context(context))

    net = Caching()
    predictor = open_predictor(net)
    examples = [full(i) for i in range(4)]
    first = ask(predictor, IMAGE, None, None, examples[:3])
    again = ask(predictor, IMAGE, None, None, examples[:3])
    assert net.encoded == 3 and np.array_equal(first.logits, again.logits)
    assert max(net.passes) == 2  # in small parts, so that a large context fits into the memory
    more = ask_each(predictor, [IMAGE, IMAGE], None, None, examples[::-1])
    assert net.encoded == 4
    with torch.no_grad():
        expected = net(
            torch.from_numpy(np.stack([IMAGE, *np.zeros((4, 128, 128), np.float32)])[None]),
            predictor._reading._context(net, examples[::-1]),
        )
    np.testing.assert_allclose(more[1].logits, expected[0, 0].numpy(), rtol=1e-5)


def cached_network():
    """With weights where a new network has zeros."""
    torch.manual_seed(0)
    net = build_network({"family": "cached"}).eval()
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return net


def plain(net, predictor, image, prompts, logits, examples):
    """The logits of the network's plain forward."""
    zeros = np.zeros((3, 128, 128), np.float32)
    target = np.stack([image, *(zeros if prompts is None else prompts), zeros[0] if logits is None else logits])[None]
    with torch.no_grad():
        return net(torch.from_numpy(target), predictor._reading._context(net, examples) if examples else None)[0, 0].numpy()


def test_a_network_with_cached_context_predicts_as_its_plain_forward():
    net = cached_network()
    predictor = open_predictor(net)
    encoded, contexts = [], []
    encode, encode_context = net.encode_target, net.encode_context
    net.encode_target = lambda image: encoded.append(1) or encode(image)
    net.encode_context = lambda context: contexts.append(context.shape[1]) or encode_context(context)
    a, b, c = full(1), weak(2), full(3)
    steps = [
        (IMAGE, PROMPTS, None, [a, b, c]),
        (IMAGE, None, LOGITS, [a, b, c]),
        (IMAGE, PROMPTS, LOGITS, [c, a]),
        (IMAGE, PROMPTS, LOGITS, []),
        (1 - IMAGE, PROMPTS, LOGITS, []),
        (1 - IMAGE, PROMPTS, LOGITS, [a]),
        (1 - IMAGE, PROMPTS, None, []),
    ]
    found = [ask(predictor, *step).logits for step in steps]
    assert len(encoded) == 2, "an image is encoded once for all clicks and contexts"
    assert contexts == [3, 1], "three examples, and the dummy entry for none"
    for step, logits in zip(steps, found, strict=True):
        np.testing.assert_allclose(logits, plain(net, predictor, *step), atol=1e-4)
    assert len({logits.tobytes() for logits in found}) == len(found)


def test_examples_alone_are_looked_at_twice_upright_and_turned():
    net = cached_network()
    predictor, examples = open_predictor(net), [full(1), weak(2), full(3)]

    def turned_by_hand(image, examples):
        turned = [
            Example(
                e.image[::-1, ::-1],
                None if e.mask is None else e.mask[::-1, ::-1],
                None if e.prompts is None else e.prompts[:, ::-1, ::-1],
                case=f"turned {e.case}",
            )
            for e in examples
        ]
        return plain(net, predictor, image[::-1, ::-1], None, None, turned)[::-1, ::-1]

    upright = plain(net, predictor, IMAGE, None, None, examples)
    both = (upright + turned_by_hand(IMAGE, examples)) / 2
    assert np.abs(both - upright).max() > 0.01
    for _ in range(2):  # from what was kept too
        np.testing.assert_allclose(ask(predictor, IMAGE, None, None, examples).logits, both, atol=1e-4)
    batch = ask_each(predictor, [IMAGE, IMAGE, IMAGE], [None, PROMPTS, None], [None, None, LOGITS], examples)
    np.testing.assert_allclose(batch[0].logits, both, atol=1e-4)
    np.testing.assert_allclose(batch[1].logits, plain(net, predictor, IMAGE, PROMPTS, None, examples), atol=1e-4)
    np.testing.assert_allclose(batch[2].logits, plain(net, predictor, IMAGE, None, LOGITS, examples), atol=1e-4)
    np.testing.assert_allclose(ask(predictor, IMAGE).logits, plain(net, predictor, IMAGE, None, None, []), atol=1e-4)


def telling(logit):
    """A network that gives every slice the same logit of presence."""
    torch.manual_seed(0)
    net = build_network({"family": "cached", "widths": [8, 12, 16, 24, 32], "value_channels": 16, "fine": 4, "presence": True}).eval()
    with torch.no_grad():
        net.presence.out.bias.fill_(logit)
        net.out.bias.fill_(5.0)  # finds the structure everywhere
    return net


def test_where_the_structure_is_absent_no_pixel_is_likelier_than_its_presence():
    prediction = ask(open_predictor(telling(-2.0)), IMAGE, examples=[full(1)])
    assert prediction.presence == pytest.approx(1 / (1 + np.exp(2)), abs=1e-6) and prediction.absent
    assert prediction.logits.max() == pytest.approx(-2.0, abs=1e-4) and not prediction.mask().any()
    assert prediction.confidence == 0 and np.ptp(prediction.logits) > 0, "the order of the pixels stays"


def test_where_it_is_there_the_logits_stay_as_they_are():
    net = telling(1.0)
    predictor = open_predictor(net)
    found = ask(predictor, IMAGE, None, LOGITS, [full(1)])
    assert found.presence > 0.5 and not found.absent
    np.testing.assert_allclose(found.logits, plain(net, predictor, IMAGE, None, LOGITS, [full(1)]), atol=1e-4)


@pytest.mark.parametrize(("channel", "lowered"), [(0, False), (1, False), (2, True)])
def test_a_person_who_marks_the_structure_is_believed(channel, lowered):
    prompts = np.zeros((3, 128, 128), np.float32)
    prompts[channel, 60:64, 60:64] = 1
    prediction = ask(open_predictor(telling(-2.0)), IMAGE, prompts, None, [full(1)])
    assert prediction.mask().any() != lowered and prediction.presence < 0.5


def test_presence_in_batches_is_that_of_single_predictions():
    predictor = open_predictor(cached_network_with_presence())
    images, examples = [IMAGE, 1 - IMAGE, IMAGE[::-1]], [full(1), weak(2)]
    for given in (examples, []):
        together = ask_each(predictor, images, None, [None, LOGITS, None], given)
        for n, image in enumerate(images):
            alone = ask(predictor, image, None, LOGITS if n == 1 else None, given)
            assert together[n].presence == pytest.approx(alone.presence, abs=1e-4)
            np.testing.assert_allclose(together[n].logits, alone.logits, atol=1e-3)
    assert len({round(p.presence, 4) for p in together}) == 3


def cached_network_with_presence():
    torch.manual_seed(0)
    net = build_network({"family": "cached", "reduce": 2, "fine": 4, "presence": True}).eval()
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return net


def test_models_that_cannot_say_give_no_presence():
    prediction = ask(open_predictor(network()), IMAGE, PROMPTS)
    assert prediction.presence is None and prediction.absent == (not prediction.mask().any())


HALF = """
import sys
sys.path[:0] = {paths!r}
import numpy as np, torch
from test_slices import IMAGE, PROMPTS, ask, cached_network, full, open_predictor
net, examples = cached_network(), [full(1), full(2)]
half, whole = open_predictor(net, precision="bf16"), open_predictor(net, precision="fp32")
ask(half, IMAGE, PROMPTS, None, examples)
with torch.no_grad():
    net.out.bias.fill_(float("inf"))  # as an overflow does
assert np.array_equal(ask(half, IMAGE, PROMPTS, None, examples).logits, ask(whole, IMAGE, PROMPTS, None, examples).logits)
"""


def test_what_half_precision_computed_is_not_mixed_with_full_precision():
    """In a process of its own: some virtual machines announce bf16 instructions that they don't have, which only an early setting helps."""
    paths = [str(Path(MultiverSegLib.__file__).parent.parent), str(Path(__file__).parent)]
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    done = subprocess.run([sys.executable, "-c", HALF.format(paths=paths)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def test_cancel():
    event = threading.Event()
    event.set()
    for cancel in (event, lambda: True):
        with pytest.raises(Cancelled):
            ask(open_predictor(network()), IMAGE, cancel=cancel)
    calls = []
    with pytest.raises(Cancelled):  # between the forward passes of a batch
        ask_each(open_predictor(network()), [IMAGE] * 30, cancel=lambda: len(calls) > 2 or calls.append(1))


def test_cancel_is_looked_at_before_and_after_each_pass():
    event, passes = threading.Event(), []

    class Cancelling(MultiverSegNet):
        def forward(self, target, context=None):
            passes.append(len(target))
            event.set()
            return super().forward(target, context)

    predictor = open_predictor(Cancelling(5, 5, (4, 4)).eval())
    with pytest.raises(Cancelled):  # came during the only pass
        ask(predictor, IMAGE, cancel=event)
    with pytest.raises(Cancelled):
        ask(predictor, IMAGE, cancel=event)
    assert passes == [1]


def test_out_of_memory_halves_the_batch_and_the_result_is_the_same():
    net = Greedy(5, 5, (4, 6, 8)).eval()
    net.tried, net.limit = [], 2
    predictor = open_predictor(net)
    predictor.batch_size = 8
    images = [IMAGE * f for f in np.linspace(0.1, 1, 5)]
    results = ask_each(predictor, images, examples=[full(1)])
    assert [b for b, _ in net.tried] == [5, 4, 2, 2, 1] or [b for b, _ in net.tried] == [5, 4, 2, 2, 1, 1]
    net.limit = 99
    for image, result in zip(images, results, strict=True):
        np.testing.assert_allclose(result.logits, ask(predictor, image, examples=[full(1)]).logits, atol=1e-5)


def test_out_of_memory_with_nothing_left_is_one_clear_error():
    net = Greedy(5, 5, (4, 6, 8)).eval()
    net.tried, net.limit = [], 0
    predictor = open_predictor(net)
    with pytest.raises(DeviceError, match="use fewer examples"):
        ask_each(predictor, [IMAGE] * 3)
    assert net.tried[-1] == (1, 1)  # the smallest there is: one target, one example at a time


class Elsewhere(Greedy):
    """Runs on the CPU only: on any other device, every pass runs out of memory."""

    def to(self, *_args, **_options):
        return self  # tensors of the "meta" device hold no values to bring back

    def forward(self, target, context=None):
        self.limit = 99 if target.device.type == "cpu" else 0
        return super().forward(target, context)


def test_out_of_memory_on_the_gpu_moves_to_the_cpu_and_says_so():
    torch.manual_seed(1)
    net = Elsewhere(5, 5, (4, 6, 8)).eval()
    net.tried = []
    predictor = open_predictor(net)
    predictor._device = predictor._reading.device = torch.device("meta")
    predictor.batch_size = 4  # stands for a GPU: not the CPU
    results = ask_each(predictor, [IMAGE] * 3, [PROMPTS] * 3, None, [full(1)])
    assert [b for b, _ in net.tried[:4]] == [3, 2, 1, 1] and net.tried[3][1] == 1  # smaller batches, then smaller pieces of the context
    assert net.tried[4] == (3, None) and len(net.tried) == 5  # then the CPU, with batches and pieces as usual there
    assert "ran out of memory" in predictor.description and all("ran out of memory" in r.notice and r.device == "CPU" for r in results)
    np.testing.assert_allclose(results[2].logits, ask(open_predictor(network()), IMAGE, PROMPTS, None, [full(1)]).logits, atol=1e-5)
    ask(predictor, IMAGE)
    assert len(net.tried) == 6  # it stays there


def test_other_errors_are_not_taken_for_want_of_memory():
    class Broken(MultiverSegNet):
        def forward(self, target, context=None):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        ask(open_predictor(Broken(5, 5, (4, 4))), IMAGE)


@pytest.mark.parametrize(
    "arguments",
    [
        {"image": np.zeros((64, 64))},
        {"image": IMAGE, "prompts": np.zeros((2, 128, 128))},
        {"image": IMAGE, "previous": np.zeros((1, 128, 128))},
    ],
)
def test_wrong_shapes(arguments):
    with pytest.raises(MultiverSegError, match="128 x 128 cells"):
        ask(open_predictor(network()), **arguments)


def test_wrong_device_precision_and_model(tmp_path):
    for device in ("tpu9", "meta", "mps"):
        with pytest.raises(DeviceError):
            open_predictor(network(), device=device)
    with pytest.raises(DeviceError, match="precision"):
        open_predictor(network(), precision="int8")
    with pytest.raises(CheckpointError, match="neither a model"):
        open_predictor(str(tmp_path / "none.pt"))
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no GPU"):
            open_predictor(network(), device="cuda")


def test_checkpoint_file_as_model(tmp_path):
    path = save_checkpoint(tmp_path / "mine.pt", network(), half=False)
    predictor = open_predictor(path)
    assert np.array_equal(ask(predictor, IMAGE).logits, ask(open_predictor(network()), IMAGE).logits)
    assert predictor.description == "mine on CPU"


def test_lower_precision_is_close_to_full():
    net = network()
    exact = ask(open_predictor(net), IMAGE, PROMPTS, LOGITS, [full(1)]).logits
    rough = ask(open_predictor(net, precision="bf16"), IMAGE, PROMPTS, LOGITS, [full(1)]).logits
    assert rough.dtype == np.float32 and 0 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()


def test_overflow_in_half_precision_is_computed_again():
    net = network()
    net.out_conv.conv.weight.data *= 1e6
    exact = ask(open_predictor(net), IMAGE, PROMPTS, LOGITS, [full(1)]).logits
    assert np.abs(exact).max() > np.finfo(np.float16).max
    result = ask(open_predictor(net, precision="fp16"), IMAGE, PROMPTS, LOGITS, [full(1)]).logits
    np.testing.assert_allclose(result, exact, rtol=1e-4)


def test_confidence_is_the_dice_to_expect_by_the_models_calibration():
    predictor = open_predictor(network())
    plain = ask(predictor, IMAGE, PROMPTS)
    assert plain.confidence == pytest.approx(expected_dice(plain.probability))
    predictor.calibration = Calibration(with_prompts=(0.0, 0.0), without_prompts=(0.0, 5.0))
    found = {bool(given): ask(predictor, IMAGE, PROMPTS if given else None, LOGITS).confidence for given in (0, 1)}
    assert found[True] == 0.5 and found[False] > 0.99, "an empty mask would give 0"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_agrees_with_the_cpu():
    net = network()
    exact = ask(open_predictor(net, device="cpu"), IMAGE, PROMPTS, LOGITS, [full(1), full(2)])
    for precision, tolerance in (("fp32", 1e-3), ("auto", 0.1)):
        predictor = open_predictor(network(), device="cuda", precision=precision)
        warm_up(predictor)
        prediction = ask(predictor, IMAGE, PROMPTS, LOGITS, [full(1), full(2)])
        assert np.abs(prediction.logits - exact.logits).max() < tolerance * np.abs(exact.logits).max()
        assert prediction.device != "CPU"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_without_memory_for_the_task_leaves_it_to_the_cpu():
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(0.9, (64 << 20) / total))
    try:
        predictor = open_predictor(MultiverSegNet(5, 5, (64, 64, 64)).eval(), device="cuda")
        prediction = ask_each(predictor, [IMAGE] * 8, None, None, [full(i) for i in range(8)])[0]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert prediction.device == "CPU" and "ran out of memory" in prediction.notice


def file(folder, network):
    torch.manual_seed(0)
    return save_checkpoint(folder / "x.pt", network)


def test_requests_that_share_their_examples_go_together():
    predictor = open_predictor("compact", "cpu")
    assert isinstance(predictor, Predictor)
    capabilities = predictor.capabilities
    assert (capabilities.dims, capabilities.size, capabilities.context) == (2, 128, "prompts") and not capabilities.structures
    examples = (ShownExample("a", IMAGE[::-1], MASK), ShownExample("b", IMAGE[:, ::-1], None, PROMPTS))
    requests = [Request(IMAGE, PROMPTS, LOGITS, examples), Request(IMAGE, None, None, examples), Request(IMAGE, PROMPTS)]
    steps = []
    found = predictor.predict_batch(requests, progress=lambda done, of: steps.append((done, of)))
    assert steps == [(2, 3), (3, 3)]
    for request, prediction in zip(requests, found, strict=True):
        alone = predictor.predict(request)
        assert np.allclose(prediction.logits, alone.logits, atol=1e-3)
        assert prediction.confidence == pytest.approx(alone.confidence, abs=1e-3)
    with pytest.raises(MultiverSegError, match="knows no structure by name"):
        predictor.predict(Request(IMAGE, query=Query("liver")))


def test_what_other_networks_read(tmp_path):
    masks = open_predictor(file(tmp_path, MultiverSegNet(5, 2, (4, 6))), "cpu")
    assert masks.capabilities.context == "masks"
    with pytest.raises(MultiverSegError, match="reads masks"):
        masks.predict(Request(IMAGE, None, None, (ShownExample("b", IMAGE, None, PROMPTS),)))
    alone = open_predictor(file(tmp_path, ScribblePromptUNet(5, (4, 4))), "cpu")
    assert alone.capabilities.context == "none" and alone.capabilities.refines
    universeg = open_predictor(file(tmp_path, MultiverSegNet(1, 2, (4, 6), norm=None)), "cpu")
    assert universeg.capabilities.prompts == () and universeg.capabilities.needs == ("example",)
    with pytest.raises(MultiverSegError, match="has no prompts at all"):
        universeg.predict(Request(IMAGE, PROMPTS))
