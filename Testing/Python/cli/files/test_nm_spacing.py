"""Electron microscopy: voxels of 50 nm."""

import pytest
from file_cases import ball, voxels_of, write


@pytest.mark.parametrize("scale", [5e-5, 5e-3])
def test_small_voxels_are_voxels(command, tmp_path, scale):
    image, _ = ball()
    image.SetSpacing((scale, scale, 3 * scale))
    image.SetOrigin((-30 * scale, -28 * scale, 10 * scale))
    write(tmp_path / "a.nrrd", image)
    point, box = (",".join(f"{v * scale:.9g}" for v in values) for values in ((-5, -1, 46), (-17, -13, 46, 7, 11, 46)))
    done = command("segment", tmp_path / "a.nrrd", f"--point={point}", f"--box={box}", "-o", tmp_path / "o.seg.nrrd")
    assert done.code == 0, done.err
    assert voxels_of(tmp_path / "o.seg.nrrd") == pytest.approx(433, abs=15)
