"""Masks of the image's shape, but of another place."""

import numpy as np
import SimpleITK as sitk
from file_cases import ball, mask_like, write


def test_a_mask_of_another_direction_origin_or_spacing_is_refused(command, tmp_path):
    image, inside = ball((40, 64, 64), (1.0, 1.0, 1.0), 14.0)
    turned = sitk.Image(image)
    turned.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    moved, wide = sitk.Image(image), sitk.Image(image)
    moved.SetOrigin((-50, -28, 10))
    wide.SetSpacing((1, 1, 2))
    for part, picture, grid in (("a", turned, image), ("b", image, moved), ("c", image, wide)):
        write(tmp_path / part / "images" / "x.nii.gz", picture)
        mask_like(grid, inside, tmp_path / part / "masks" / "x.nii.gz")
        build = ("corpus", "build", tmp_path / part / "images", tmp_path / part / "masks")
        told = command(*build, "-o", tmp_path / part / "corpus", "--name", "X", "--licence", "CC0")
        assert told.code == 1 and "another place" in told.error_line and "x.nii.gz" in told.error_line
        assert not (tmp_path / part / "corpus" / "X.npz").exists()


def test_rounding_of_a_header_does_not_count(command, tmp_path):
    image, inside = ball((40, 64, 64), (1.0, 1.0, 1.0), 14.0)
    write(tmp_path / "images" / "x.nrrd", image)
    near = sitk.Image(image)
    near.SetOrigin((-30.001, -28, 10))
    mask_like(near, inside, tmp_path / "masks" / "x.nii.gz")
    done = command("corpus", "build", tmp_path / "images", tmp_path / "masks", "-o", tmp_path / "corpus", "--name", "X", "--licence", "CC0")
    assert done.code == 0, done.err
    content = np.load(tmp_path / "corpus" / "X.npz")
    masks = np.unpackbits(content["masks"], axis=-1).astype(bool)[:, 0]
    for picture, mask in zip(content["images"], masks, strict=True):
        if mask.any():
            bright = picture > 128
            assert 2 * (bright & mask).sum() / (bright.sum() + mask.sum()) > 0.97
