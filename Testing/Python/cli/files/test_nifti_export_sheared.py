"""A tilted stack: NIfTI can't hold it, .seg.nrrd can."""

import numpy as np
import SimpleITK as sitk
from file_cases import ball


def test_nifti_is_refused_and_seg_nrrd_keeps_the_shear(command, tmp_path):
    image, inside = ball()
    (tmp_path / "data").mkdir()
    for path, kind, array in (
        (tmp_path / "data" / "a.nrrd", "int16", sitk.GetArrayFromImage(image).astype("<i2")),
        (tmp_path / "lab.nrrd", "uint8", inside.astype("u1")),
    ):
        head = (
            f"NRRD0004\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: 64 64 24\n"
            "space directions: (1,0,0) (0,1,0) (0,0.6,3)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
            "space origin: (-30,-28,10)\n\n"
        )
        path.write_bytes(head.encode() + array.tobytes())
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    assert command("cohort", "accept", tmp_path / "co", "a", "--segmentation", tmp_path / "lab.nrrd").code == 0
    told = command("cohort", "export", tmp_path / "co", "-o", tmp_path / "out")
    assert told.code == 1 and "sheared by 0.2" in told.error_line and "seg.nrrd" in told.error_line
    done = command("cohort", "export", tmp_path / "co", "-o", tmp_path / "out", "-f", "seg.nrrd")
    assert done.code == 0
    head = (tmp_path / "out" / "a.seg.nrrd").read_bytes()[:4000].decode("latin-1")
    directions = next(line for line in head.splitlines() if line.startswith("space directions"))
    assert np.allclose([float(v) for v in directions.rsplit("(", 1)[1].rstrip(")").split(",")], (0, 0.6, 3), atol=1e-6)
