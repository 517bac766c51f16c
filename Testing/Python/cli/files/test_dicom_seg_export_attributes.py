"""DICOM SEG of anonymised series, and of names that Latin-1 has no letters for."""

import pytest
from file_cases import ball, mask_like, series

pytest.importorskip("highdicom")
GONE = ("PatientBirthDate", "PatientID", "PatientName", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "SliceThickness")


@pytest.mark.parametrize("charset", [None, "ISO_IR 100"])
def test_anonymised_series_and_names_in_any_script(command, tmp_path, charset):
    import pydicom

    image, inside = ball()

    def edit(data, k):
        if charset:
            data.SpecificCharacterSet, data.PatientName = charset, "Größe^Ä"
        for keyword in GONE if not charset else ():
            delattr(data, keyword)
        if not charset:
            del data.FrameOfReferenceUID

    series(tmp_path / "data" / "a", image, edit=edit)
    label = mask_like(image, inside, tmp_path / "lab.nrrd")
    name = "Größe 肝臓"
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", name)
    assert command("cohort", "accept", tmp_path / "co", "a", "--segmentation", label).code == 0
    done = command("cohort", "export", tmp_path / "co", "-o", tmp_path / "out", "-f", "dicom-seg")
    assert done.code == 0, done.err
    data = pydicom.dcmread(tmp_path / "out" / "a.dcm")
    assert data.SegmentSequence[0].SegmentLabel == name and data.SpecificCharacterSet == "ISO_IR 192"
    assert str(data.PatientName) == ("Größe^Ä" if charset else "")
    assert (
        int(data.pixel_array.sum()) == 2353 and float(data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness) == 3
    )


def test_one_case_that_cannot_be_exported_does_not_stop_the_others(command, tmp_path):
    image, inside = ball()
    for case in "abc":
        series(tmp_path / "data" / case, image)
    label = mask_like(image, inside, tmp_path / "lab.nrrd")
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    for case in "abc":
        assert command("cohort", "accept", tmp_path / "co", case, "--segmentation", label).code == 0
    next((tmp_path / "data" / "b").iterdir()).unlink()
    cut = tmp_path / "co" / "segmentations" / "c.seg.nrrd"
    cut.write_bytes(cut.read_bytes()[:-200])
    done = command("cohort", "export", tmp_path / "co", "-o", tmp_path / "out", "-f", "dicom-seg", "-f", "seg.nrrd")
    assert done.code == 0 and sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.dcm", "a.seg.nrrd", "b.seg.nrrd"]
    assert "b was left out: dicom-seg:" in done.err and "c was left out: dicom-seg:" in done.err and "seg.nrrd: " in done.err
    done = command("cohort", "report", tmp_path / "co", "-o", tmp_path / "report")
    assert done.code == 0 and "no picture of case c" in done.err
