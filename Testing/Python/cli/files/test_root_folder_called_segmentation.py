"""The folder that is looked through has a name that means labels elsewhere."""

import pytest
from file_cases import ball, mask_like, write


@pytest.mark.parametrize("name", ["Segmentation", "labels", "mask", "annotations/mine"])
def test_its_own_name_means_nothing(command, tmp_path, name):
    image, inside = ball()
    write(tmp_path / name / "p1" / "ct.nii.gz", image)
    write(tmp_path / name / "p2.nii.gz", image)
    mask_like(image, inside, tmp_path / name / "p1" / "seg" / "ct.nii.gz")
    done = command("cohort", "init", tmp_path / "co", "--from", tmp_path / name, "-s", "ball")
    assert done.code == 0 and "2 cases, 1 of them with existing labels" in done.out
