"""A network for volumes behind the seam: what it reads, what it keeps, how it is cancelled and what it does when memory runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from MultiverSegLib.core.errors import Cancelled, DeviceError, MultiverSegError
from MultiverSegLib.core.models.checkpoints import save_checkpoint
from MultiverSegLib.core.networks.neuroverse3d import Neuroverse3D
from MultiverSegLib.core.predicting import Predictor, Request, ShownExample
from MultiverSegLib.core.predictors import open_predictor
from MultiverSegLib.core.predictors.volumes import VolumePredictor

N = 16


def network(**options) -> Neuroverse3D:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        made = Neuroverse3D(**{"widths": (4, 6, 8), "size": N, **options})
        for value in made.parameters():
            value.data = torch.randn(value.shape) * (1.2 / max(1, value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1)
    return made.eval()


def array(seed: int, *lead: int) -> np.ndarray:
    return np.random.default_rng(seed).random((*lead, N, N, N), dtype=np.float32)


def example(seed: int, mask: bool = True) -> ShownExample:
    prompts = None if mask else np.stack([array(seed + 50) > 0.9, array(seed + 60) > 0.9, np.zeros((N, N, N))]).astype(np.float32)
    return ShownExample(f"e{seed}", array(seed), (array(seed + 100) > 0.5).astype(np.uint8) if mask else None, prompts)


def asked(examples=(), prompts=None) -> Request:
    return Request(array(0), prompts, None, tuple(examples))


@torch.inference_mode()
def test_it_gives_what_the_network_gives():
    made = network()
    predictor = VolumePredictor(made, "own")
    assert isinstance(predictor, Predictor) and predictor.capabilities.shape == (N, N, N)
    entries = [example(1), example(2), example(3, mask=False)]
    drawn = np.stack([np.zeros((N, N, N)), array(9) > 0.99, np.zeros((N, N, N))]).astype(np.float32)
    for prompts in (None, drawn):
        found = predictor.predict(asked(entries, prompts))
        shown = [np.stack([e.image, e.mask if e.mask is not None else e.prompts.max(0)]) for e in entries]
        if prompts is not None:
            shown.append(np.stack([array(0), drawn[1]]))
        context = torch.from_numpy(np.stack(shown).astype(np.float32))[None]
        expected = made.logits(made(torch.from_numpy(array(0))[None, None], context))[0, 0].numpy()
        assert np.allclose(found.logits, expected, atol=1e-5)
        assert np.array_equal(found.probability > 0.5, found.logits > 0) and found.probability.std() > 0.01
        assert (found.model, found.device, found.n_context, found.presence, found.notice) == ("own", "CPU", 3, None, "")
        assert 0 <= found.confidence <= 1 and found.seconds > 0


def counted(predictor: VolumePredictor) -> dict[str, int]:
    """How often each step of the network runs."""
    counts = {"encode_target": 0, "read": 0, "decode": 0}
    for name in counts:
        step = getattr(predictor._run.network, name)

        def counting(*args, name=name, step=step):
            counts[name] += args[1].shape[1] if name == "read" else 1
            return step(*args)

        setattr(predictor._run.network, name, counting)
    return counts


def test_a_prompt_costs_one_example_and_a_new_target_all():
    predictor = VolumePredictor(network(), "own")
    counts = counted(predictor)
    entries, drawn = [example(n) for n in range(1, 5)], np.zeros((3, N, N, N), np.float32)
    drawn[1, 3, 4, 5] = 1
    first = predictor.predict(asked(entries))
    assert counts == {"encode_target": 1, "read": 4, "decode": 1}
    prompted = predictor.predict(asked(entries, drawn))
    assert counts == {"encode_target": 1, "read": 5, "decode": 2}
    again = predictor.predict(asked(entries))
    assert counts == {"encode_target": 1, "read": 5, "decode": 3}
    assert np.array_equal(again.logits, first.logits) and not np.array_equal(prompted.logits, first.logits)
    predictor.predict(asked(entries[:3]))
    assert counts == {"encode_target": 1, "read": 8, "decode": 4}
    other, third = predictor.predict_batch([Request(array(7), None, None, tuple(entries)), asked(entries)])
    assert counts == {"encode_target": 3, "read": 16, "decode": 6}
    assert np.array_equal(third.logits, first.logits) and not np.array_equal(other.logits, first.logits)


def test_it_is_cancelled_between_pieces_and_says_how_far_it_is():
    predictor = VolumePredictor(network(), "own", piece=2)
    steps: list[tuple[int, int]] = []
    entries = [example(n) for n in range(1, 6)]
    predictor.predict(asked(entries), progress=lambda done, of: steps.append((done, of)))
    assert steps == [(n, 5) for n in range(6)]
    for after in range(4):
        predictor._kept, steps[:] = None, []
        with pytest.raises(Cancelled):
            predictor.predict(asked(entries), lambda after=after: len(steps) > after, lambda done, of: steps.append((done, of)))
        assert len(steps) == after + 1
    steps.clear()
    whole = predictor.predict(asked(entries))
    assert np.array_equal(whole.logits, VolumePredictor(network(), "own", piece=2).predict(asked(entries)).logits)


def test_memory_that_runs_out_makes_pieces_smaller_and_ends_in_one_sentence():
    predictor = VolumePredictor(network(), "own", piece=4)
    entries, read, sizes = [example(n) for n in range(1, 5)], predictor._run.network.read, []

    def short(encoded, context):
        sizes.append(context.shape[1])
        if context.shape[1] > 1:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return read(encoded, context)

    predictor._run.network.read = short
    found = predictor.predict(asked(entries))
    assert sizes == [4, 1, 1, 1, 1]
    assert np.allclose(found.logits, VolumePredictor(network(), "own").predict(asked(entries)).logits, atol=1e-5)

    def full(encoded, context):
        raise MemoryError

    predictor._run.network.read = full
    with pytest.raises(DeviceError, match="own ran out of memory") as caught:
        predictor.predict(asked([example(8)]))
    assert "\n" not in str(caught.value)


def test_networks_of_our_own_read_masks_and_all_prompts():
    predictor = VolumePredictor(network(context_channels=5, fold=2, output="logits", norm="group1"), "compact3d")
    capabilities = predictor.capabilities
    assert capabilities.prompts == ("box", "positive", "negative") and capabilities.needs == ("example", "prompt")
    drawn = np.zeros((3, N, N, N), np.float32)
    drawn[2, 3, 4, 5] = 1
    with_negative = predictor.predict(asked([example(1, mask=False)], drawn))
    assert not np.array_equal(with_negative.logits, predictor.predict(asked([example(1, mask=False)])).logits)


def test_cost_is_told_before_anything_is_computed():
    big = VolumePredictor(network(widths=(8, 12, 16)), "big").capabilities.cost
    small = VolumePredictor(network(), "small").capabilities.cost
    assert big.gflop > 2 * small.gflop > 0 and big.gflop_per_example > small.gflop_per_example > 0
    assert small.seconds(8) > small.seconds(1) > 0


@pytest.fixture
def shelf(tmp_path):
    """The two models of one layout as the registry lists them."""
    import json

    from MultiverSegLib.core.models.registry import Registry

    common = {"bundled": False, "url": None, "size": None, "sha256": None, "licence": "none", "source": "x"}
    layout = network(size=128).architecture
    models = [{"name": f"w-{k}", "title": k, "file": f"{k}.pt", "prompts": [k], "architecture": layout, **common} for k in ("box", "point")]
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "models.json").write_text(json.dumps({"version": 1, "default": "w-box", "models": models}))
    registry = Registry(tmp_path / "weights", tmp_path / "list")
    for kind in ("box", "point"):
        registry.add_file(save_checkpoint(tmp_path / f"{kind}.pt", network(size=128)), f"w-{kind}")
    return registry


def test_a_model_for_boxes_refuses_points(shelf):
    boxes, points = (open_predictor(f"w-{kind}", "cpu", registry=shelf) for kind in ("box", "point"))
    assert (boxes.capabilities.prompts, points.capabilities.prompts) == (("box",), ("positive",))
    drawn = np.zeros((3, 128, 128, 128), np.float32)
    drawn[1, 3, 4, 5] = 1
    with pytest.raises(MultiverSegError, match="w-box reads no points on the structure: use boxes"):
        boxes.predict(Request(drawn[0], drawn))
    with pytest.raises(MultiverSegError, match=r"can't read example a: it has no mask, and the model reads boxes"):
        boxes.predict(Request(drawn[0], None, None, (ShownExample("a", drawn[0], None, drawn),)))
    with pytest.raises(MultiverSegError, match="give an example or a prompt"):
        boxes.predict(Request(drawn[0]))
