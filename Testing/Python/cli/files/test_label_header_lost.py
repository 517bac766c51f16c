"""A label map of the volume's shape whose header was lost."""

import numpy as np
import SimpleITK as sitk
from file_cases import ball, mask_like, write


def test_a_lost_header_is_refused_with_the_share(command, tmp_path):
    image, inside = ball()
    volume = write(tmp_path / "data" / "a.nii.gz", image)
    lost = write(tmp_path / "lost.nii.gz", sitk.GetImageFromArray(inside.astype(np.uint8)))
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    for line in (
        ("cohort", "accept", tmp_path / "co", "a", "--segmentation", lost),
        ("context", "add", tmp_path / "ctx", volume, lost, "--structure", "ball"),
        ("segment", volume, "--segmentation", lost, "--slice", "max", "--structure", "1", "-o", tmp_path / "o.seg.nrrd"),
    ):
        told = command(*line)
        assert told.code == 1 and "64% of the labelled voxels" in told.error_line and "header was lost" in told.error_line, told.err


def test_labels_that_reach_out_of_a_cropped_volume_are_used_and_told(command, tmp_path):
    image, inside = ball()
    volume = write(tmp_path / "data" / "a.nii.gz", image[:, :, :12])
    whole = mask_like(image, inside, tmp_path / "whole.nii.gz")
    done = command("context", "add", tmp_path / "ctx", volume, whole, "--structure", "ball")
    assert done.code == 0 and "of the labelled voxels" in done.err and "left out" in done.err
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    assert command("cohort", "accept", tmp_path / "co", "a", "--segmentation", whole).code == 0
    assert '"noticed"' in (tmp_path / "co" / "journal.jsonl").read_text(), "kept in the journal, too"


def test_labels_of_another_patient_are_refused(command, tmp_path):
    image, inside = ball()
    volume = write(tmp_path / "a.nii.gz", image)
    image.SetOrigin((500, 0, 0))
    told = command("context", "add", tmp_path / "ctx", volume, mask_like(image, inside, tmp_path / "other.nrrd"))
    assert told.code == 1 and "None of the labelled voxels" in told.error_line
