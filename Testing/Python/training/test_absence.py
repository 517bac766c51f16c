"""Slices without the structure: where they come from, what a batch makes of them, what the loss asks for."""

import json
import math

import numpy as np
import pytest
import torch
from MultiverSegLib.core.families import build_network
from MultiverSegLib.training.batches import BatchMaker
from MultiverSegLib.training.config import AbsenceConfig, StageConfig, parse_config
from MultiverSegLib.training.corpus import Corpus, CorpusError
from MultiverSegLib.training.draws import TaskSampler, draw_slices
from MultiverSegLib.training.interaction import Interaction
from MultiverSegLib.training.loop import Trainer
from MultiverSegLib.training.losses import SegmentationLoss, empty_loss
from MultiverSegLib.training.smoke import SMOKE
from MultiverSegLib.training.tally import Tally
from MultiverSegLib.training.validation import validate_absence
from MultiverSegLib.training.volumes import cut_volumes, gaps, paint, window_volume

STAGE = StageConfig(steps=1, size=48, batch=6, max_context=4)
ALONE = {"sources": {"real": 1, "superpixel": 0, "shapes": 0}}


def write_volumes(path, count=6, labels=("ball", "box"), images=True, dtype=np.uint8):
    """``count`` volumes 20 x 24 x 22, 1 mm, each with a ball and, in the second half, a box above it."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in (20, 24, 22)), indexing="ij"))
    arrays = {"label_names": np.array(labels), "spacings": np.ones((count, 3)), "subjects": np.array([f"s{i}" for i in range(count)])}
    for number in range(count):
        centre = np.array([10, 11 + number % 3, 8])[:, None, None, None]
        label = (((grid - centre) ** 2).sum(0) <= 16).astype(np.uint8)
        label[(abs(grid[0] - 10) < 4) & (abs(grid[1] - 12) < 4) & (grid[2] > 15)] = 2
        noise = np.random.default_rng(number).normal(0, 8, label.shape)
        volume = 60 + 80 * (label == 1) + 130 * (label == 2) + noise
        arrays[f"label_{number:03}"] = label
        if images:
            arrays[f"volume_{number:03}"] = volume.clip(0, 255).astype(dtype)
    np.savez_compressed(path, **arrays)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, corpus_folder):
    """The made-up corpus with a file of volumes, one of label maps, and one that must not be opened."""
    import shutil

    root = tmp_path_factory.mktemp("with-volumes")
    shutil.copytree(corpus_folder, root, dirs_exist_ok=True)
    (root / "volumes").mkdir()
    write_volumes(root / "volumes" / "things.npz")
    write_volumes(root / "volumes" / "maps.npz", images=False)
    (root / "volumes" / "secret.npz").write_bytes(b"never opened")
    manifest = json.loads((root / "manifest.json").read_text())
    common = {"split": "train", "bundle": True, "license": "CC0"}
    manifest["volumes"] = [
        {"file": "volumes/things.npz", "source_group": "things", "anatomy": "kitchen", **common},
        {"file": "volumes/maps.npz", "source_group": "maps", **common},
        {"file": "volumes/secret.npz", **common, "split": "eval"},
        {"file": "volumes/secret.npz", **common, "bundle": False},
    ]
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root


def load(folder, **options):
    return Corpus.load(folder, fractions=(0.6, 0.4, 0.0), unlabelled=True, volumes=True, **options)


def maker(folder, only=None, **sections):
    data = {**SMOKE, **{k: {**SMOKE.get(k, {}), **v} for k, v in sections.items()}}
    return BatchMaker(parse_config(data), load(folder, only=only))


def test_gaps_are_the_distance_to_the_nearest_slice_that_shows_it():
    shown = np.array([[False, False, True, True, False, False, True, False], [False] * 8])
    found = gaps(shown, 2.5)
    assert found[0].tolist() == [5.0, 2.5, 0, 0, 2.5, 2.5, 0, 2.5]
    assert np.isnan(found[1]).all(), "a label that nobody drew says nothing"


def test_volumes_become_slices_along_each_axis(folder):
    z = cut_volumes(folder / "volumes" / "things.npz")
    assert len(z["images"]) == 6 * (20 + 24 + 22) and z["images"].shape[1:] == (128, 128)
    assert len(set(z["stacks"].tolist())) == 18
    stack = z["stacks"] == z["stacks"][-1]  # the last volume along its last axis
    assert z["positions"][stack].tolist() == list(range(22))
    ball, box = z["gaps"][stack].T
    assert ball[4:13].tolist() == [0.0] * 9 and ball[3] == ball[13] == 1 and ball[21] == 9
    assert box[16:].tolist() == [0.0] * 6 and box[0] == 16
    masks = np.unpackbits(z["masks"][stack], axis=-1)
    assert (masks.any((2, 3)) == (z["gaps"][stack] == 0)).all()
    assert abs(masks[8, 0].sum() / 128**2 * 24 * 24 - 49) < 4, "the area of the ball's middle, padded to a square of 24 mm"


def test_thick_slices_are_cut_along_their_own_axis_only(tmp_path):
    write_volumes(tmp_path / "thick.npz", 1)
    with np.load(tmp_path / "thick.npz") as z:
        arrays = dict(z)
    arrays["spacings"][:] = [1, 1, 8]
    np.savez(tmp_path / "thick.npz", **arrays)
    z = cut_volumes(tmp_path / "thick.npz")
    assert set(z["views"].tolist()) == {"axis2"} and len(z["images"]) == 22 and z["gaps"][13, 0] == 8


def test_a_ct_is_windowed_inside_the_body():
    volume = np.full((10, 10, 10), -1000, np.int16)
    volume[2:8, 2:8, 2:8] = np.random.default_rng(0).integers(-100, 200, (6, 6, 6))
    shown = window_volume(volume)
    assert shown.min() == 0 and 0.98 < shown.max() <= 1 and not shown[0].any()
    assert abs(np.median(shown[2:8, 2:8, 2:8]) - 0.5) < 0.1, "air takes nothing of the range"


def test_both_gates_stand_before_volumes_too(folder):
    names = {d.name for d in load(folder).datasets}
    assert names == {"made0", "made1", "things volumes", "maps volumes"}
    with pytest.raises(CorpusError, match="secret"):
        Corpus.load(folder, "eval", volumes=True)


def test_slices_are_kept_and_read_again(folder, tmp_path):
    first = load(folder, cache=tmp_path)
    assert len(list(tmp_path.glob("slices-*.npz"))) == 2
    again = load(folder, cache=tmp_path)
    for a, b in zip(first.datasets, again.datasets, strict=True):
        assert a.name == b.name and (a.images == b.images).all() and (a.folds == b.folds).all()


def task_of(folder, name="things volumes", label=0, view="axis2", fold="train", **options):
    tasks = load(folder).tasks(fold, 5, **options)
    return next(t for t in tasks if t.dataset.name == name and t.label == label and t.view == view)


def test_absence_is_certain_only_beyond_the_end_and_where_something_is_known(folder):
    task = task_of(folder, min_gap=1.5)
    assert task.gaps.min() == 2 and not set(task.absent) & set(task.indices)
    assert not task.dataset.areas[task.absent, 0].any()
    picked = load(folder).tasks("train", 5)
    assert not any(len(t.absent) for t in picked if t.dataset.name == "made0"), "an organ may simply not be drawn"
    complete = [t for t in load(folder).tasks("train", 5, complete=["made0"]) if t.dataset.name == "made0"]
    assert all((t.dataset.areas[t.absent, t.label] == 0).all() for t in complete)


def test_an_absent_target_comes_with_examples_that_show_the_structure(folder):
    task, options = task_of(folder), AbsenceConfig(entry_share=0.5, widest_share=0.5, own_share=0.5, neighbour_share=0.5, reach=3)
    areas, slices = task.dataset.areas[:, 0], task.dataset.slices
    seen = {"empty": 0, "own": 0, "neighbour": 0}
    for seed in range(60):
        drawn = draw_slices(task, 6, True, options, np.random.default_rng(seed))
        target, context = drawn.indices[0], drawn.indices[1:]
        assert areas[target] == 0 and areas[context].any() and target not in context
        seen["empty"] += int((areas[context] == 0).any())
        seen["own"] += int((task.dataset.subjects[context] == task.dataset.subjects[target]).any())
        if drawn.neighbour is not None:
            seen["neighbour"] += 1
            assert slices.stacks[drawn.neighbour] == slices.stacks[target] and areas[drawn.neighbour]
            assert 0 < abs(slices.positions[drawn.neighbour] - slices.positions[target]) <= 3
    assert all(count > 5 for count in seen.values()), seen


def test_widest_contexts_hold_each_volumes_widest_slice(folder):
    task = task_of(folder)
    drawn = draw_slices(task, 3, False, AbsenceConfig(widest_share=1.0, entry_share=0.0), np.random.default_rng(0))
    areas, stacks = task.dataset.areas[:, 0], task.dataset.slices.stacks
    for index in drawn.indices[1:]:
        assert areas[index] == areas[stacks == stacks[index]].max()


def test_a_foreign_image_is_of_other_words_and_patients(folder):
    sampler = TaskSampler(load(folder).tasks("train", 5))
    task = task_of(folder)
    for seed in range(10):
        dataset, _ = sampler.draw_foreign(task, np.random.default_rng(seed))
        assert dataset.name.startswith("made"), "label maps are no images"


def test_favoured_datasets_are_drawn_more_often(folder):
    sampler = TaskSampler(load(folder).tasks("train", 5), 0.5, 10, {"things volumes": 4.0})
    weights = dict(zip(sampler.names, sampler.weights, strict=True))
    assert weights["things volumes"] == pytest.approx(4 * weights["maps volumes"])


@pytest.mark.parametrize("source", ["real", "superpixel", "shapes"])
def test_batches_show_absence_in_its_share(folder, source):
    shares = {s: float(s == source) for s in ("real", "superpixel", "shapes")}
    batches = maker(
        folder, sources=shares, absence={"share": 0.5, "foreign_share": 0.3, "neighbour_share": 0.3}, context={"empty_share": 0.0}
    )
    empty, alone = [], []
    for step in range(30):
        batch = batches.make(step, stage=STAGE)
        nothing = ~batch.label.flatten(1).any(1)
        if batch.context is not None:
            empty += nothing.tolist()
            assert batch.context[:, :, 1:].flatten(1).any(1).all(), "the examples say what is looked for"
        elif batch.previous is None:
            alone += nothing.tolist()
        else:
            alone += (nothing & ~batch.previous.flatten(1).any(1)).tolist()
    assert 0.3 < np.mean(empty) < 0.7
    assert not any(alone), "without anything to go by nothing is absent"


def test_a_previous_prediction_lies_where_the_structure_was(folder):
    batches = maker(folder, ["things volumes"], **ALONE, absence={"neighbour_share": 1.0, "reach": 1})
    agree = []
    for step in range(8):
        batch = batches.make(step, stage=STAGE)
        if batch.previous is not None:
            has = batch.previous.flatten(1).any(1)
            mask = (batch.previous > 0).float()
            agree += (2 * (mask * batch.label).flatten(1).sum(1) / (mask + batch.label).flatten(1).sum(1))[has].tolist()
            assert batch.previous.abs().max() <= 10
    assert np.median(agree) > 0.7


def test_label_maps_get_grey_levels_that_follow_the_structures():
    maps = np.zeros((2, 32, 32), np.uint8)
    maps[:, 8:24, 8:24], maps[:, 12:20, 12:20] = 1, 2
    images = paint(maps, np.random.default_rng(3)).astype(float)
    inside = [[images[i][maps[i] == k].mean() for k in range(3)] for i in range(2)]
    assert abs(np.diff(inside, axis=1)).min() > 10 and abs(np.subtract(*inside)).max() < 60


def test_an_empty_label_costs_the_logarithm_of_the_predicted_area():
    logits = torch.full((2, 1, 16, 16), -40.0)
    logits[1, 0, :4, :4] = 40
    assert torch.allclose(empty_loss(logits), torch.tensor([0.0, math.log(17) / math.log(257)]), atol=1e-5)
    label = torch.zeros_like(logits)
    label[0, 0, :2] = 1
    each = SegmentationLoss(empty_weight=0.5).each(logits, label)
    assert each[1] == pytest.approx(0.5 * math.log(17) / math.log(257)) and each[0] > 0.9


def test_empty_targets_push_the_whole_wrong_region_down():
    logits = torch.full((1, 1, 32, 32), -6.0)
    logits[0, 0, 4:28, 4:28] = 6.0
    logits.requires_grad_()
    empty_loss(logits).sum().backward()
    assert (logits.grad > 0).all() and logits.grad.sum() > 1e-4


def test_the_interaction_learns_presence_and_begins_with_previous_logits(folder):
    settings = parse_config({**SMOKE, "model": {**SMOKE["model"], "fine": 4, "presence": True}, "prompts": {"absent_share": 1.0}})
    network = build_network(settings.model)
    label = torch.zeros(2, 1, 32, 32)
    label[0, 0, 8:20, 8:20] = 1
    previous = torch.where(label > 0, 5.0, -5.0) * torch.tensor([1.0, 0.0])[:, None, None, None]
    lesson = Interaction(network, settings)(torch.rand(2, 1, 32, 32), label, None, previous=previous)
    assert torch.equal(lesson.inputs[0][:, 4:], previous)
    assert not lesson.inputs[0][0, 1:4].any()
    assert not lesson.inputs[0][1, 1:3].any(), "an empty label has nothing to click on"
    assert lesson.present.shape == lesson.each.shape == (3, 2)
    lesson.losses.sum().backward()
    assert network.presence.out.bias.grad.abs() > 0 and network.refine.out.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_a_training_with_absence_learns_to_say_it(folder, tmp_path, one_thread):
    """Bright balls: the network comes to tell slices with one from slices without, in seconds."""
    settings = parse_config(
        {
            **SMOKE,
            **ALONE,
            "model": {**SMOKE["model"], "fine": 4, "presence": True},
            "stages": [{"steps": 140, "size": 32, "batch": 8, "max_context": 2}],
            "context": {"max_size": 2, "weak_share": 0, "all_weak_share": 0},
            "absence": {"share": 0.5, "foreign_share": 0.0},
            "prompts": {"steps": 1, "absent_share": 1.0},
            "optim": {"name": "adamw", "lr": 3e-3, "clip": 1.0, "ema": 0.8, "focal_weight": 0.0},
            "run": {"save_every": 140, "log_every": 35, "validate_every": 140, "validation_tasks": 4},
        }
    )
    corpus = load(folder, only=["made0", "things volumes"])
    trainer = Trainer(settings, corpus, tmp_path, accelerator="cpu", say=lambda text: None)
    tasks = [t for t in corpus.tasks("val", 5) if len(t.absent)]
    before = validate_absence(trainer.averaged(), tasks, 40, 32)
    trainer.train()
    after = validate_absence(trainer.averaged(), tasks, 40, 32)
    assert before["absent_said"] == before["present_missed"] == 0, "it begins with finding everything"
    assert after["absent_said"] - after["present_missed"] > 0.3
    header, row = (tmp_path / "sources.csv").read_text().splitlines()[:2]
    assert {"real_present", "real_absent", "said_present", "said_absent"} <= set(header.split(","))
    assert "nan" not in row.split(",")[1]
    assert "absent_said" in (tmp_path / "validation.csv").read_text()


def test_the_tally_tells_present_from_absent():
    from MultiverSegLib.training.batches import Batch
    from MultiverSegLib.training.interaction import Lesson

    label = torch.zeros(2, 1, 4, 4)
    label[0] = 1
    tally = Tally()
    lesson = Lesson(torch.zeros(1), [], [], torch.tensor([[0.25, 0.75]]), torch.tensor([[2.0, 1.0]]))
    tally.add(lesson, Batch(label, label, None, ["real", "shapes"]))
    row = tally.row()
    assert row["real_present"] == 0.25 and row["shapes_absent"] == 0.75 and math.isnan(row["real_absent"])
    assert row["said_present"] == 1.0 and row["said_absent"] == 0.0
