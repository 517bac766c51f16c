"""``multiverseg segment`` on real files: results line up with the volume, prompts of all kinds count, bad input is told in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cli import main

PACKAGE_ROOT = Path(main.__file__).resolve().parents[2]
LOW = ("--threshold", "0.01")  # random weights answer about a half everywhere: everything in view is the result


def same_grid(a: sitk.Image, b: sitk.Image) -> bool:
    return a.GetSize() == b.GetSize() and all(
        np.allclose(getattr(a, f"Get{what}")(), getattr(b, f"Get{what}")(), atol=1e-5) for what in ("Spacing", "Origin", "Direction")
    )


def read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def write_markups(path: Path, *markups: dict) -> Path:
    path.write_text(json.dumps({"markups": list(markups)}))
    return path


def fiducials(ball, *points: tuple) -> dict:
    """Points as Slicer writes them (LPS); each ((i, j, k), label)."""
    return {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "controlPoints": [
            {"id": str(n), "label": label, "position": list(ball.lps(*ijk)), "positionStatus": "defined"}
            for n, (ijk, label) in enumerate(points)
        ],
    }


def write_strokes(path: Path, ball, **strokes) -> Path:
    """A .seg.nrrd with one segment per keyword; voxels (i, j, k)."""
    array = np.zeros(read(ball.path).shape, np.uint8)
    image = None
    for value, (_, voxels) in enumerate(strokes.items(), 1):
        for i, j, k in voxels:
            array[k, j, i] = value
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(ball.image)
    for number, name in enumerate(strokes):
        extent = " ".join(f"0 {n - 1}" for n in array.shape[::-1])
        for key, text in (("ID", f"s{number}"), ("Name", name), ("LabelValue", str(number + 1)), ("Layer", "0"), ("Extent", extent)):
            image.SetMetaData(f"Segment{number}_{key}", text)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def segment(command, checkpoint, tmp_path):
    def call(volume, *options, out: str = "out.seg.nrrd"):
        return command("segment", volume, "-o", tmp_path / out, "--model", checkpoint, *options)

    return call


# --- what comes out


def test_the_result_lies_on_the_volumes_own_grid_and_on_one_slice(segment, ball, tmp_path):
    ran = segment(ball.path, "--point", ball.ras(20, 22, 6), "--structure", "ball", *LOW)
    assert ran.code == 0, ran.err
    result = sitk.ReadImage(str(tmp_path / "out.seg.nrrd"))
    assert same_grid(result, ball.image)
    slices = np.flatnonzero(sitk.GetArrayFromImage(result).any(axis=(1, 2)))
    assert list(slices) == [6]
    assert result.GetMetaData("Segment0_Name") == "ball"
    assert "slice k=6" in ran.out and "1 positive point" in ran.out and "not for clinical decisions" in ran.out


def test_a_left_handed_file_keeps_its_voxel_order(segment, ball, tmp_path):
    flipped = sitk.Flip(ball.image, (False, False, True))
    direction = np.array(ball.image.GetDirection()).reshape(3, 3) @ np.diag([1.0, 1.0, -1.0])
    flipped.SetDirection(direction.ravel().tolist())
    flipped.SetOrigin(ball.image.TransformIndexToPhysicalPoint((0, 0, ball.image.GetSize()[2] - 1)))
    path = tmp_path / "left.nrrd"
    sitk.WriteImage(flipped, str(path))
    ran = segment(path, "--point", ball.ras(20, 22, 6), *LOW)
    assert ran.code == 0, ran.err
    result = sitk.ReadImage(str(tmp_path / "out.seg.nrrd"))
    assert same_grid(result, flipped)
    assert list(np.flatnonzero(sitk.GetArrayFromImage(result).any(axis=(1, 2)))) == [ball.image.GetSize()[2] - 1 - 6]


@pytest.mark.parametrize("axis, number", [("i", 2), ("j", 1), ("k", 0)])
def test_axis_and_slice_are_those_of_the_file(segment, ball, tmp_path, axis, number):
    ran = segment(ball.path, "--box", f"{ball.ras(0, 0, 0)},{ball.ras(47, 39, 13)}", "--axis", axis, "--slice", "9", *LOW)
    assert ran.code == 0, ran.err
    others = tuple(n for n in range(3) if n != number)
    assert list(np.flatnonzero(read(tmp_path / "out.seg.nrrd").any(axis=others))) == [9]


def test_markups_of_all_kinds(segment, ball, tmp_path):
    points = fiducials(ball, ((20, 22, 6), "liver"), ((3, 3, 6), "neg-1"), ((4, 30, 6), " -outside"))
    curve = {**fiducials(ball, *[((n, 20, 6), "") for n in range(15, 26, 5)]), "type": "Curve"}
    roi = {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "roiType": "Box",
        "center": list(ball.lps(20, 22, 6)),
        "size": [20.0, 20.0, 3.0],
        "orientation": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "controlPoints": [{"id": "1", "position": list(ball.lps(20, 22, 6)), "positionStatus": "defined"}],
    }
    first = write_markups(tmp_path / "points.mrk.json", points)
    second = write_markups(tmp_path / "rest.mrk.json", curve, roi)
    ran = segment(ball.path, "-p", first, "-p", second)
    assert ran.code == 0, ran.err
    for words in ("1 positive point", "2 negative points", "1 positive scribble", "1 box"):
        assert words in ran.out


def test_prompts_on_other_slices_are_left_out_with_a_warning(segment, ball):
    ran = segment(ball.path, "--point", ball.ras(20, 22, 6), "--point", ball.ras(25, 22, 6), "--negative", ball.ras(2, 2, 12))
    assert ran.code == 0 and "1 of 3 prompts do not lie on slice k=6" in ran.err


def test_painted_scribbles_choose_their_slice_and_axis(segment, ball, tmp_path):
    strokes = write_strokes(
        tmp_path / "strokes.seg.nrrd", ball, organ=[(i, 17, k) for i in range(15, 25) for k in range(4, 8)], negative=[(2, 17, 2)]
    )
    ran = segment(ball.path, "--scribbles", strokes)
    assert ran.code == 0, ran.err
    assert "slice j=17" in ran.out and "2 painted segments" in ran.out


def test_an_existing_segmentation_is_gone_on_with(segment, ball, tmp_path):
    before = write_strokes(
        tmp_path / "before.seg.nrrd", ball, liver=[(i, j, 9) for i in range(10, 20) for j in range(10, 20)], spleen=[(5, 5, 2)]
    )
    ran = segment(ball.path, "--segmentation", before, "--structure", "liver", "--slice", "max", "--axis", "k")
    assert ran.code == 0 and "slice k=9" in ran.out, ran.err
    from MultiverSegLib.mrml.segments import get_segment, load_segmentation, segment_ids
    from MultiverSegLib.mrml.volume_files import load_volume

    volume = load_volume(ball.path)
    node = load_segmentation(tmp_path / "out.seg.nrrd", volume)
    assert len(segment_ids(node)) == 2
    spleen = get_segment(node, segment_ids(node, "spleen")[0], volume)
    assert spleen[2, 5, 5] == 1 and spleen.sum() == 1


def test_accepted_results_become_the_context_of_the_next(segment, ball, tmp_path):
    context = tmp_path / "ball context"
    ran = segment(ball.path, "--point", ball.ras(20, 22, 6), "--structure", "ball", "--context", context, "--accept", "--case", "one", *LOW)
    assert ran.code == 0 and "added one" in ran.out, ran.err
    ran = segment(ball.path, "--context", context, out="next.seg.nrrd")
    assert ran.code == 0, ran.err
    assert "prompts: none; examples: 1" in ran.out and "ball:" in ran.out and "slice k=7" in ran.out


def test_nan_voxels_do_no_harm(segment, ball, tmp_path):
    array = read(ball.path).astype(np.float32)
    array[6, :10] = np.nan
    array[6, 10:12] = np.inf
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(ball.image)
    sitk.WriteImage(image, str(tmp_path / "nan.nrrd"))
    assert segment(tmp_path / "nan.nrrd", "--point", ball.ras(20, 22, 6)).code == 0


# --- what goes wrong


def bad_volume(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.nrrd"
    if kind == "missing":
        return path
    if kind == "garbage":
        path.write_bytes(b"NRRD0005\nnonsense" * 20)
    elif kind == "truncated":
        sitk.WriteImage(sitk.Image(20, 20, 20, sitk.sitkInt16), str(path))
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "four dimensions":
        sitk.WriteImage(sitk.Image([8, 8, 8, 3], sitk.sitkInt16), str(path))
    elif kind == "colour":
        sitk.WriteImage(sitk.Image([8, 8, 8], sitk.sitkVectorUInt8, 3), str(path))
    return path


@pytest.mark.parametrize("kind", ["missing", "garbage", "truncated", "four dimensions", "colour"])
def test_a_volume_that_is_none(segment, tmp_path, kind):
    path = bad_volume(tmp_path, kind)
    ran = segment(path, "--point", "0,0,0")
    assert ran.code == 1 and str(path) in ran.error_line
    assert not (tmp_path / "out.seg.nrrd").exists()


@pytest.mark.parametrize(
    "options, said",
    [
        (["--point", "900,0,0"], "outside of the volume"),
        (["--point", "{center}", "--axis", "k", "--slice", "5"], "None of the 1 prompts lies on slice k=5"),
        (["--point", "{center}", "--axis", "k", "--slice", "14"], "0 to 13"),
        (["--point", "{lps}"], "R and A have the signs of LPS coordinates"),
        (["--point", "{upside_down}"], "S has the wrong sign"),
        (["--point", "900,0,0"], "the volume has R -11.46 to 38.52, A -62.45 to -12, S 55 to 94 mm"),
        (["-p", "{missing}.mrk.json"], "does not exist"),
        (["--scribbles", "{missing}.seg.nrrd"], "does not exist"),
        (["--segmentation", "{missing}.seg.nrrd"], "does not exist"),
        (["--context", "{empty}"], "nothing to go by"),
        (["--context", "{missing}", "--point", "{center}"], "does not exist"),
        (["--point", "{center}", "--model", "no-such-model"], "no-such-model"),
        (["--point", "{center}", "--model", "{missing}.pt"], "missing.pt"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:40],
)
def test_one_line_says_what_is_wrong(segment, ball, tmp_path, options, said):
    (tmp_path / "empty").mkdir()
    names = {"missing": tmp_path / "missing", "empty": tmp_path / "empty", "center": ball.ras(20, 22, 6)}
    x, y, z = ball.lps(20, 22, 6)
    names |= {"lps": f"{x},{y},{z}", "upside_down": f"{-x},{-y},{-z}"}
    ran = segment(ball.path, *[option.format(**names) for option in options])
    assert ran.code == 1 and said in ran.error_line
    assert not (tmp_path / "out.seg.nrrd").exists()


def test_a_markups_file_that_is_none(segment, ball, tmp_path):
    path = tmp_path / "bad.mrk.json"
    path.write_text('{"markups": ')
    assert str(path) in segment(ball.path, "-p", path).error_line


def test_an_empty_segment_has_no_max_slice(segment, ball, tmp_path):
    before = write_strokes(tmp_path / "before.seg.nrrd", ball, spleen=[(5, 5, 2)])
    ran = segment(ball.path, "--segmentation", before, "--structure", "liver", "--slice", "max")
    assert ran.code == 1 and "liver" in ran.error_line


def test_a_place_that_cannot_be_written(segment, ball, tmp_path):
    if os.geteuid() == 0:
        (tmp_path / "file").write_text("")
        place = "file/out.seg.nrrd"  # permissions don't stop root; a file in the way does
    else:
        (tmp_path / "locked").mkdir(mode=0o555)
        place = "locked/out.seg.nrrd"
    ran = segment(ball.path, "--point", ball.ras(20, 22, 6), out=place)
    assert ran.code == 1 and place in ran.error_line


def test_a_write_that_breaks_off_leaves_nothing_and_keeps_the_old_result(checkpoint, tmp_path):
    """The file size limit stands for a full disk: the operating system refuses the bytes in both cases."""
    resource = pytest.importorskip("resource")
    noise = (np.random.default_rng(0).random((20, 128, 128)) < 0.5).astype(np.uint8)
    volume, before = tmp_path / "noise.nrrd", tmp_path / "before.nii.gz"
    for path in (volume, before):  # a bit per voxel that no compression spares: 40 kB
        sitk.WriteImage(sitk.GetImageFromArray(noise), str(path))
    limit = 12_000  # enough for the host's own small files
    out = tmp_path / "out" / "result.seg.nrrd"
    out.parent.mkdir()
    out.write_bytes(b"the old result")
    arguments = [sys.executable, "-m", "MultiverSegLib.cli", "segment", str(volume), "-o", str(out), "--model", str(checkpoint)]
    ran = subprocess.run(
        [*arguments, "--point", "-9,-9,9", "--segmentation", str(before)],
        cwd=PACKAGE_ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert ran.returncode == 1 and "Traceback" not in ran.stderr
    assert str(out) in ran.stderr.splitlines()[-1]
    assert out.read_bytes() == b"the old result" and len(list(out.parent.iterdir())) == 1


# --- the bundled model


@pytest.mark.parametrize("axis, index", [("k", 6), ("j", 22), ("i", 20)])
def test_the_bundled_model_finds_the_ball_from_a_box_and_a_click(command, ball, tmp_path, axis, index):
    i, j, k = ball.center_ijk
    box = [ball.ras(i - 11, j - 9, k - 3.2), ball.ras(i + 11, j + 9, k + 3.2)]
    out = tmp_path / "out.seg.nrrd"
    ran = command("segment", ball.path, "-o", out, "--point", ball.ras(i, j, k), "--box", ",".join(box), "--axis", axis, "--slice", index)
    assert ran.code == 0, ran.err
    number = 2 - "ijk".index(axis)
    truth = (read(ball.path) > 200).take(index, number)
    result = read(out).take(index, number) > 0
    assert 2 * (truth & result).sum() / (truth.sum() + result.sum()) > 0.85


# --- whole volumes


def test_the_bundled_model_finds_the_whole_ball_from_a_box(command, ball, tmp_path):
    i, j, k = ball.center_ijk
    box = [ball.ras(i - 11, j - 9, k - 3.2), ball.ras(i + 11, j + 9, k + 3.2)]
    out = tmp_path / "out.seg.nrrd"
    ran = command("segment", ball.path, "-o", out, "--volume", "--point", ball.ras(i, j, k), "--box", ",".join(box), "--axis", "k")
    assert ran.code == 0 and "slices k=" in ran.out, ran.err
    truth, result = read(ball.path) > 200, read(out) > 0
    assert 2 * (truth & result).sum() / (truth.sum() + result.sum()) > 0.7
    slices = np.flatnonzero(result.any((1, 2)))
    assert slices[0] >= round(k - 3.2) - 1 and slices[-1] <= round(k + 3.2) + 1, "the box bounds the slices"


def test_what_is_about_one_slice_does_not_go_with_a_volume(segment, ball):
    ran = segment(ball.path, "--volume", "--point", ball.ras(*ball.center_ijk), "--slice", 3)
    assert ran.code == 2 and "--slice" in ran.err
    ran = segment(ball.path, "--point", ball.ras(*ball.center_ijk), "--slice", "²")  # a digit to Python, and no number
    assert ran.code == 2 and "--slice" in ran.err


def test_examples_alone_segment_a_whole_volume(command, ball, tmp_path):
    i, j, k = ball.center_ijk
    context = tmp_path / "balls"
    box = ",".join([ball.ras(i - 11, j - 9, k), ball.ras(i + 11, j + 9, k)])
    common = ("--context", context, "--axis", "k")
    first = command("segment", ball.path, "-o", tmp_path / "one.seg.nrrd", "--point", ball.ras(i, j, k), "--box", box, *common, "--accept")
    assert first.code == 0, first.err
    ran = command("segment", ball.path, "-o", tmp_path / "all.seg.nrrd", "--volume", *common, "--cap", 2)
    assert ran.code == 0 and "slices k=" in ran.out, ran.err
    truth, result = read(ball.path) > 200, read(tmp_path / "all.seg.nrrd") > 0
    assert (truth & result).sum() > 0.5 * truth.sum()
