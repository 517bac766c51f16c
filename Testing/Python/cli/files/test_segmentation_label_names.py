"""The labels of a label map are called by their numbers."""

import numpy as np
from file_cases import ball, mask_like, write


def test_a_label_is_chosen_by_its_number(command, tmp_path):
    image, inside = ball()
    labels = inside.astype(np.uint8) * 2
    labels[:3, :3, :3] = 1
    volume, label = write(tmp_path / "a.nii.gz", image), mask_like(image, labels, tmp_path / "lab.nii.gz")
    told = command("context", "add", tmp_path / "ctx", volume, label)
    assert told.code == 1 and "has the segments 1, 2:" in told.error_line
    done = command("context", "add", tmp_path / "ctx", volume, label, "--structure", "2")
    assert done.code == 0 and "slice k=12" in done.out


def test_many_labels_are_not_all_listed_and_an_image_is_no_label_map(command, tmp_path):
    image, inside = ball()
    labels = np.zeros(inside.shape, np.int16)
    labels[:5] = np.arange(1, 501).repeat(41)[: 5 * 64 * 64].reshape(5, 64, 64) if 500 * 41 >= 5 * 64 * 64 else 1
    volume = write(tmp_path / "a.nii.gz", image)
    import SimpleITK as sitk

    mask = sitk.GetImageFromArray(labels)
    mask.CopyInformation(image)
    told = command("context", "add", tmp_path / "ctx", volume, write(tmp_path / "many.nii.gz", mask))
    assert told.code == 1 and "and 488 more" in told.error_line and len(told.error_line) < 400
    wide = sitk.GetImageFromArray(np.arange(inside.size, dtype=np.int32).reshape(inside.shape))
    wide.CopyInformation(image)
    told = command("context", "add", tmp_path / "ctx", volume, write(tmp_path / "ct.nii.gz", wide))
    assert told.code == 1 and "it is an image, not a label map" in told.error_line
