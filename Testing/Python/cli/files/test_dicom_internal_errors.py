"""DICOM files that lack something, and folders that were copied twice."""

import shutil

import pytest
from file_cases import PROMPTS, ball, series, voxels_of


def test_an_empty_position_is_told(command, tmp_path):
    series(tmp_path / "a", ball()[0], edit=lambda data, k: setattr(data, "ImagePositionPatient", None))
    told = command("segment", tmp_path / "a", *PROMPTS, "-o", tmp_path / "a.seg.nrrd")
    assert told.code == 1 and "without a position in the patient" in told.error_line


@pytest.mark.parametrize("case", ["no instance UID", "copies"])
def test_what_can_be_read_is_read(command, tmp_path, case):
    def without(data, k):
        if case == "no instance UID":
            del data.SOPInstanceUID

    series(tmp_path / "a", ball()[0], edit=without)
    if case == "copies":
        for file in sorted((tmp_path / "a").glob("IM???")):
            shutil.copy(file, f"{file} (1)")
    done = command("segment", tmp_path / "a", *PROMPTS, "-o", tmp_path / "a.seg.nrrd")
    assert done.code == 0, done.err
    assert "slice k=12" in done.out and 400 < voxels_of(tmp_path / "a.seg.nrrd") < 500
    assert ("24 files twice" in done.err) == (case == "copies")


@pytest.mark.parametrize(
    "edit, told",
    [
        (lambda data, k: data.__delattr__("PixelSpacing"), "without a PixelSpacing"),
        (lambda data, k: setattr(data, "PixelSpacing", [1, 1] if k % 2 else [1.5, 1.5]), "different PixelSpacing (1 to 1.5 mm)"),
        (lambda data, k: setattr(data, "ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), "orientation can't be true"),
    ],
)
def test_headers_that_leave_the_geometry_open(command, tmp_path, edit, told):
    series(tmp_path / "a", ball()[0], edit=edit)
    assert told in command("segment", tmp_path / "a", *PROMPTS, "-o", tmp_path / "a.seg.nrrd").error_line
