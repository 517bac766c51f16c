"""A DICOM SEG where a segmentation is asked for, and where an image is."""

import json

import numpy as np
import pytest
from file_cases import CENTRE, PROMPTS, ball, centre_of, dicom_seg, series, voxels_of

pytest.importorskip("highdicom")


@pytest.fixture
def two(tmp_path):
    image, inside = ball()
    series(tmp_path / "data" / "p1", image)
    dicom_seg(tmp_path / "two.dcm", tmp_path / "data" / "p1", {"spleen": np.roll(inside, 5, axis=2), "liver": inside})
    return tmp_path


def test_the_segment_of_the_structures_name_is_accepted_in_its_place(command, two):
    command("cohort", "init", two / "co", "--from", two / "data", "-s", "liver")
    done = command("cohort", "accept", two / "co", "p1", "--segmentation", two / "two.dcm")
    assert done.code == 0, done.err
    assert command("cohort", "export", two / "co", "-o", two / "out").code == 0
    assert voxels_of(two / "out" / "p1.nii.gz") == 2353
    assert np.allclose(centre_of(two / "out" / "p1.nii.gz"), CENTRE, atol=0.2)
    command("cohort", "init", two / "other", "--from", two / "data", "-s", "kidney")
    told = command("cohort", "accept", two / "other", "p1", "--segmentation", two / "two.dcm")
    assert told.code == 1 and "spleen, liver" in told.error_line


def test_an_example_is_made_of_the_right_slice(command, two):
    told = command("context", "add", two / "ctx", two / "data" / "p1", two / "two.dcm")
    assert told.code == 1 and "spleen, liver" in told.error_line
    done = command("context", "add", two / "ctx", two / "data" / "p1", two / "two.dcm", "--structure", "liver")
    assert done.code == 0 and "slice k=12" in done.out, done.err
    assert json.loads(command("context", "list", two / "ctx", "--json").out)[0]["structure"] == "liver"


def test_it_is_no_image_and_does_not_hide_the_images_beside_it(command, two):
    told = command("segment", two / "two.dcm", *PROMPTS, "-o", two / "o.seg.nrrd")
    assert told.code == 1 and "DICOM SEG, not an image" in told.error_line
    told = command("context", "add", two / "ctx", two / "data" / "p1", two / "data" / "p1" / "IM003")
    assert told.code == 1 and "DICOM CT, not a segmentation" in told.error_line.replace("a DICOM CT", "DICOM CT")
    (two / "two.dcm").rename(two / "data" / "p1" / "seg.dcm")
    done = command("segment", two / "data" / "p1", *PROMPTS, "-o", two / "o.seg.nrrd")
    assert done.code == 0, done.err
    (two / "data" / "only").mkdir()
    (two / "data" / "p1" / "seg.dcm").rename(two / "data" / "only" / "seg.dcm")
    told = command("segment", two / "data" / "only", *PROMPTS, "-o", two / "o.seg.nrrd")
    assert told.code == 1 and "no DICOM images (only 1 SEG)" in told.error_line
