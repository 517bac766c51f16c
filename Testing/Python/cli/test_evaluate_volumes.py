"""Volumes worked through by each method: the way between voxels and grid, contexts of other cases, the commands."""

import json

import numpy as np
import pytest
from MultiverSegLib.cli.volume_measures import VolumeOptions, absence_table, measure_absence, measure_volumes, volumes_table
from MultiverSegLib.cli.volume_methods import Engine, IndependentSlices, Stack, context_slices, read_cases
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.evaluation.simulate import fast_dice
from MultiverSegLib.evaluation.volume_clicks import VolumeClick, draw_box

from ..cohort.model import BrightModel


def write(path, count=3, shape=(24, 20, 16), spacing=(1.0, 1.0, 2.0)):
    """Volumes with a bright ball at different places; axes (x, y, z) as in a corpus."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")).astype(float)
    arrays = {
        "label_names": np.array(["ball"]),
        "spacings": np.tile(spacing, (count, 1)),
        "subjects": np.array([f"s{n}" for n in range(count)]),
    }
    for number in range(count):
        away = (grid - np.array([11 + number, 10, 8])[:, None, None, None]) * np.array(spacing)[:, None, None, None]
        label = (away**2).sum(0) <= 36
        arrays[f"label_{number:03}"] = label.astype(np.uint8)
        arrays[f"volume_{number:03}"] = (20 + 200 * label).astype(np.uint8)
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return read_cases(write(tmp_path_factory.mktemp("volumes") / "balls.npz"))


def test_an_archive_is_read_with_its_axes_and_spacing(cases):
    assert [c.name for c in cases] == ["balls_000", "balls_001", "balls_002"]
    assert cases[0].spacing == (2.0, 1.0, 1.0) and cases[0].volume.array.shape == (16, 20, 24)
    assert cases[2].labels["ball"][8, 10, 13] and not cases[2].labels["ball"][8, 10, 4]


def test_voxels_meet_their_pixels(cases):
    stack = Stack(cases[0])
    assert stack.axis == 0 and len(stack) == 16 and stack.spacing == 2.0
    masks = stack.grid_masks(cases[0].labels["ball"])
    index, row, col = stack.pixel((8, 10, 11))
    assert index == 8 and masks[8, row, col]
    rows, cols = np.nonzero(masks[8])
    assert abs(rows.mean() - row) < 3 and abs(cols.mean() - col) < 3
    back = stack.to_voxels({n: m.astype(np.float32) for n, m in enumerate(masks)})
    assert fast_dice(back, cases[0].labels["ball"]) > 0.98


def test_other_axes_are_cut_too(cases):
    stack = Stack(cases[0], "sagittal")
    assert stack.axis == 2 and len(stack) == 24
    index, row, col = stack.pixel((8, 10, 11))
    assert index == 11 and stack.grid_masks(cases[0].labels["ball"])[11, row, col]


def test_a_box_and_a_click_segment_the_ball(cases):
    stack, label = Stack(cases[0]), cases[0].labels["ball"]
    box = draw_box(label, 0, np.random.default_rng(0))
    for made in (Engine(BrightModel(), stack), IndependentSlices(BrightModel(), stack)):
        assert fast_dice(made.start(box), label) > 0.9
    alone = Engine(BrightModel(), stack)
    assert not alone.start(None).any(), "without box, clicks and examples nothing is known"
    assert fast_dice(alone.click(VolumeClick((8, 10, 11), True)), label) > 0.9


def test_examples_alone_find_it(cases):
    stack, other = Stack(cases[0]), Stack(cases[1])
    found = Engine(BrightModel(), stack, other.examples(cases[1].labels["ball"])).start(None)
    assert fast_dice(found, cases[0].labels["ball"]) > 0.9


@pytest.mark.parametrize(("count", "expected"), [(1, [6]), (2, [6, 5]), (3, [6, 1, 9]), (4, [6, 1, 9, 5]), (5, [6, 1, 9, 4])])
def test_slices_that_an_accepted_volume_gives(count, expected):
    """The widest; from three on one two slices beyond each end, where it is certainly over; then along the structure."""
    assert context_slices(np.array([0, 0, 0, 5, 6, 7, 9, 2, 0, 0, 0]), count) == expected


def test_slices_beyond_the_volume_are_left_out():
    assert context_slices(np.array([3, 4, 3]), 3)[0] == 1
    assert all(0 <= n < 3 for n in context_slices(np.array([3, 4, 3]), 5))


def test_every_method_is_measured_with_and_without_examples(cases):
    rows = measure_volumes(BrightModel(), cases, VolumeOptions(examples=2, clicks=1))
    kinds = {(r.method, r.examples > 0, r.box) for r in rows}
    assert kinds == {
        *((m, e, b) for m in ("engine", "independent slices", "interpolated") for e in (False, True) for b in (False, True)),
        ("extruded ellipse", False, True),
        ("mean of the other masks", True, False),
    }
    assert all(len(r.course.dice) == 2 for r in rows)
    best = [r.course.dice[-1] for r in rows if r.method == "engine" and r.box]
    assert min(best) > 0.9
    table = volumes_table(rows)
    assert table.count("\n") == 2 + len(kinds) and "| engine | 2 | yes |" in table and "| engine | none | no |" in table
    json.dumps([r.to_json() for r in rows])


def test_a_structures_own_subject_gives_no_example(tmp_path):
    path = write(tmp_path / "two.npz", 2)
    with np.load(path) as z:
        arrays = dict(z)
    arrays["subjects"][:] = "same"
    np.savez(path, **arrays)
    rows = measure_volumes(BrightModel(), read_cases(path), VolumeOptions(clicks=1, methods=("engine",)))
    assert {r.examples for r in rows} == {0}


def test_absence_is_counted_from_examples_alone(cases):
    said = measure_absence(BrightModel(), cases, VolumeOptions(examples=2, moved=False))
    assert len(said) == 3 * 16 and {s.zone for s in said} == {"absent", "present", "border"}
    assert all(s.called_absent != s.shown for s in said), "the ball is bright: this model knows"
    assert "| absent called absent | at least 95 % | 100.0 %" in absence_table(said)


@pytest.mark.parametrize(("content", "message"), [(b"no archive", "not a file of volumes"), (None, "not a file of volumes")])
def test_what_is_no_file_of_volumes_is_told(tmp_path, content, message):
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MultiverSegError, match=message):
        read_cases(path)


def test_the_commands_write_what_they_print(command, tmp_path, checkpoint):
    path = write(tmp_path / "balls.npz", 2)
    options = ("--model", checkpoint, "--examples", 1, "-o", tmp_path / "out")
    ran = command("evaluate", "volumes", path, *options, "--method", "engine", "--method", "extruded ellipse", "--box")
    assert ran.code == 0 and ran.out.strip() == (tmp_path / "out" / "volumes.md").read_text().strip()
    data = json.loads((tmp_path / "out" / "volumes.json").read_text())
    assert len(data["rows"]) == 2 * 3 and len(data["rows"][0]["dice"]) == 6
    ran = command("evaluate", "absence", path, *options)
    assert ran.code == 0 and "present called absent" in ran.out
    assert "no method 'best'" in command("evaluate", "volumes", path, "--method", "best").error_line
