"""A segmentation without a segment of the structure's name."""

import numpy as np
from file_cases import ball, mask_like, segmentation, voxels_of, write


def test_segments_are_never_merged_into_a_structure_of_another_name(command, tmp_path):
    image, inside = ball()
    write(tmp_path / "data" / "a.nrrd", image)
    two = segmentation(tmp_path / "two.seg.nrrd", [inside, np.roll(inside, -20, axis=2)], ["Liver", "Tumour"])
    assert command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "liver").code == 0
    told = command("cohort", "accept", tmp_path / "co", "a", "--segmentation", two)
    assert told.code == 1 and "Liver, Tumour" in told.error_line and "liver" in told.error_line
    both = mask_like(image, inside + 2 * np.roll(inside, 1, axis=0), tmp_path / "labels.nrrd")
    told = command("cohort", "accept", tmp_path / "co", "a", "--segmentation", both)
    assert told.code == 1 and "1, 2, 3" in told.error_line
    assert command("cohort", "export", tmp_path / "co", "-o", tmp_path / "out").code == 1, "nothing was accepted"


def test_the_named_segment_or_the_only_label_is_taken(command, tmp_path):
    image, inside = ball()
    write(tmp_path / "data" / "a.nrrd", image)
    write(tmp_path / "data" / "b.nrrd", image)
    named = segmentation(tmp_path / "two.seg.nrrd", [np.roll(inside, -20, axis=2), inside], ["Tumour", "liver"])
    only = mask_like(image, 7 * inside, tmp_path / "only.nii.gz")
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "liver")
    assert command("cohort", "accept", tmp_path / "co", "a", "--segmentation", named).code == 0
    assert command("cohort", "accept", tmp_path / "co", "b", "--segmentation", only).code == 0
    assert command("cohort", "export", tmp_path / "co", "-o", tmp_path / "out").code == 0
    assert voxels_of(tmp_path / "out" / "a.nii.gz") == voxels_of(tmp_path / "out" / "b.nii.gz") == inside.sum() == 2353
