"""The demo on real volumes of the sample cohort, with a small network that knows nothing: the chain, the files and the page, not the quality."""

from __future__ import annotations

import re

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.core.sample_cohorts import SAMPLE_COHORTS, sample_of
from MultiverSegLib.demo.run import MAX_CLICKS, find_cases


@pytest.mark.parametrize(
    "name, values, words",
    [
        ("hippocampus", {0, 1, 2}, ("CC BY-SA 4.0", "Medical Segmentation Decathlon")),
        ("heart", {0, 1}, ("CC0 1.0", "Sunnybrook", "spacing is assumed")),
    ],
)
def test_a_sample_cohort_is_complete(name, values, words):
    sample = SAMPLE_COHORTS[name]
    cases = find_cases(sample.path)
    assert len(cases) == len(sample.images()) >= 18
    for case in cases:
        image, label = sitk.ReadImage(str(case.image)), sitk.ReadImage(str(case.label))
        assert image.GetSize() == label.GetSize() and image.GetDimension() == 3
        assert set(np.unique(sitk.GetArrayViewFromImage(label))) == values
        assert sample_of(case.image) is sample
    readme = (sample.path / "README.md").read_text(encoding="utf-8")
    assert all(word in readme for word in words)


def test_the_second_sample_cohort_says_what_is_assumed(command, checkpoint, tmp_path):
    ran = command("demo", "--sample", "heart", "--cases", 1, "--orders", 1, "--out", tmp_path / "out", "--model", checkpoint)
    assert ran.code == 0 and "1 cases, structure left ventricle, slices along k" in ran.out, ran.err
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert SAMPLE_COHORTS["heart"].caution in page and "Sunnybrook" in page and "Decathlon" not in page
    refused = command("demo", "--sample", "lung", "--out", tmp_path / "out")
    assert refused.code == 2 and "hippocampus or heart" in " ".join(refused.err.split())


def test_a_file_of_the_users_is_of_no_sample_cohort(tmp_path):
    assert sample_of(tmp_path / "images" / "a.nii.gz") is None


def test_a_cohort_from_start_to_report(command, checkpoint, tmp_path):
    out = tmp_path / "out put"
    ran = command("demo", "--cases", 2, "--out", out, "--model", checkpoint)
    assert ran.code == 0, ran.err
    rows = [line.split() for line in ran.out.splitlines() if line.startswith("hippocampus_")]
    assert [row[0] for row in rows] == ["hippocampus_001", "hippocampus_003"]
    first, second = rows
    assert first[1] == first[2], "without any example both runs are one and the same"
    assert first[3] == "-" and 0 <= float(second[3]) <= 1
    for _, clicks, plain, _, dice, _ in rows:
        for text in (clicks, plain):
            assert 0 <= int(text.rstrip("*")) <= MAX_CLICKS
        assert clicks.endswith("*") == (float(dice) < 0.9)
    assert "not for clinical decisions" in ran.out
    assert re.findall(r"^order (\d):", ran.out, re.M) == ["1", "2"], "two cases have two orders"

    for case in find_cases(SAMPLE_COHORTS["hippocampus"].path)[:2]:
        image, result = sitk.ReadImage(str(case.image)), sitk.ReadImage(str(out / f"{case.name}.seg.nrrd"))
        assert result.GetSize() == image.GetSize() and np.allclose(result.GetOrigin(), image.GetOrigin())
        assert np.allclose(result.GetDirection(), image.GetDirection())
        mask = sitk.GetArrayFromImage(result)
        assert len(np.flatnonzero(mask.any(axis=(0, 1)))) <= 1, "one slice along i"
        assert result.GetMetaData("Segment0_Name") == "hippocampus"
    assert not list(out.glob(".*"))

    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2 and page.count("<svg") == 2
    assert re.findall(r"<tr><td>(\w+)</td>", page) == ["hippocampus_001", "hippocampus_003"]
    assert "CC BY-SA 4.0" in page and "not for clinical decisions" in page


def test_the_printed_dice_is_that_of_the_written_file(command, checkpoint, tmp_path):
    ran = command("demo", "--cases", 1, "--out", tmp_path, "--model", checkpoint, "--label", 1)
    assert ran.code == 0, ran.err
    case = find_cases(SAMPLE_COHORTS["hippocampus"].path)[0]
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label))) == 1
    result = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{case.name}.seg.nrrd"))) > 0
    axis = 2 - "ijk".index(re.search(r"slices along ([ijk])", ran.out)[1])
    index = truth.sum(axis=tuple(n for n in range(3) if n != axis)).argmax()
    a, b = truth.take(index, axis), result.take(index, axis)
    line = next(line for line in ran.out.splitlines() if line.startswith(case.name))
    assert float(line.split()[4]) == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()), abs=0.006)


def test_a_click_on_a_pixel_is_that_voxels_place_in_the_patient(ball, host):
    from MultiverSegLib.demo.run import _to_point
    from MultiverSegLib.evaluation.protocols import DrawnMark
    from MultiverSegLib.mrml.volume_files import load_volume

    volume = load_volume(ball.path)
    for axis, pixel, ijk in (("k", (22, 20), (20, 22, 6)), ("j", (6, 20), (20, 22, 6)), ("i", (6, 22), (20, 22, 6))):
        click = DrawnMark("click", False, np.array([pixel]), 1)
        point = _to_point(click, volume, axis, ijk["ijk".index(axis)])
        assert not point.positive
        assert np.allclose(point.position, [float(v) for v in ball.ras(*ijk).split(",")], rtol=0, atol=6e-4)


@pytest.mark.parametrize("trouble", ["no folder", "no labels", "another size", "empty label"])
def test_a_cohort_that_cannot_be_used(command, checkpoint, ball, tmp_path, trouble):
    cohort = tmp_path / "cohort"
    label = sitk.Cast(ball.image > 200, sitk.sitkUInt8)
    if trouble != "no folder":
        (cohort / "images").mkdir(parents=True)
        (cohort / "labels").mkdir()
        sitk.WriteImage(ball.image, str(cohort / "images" / "a.nrrd"))
    if trouble == "another size":
        sitk.WriteImage(label[:20], str(cohort / "labels" / "a.nrrd"))
    elif trouble == "empty label":
        sitk.WriteImage(label * 0, str(cohort / "labels" / "a.nrrd"))
    ran = command("demo", "--cohort", cohort, "--out", tmp_path / "out", "--model", checkpoint)
    assert ran.code == 1 and str(cohort) in ran.error_line


@pytest.mark.slow
def test_with_the_bundled_model_the_context_spares_clicks(command, tmp_path):
    ran = command("demo", "--cases", 8, "--out", tmp_path, "--orders", 2)
    assert ran.code == 0, ran.err
    walks = re.findall(r"order \d: (\d+) clicks with context, (\d+) without", ran.out)
    assert len(walks) == 2 and all(int(ours) < 0.85 * int(plain) for ours, plain in walks)
    shares = [1 - int(ours) / int(plain) for ours, plain in walks]
    said = f"{sum(shares) / 2:.0%} on average over 2 orders ({min(shares):.0%} to {max(shares):.0%})"
    assert said in ran.out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "saved over 2 orders" in page and "mean of 2 orders" in page
