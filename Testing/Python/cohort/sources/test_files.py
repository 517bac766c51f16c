"""Cases from folders, DICOM series and tables, as people keep them."""

from pathlib import Path

import numpy as np
import pytest
from MultiverSegLib.cohort.sources.files import NameRule, cases_from_folder, label_records, labels_from_folder
from MultiverSegLib.core.errors import CohortError
from MultiverSegLib.core.notices import noticed


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def found(cases):
    return {c.id: [label.path for label in c.labels] for c in cases}


def test_images_and_labels_in_sibling_folders(tmp_path):
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/a.nii.gz", "imagesTr/._a_0000.nii.gz", "readme.txt")
    cases = cases_from_folder(tmp_path, tmp_path / "cohort", ["liver"])
    assert found(cases) == {"a_0000": ["../labelsTr/a.nii.gz"], "b_0000": []}
    assert cases[0].volume.path == "../imagesTr/a_0000.nii.gz" and cases[0].volume.kind == "file"


@pytest.mark.parametrize("label", ["p1/ct_seg.nrrd", "p1/ct-label.nrrd", "p1/ct.seg.nrrd", "p1/ct_mask.nii.gz", "p1/seg/ct.nrrd"])
def test_labels_beside_the_volume_by_the_usual_names(tmp_path, label):
    touch(tmp_path, "p1/ct.nrrd", "p2/ct.nrrd", label)
    cases = cases_from_folder(tmp_path, tmp_path, ["liver"])
    assert found(cases) == {"ct": [label], "p2_ct": []}, "the other patient's volume of the same name must not get it"


def test_a_rule_of_ones_own(tmp_path):
    touch(tmp_path, "a.nrrd", "a_L3 area.nrrd", "b_seg.nrrd")
    rule = NameRule("{case}_L3 area")
    assert found(cases_from_folder(tmp_path, tmp_path, ["x"], rule)) == {"a": ["a_L3 area.nrrd"], "b_seg": []}
    with pytest.raises(CohortError, match=r"\{case\}"):
        NameRule("label.nrrd")


def test_several_structures_in_one_file_or_in_files_of_their_own(tmp_path):
    touch(tmp_path, "a.nrrd", "a_seg.nii.gz")
    one = cases_from_folder(tmp_path, tmp_path, ["liver", "spleen"])[0].labels
    assert [(entry.structure, entry.value) for entry in one] == [("liver", 1), ("spleen", 2)]
    touch(tmp_path / "x", "images/a.nrrd", "labels/spleen/a.nrrd", "b.nrrd", "b.seg.nrrd")
    named = {c.id: c.labels for c in cases_from_folder(tmp_path / "x", tmp_path / "x", ["liver", "spleen"])}
    assert [(entry.structure, entry.value) for entry in named["b"]] == [("liver", "liver"), ("spleen", "spleen")]


def test_results_of_the_cohort_are_not_its_sources(tmp_path):
    touch(tmp_path, "a.nrrd", "segmentations/a.seg.nrrd", "proposals/b.seg.nrrd", "sub/segmentations/c.nrrd", "sub/c.nrrd")
    assert found(cases_from_folder(tmp_path, tmp_path, ["x"])) == {"a": [], "c": ["sub/segmentations/c.nrrd"]}


def test_nothing_there(tmp_path):
    with pytest.raises(CohortError, match="No volumes"):
        cases_from_folder(tmp_path, tmp_path, ["x"])
    with pytest.raises(CohortError, match="no folder"):
        cases_from_folder(tmp_path / "q", tmp_path, ["x"])


def _dicom(path, series, modality="CT"):
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    path.parent.mkdir(parents=True, exist_ok=True)
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SeriesInstanceUID, data.Modality, data.Rows, data.Columns = series, modality, 2, 2
    data.PixelData = np.zeros(4, np.int16).tobytes()
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 16, 16, 15, 1, 1
    data.save_as(path, enforce_file_format=True)


def test_dicom_series_one_case_each(tmp_path):
    for n in range(3):
        _dicom(tmp_path / "study" / "ax" / f"IM{n}", "1.2.3")
        _dicom(tmp_path / "study" / "mixed" / f"{n}.dcm", f"1.2.{n // 2 + 4}")
    _dicom(tmp_path / "study" / "seg.dcm", "1.2.9", "SEG")
    touch(tmp_path, "study/notes", "DICOMDIR")
    cases = cases_from_folder(tmp_path, tmp_path / "cohort", ["x"])
    assert [(c.id, c.volume.kind, c.volume.series) for c in cases] == [
        ("study_ax", "dicom", "1.2.3"),
        ("study_mixed", "dicom", "1.2.4"),
        ("study_mixed_2", "dicom", "1.2.5"),
    ]
    assert cases[0].volume.path == "../study/ax"


def test_labels_from_a_folder_of_masks(tmp_path):
    touch(tmp_path, "v/a.nrrd", "v/b_0000.nrrd", "masks/a_seg.nrrd", "masks/b.nii.gz", "masks/z.nrrd", "other/q.nrrd")
    cases = cases_from_folder(tmp_path / "v", tmp_path / "c", ["x"])
    labels = labels_from_folder(tmp_path / "masks", cases, tmp_path / "c", ["x"], value=3)
    assert {case: [(Path(e.path).name, e.value) for e in entries] for case, entries in labels.items()} == {
        "a": [("a_seg.nrrd", 3)],
        "b_0000": [("b.nii.gz", 3)],
    }
    with pytest.raises(CohortError, match="named after a case"):
        labels_from_folder(tmp_path / "other", cases, tmp_path / "c", ["x"])


def test_bids_and_totalsegmentator_labels_are_found(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_dseg.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz")
    touch(tmp_path, "sub-02/anat/sub-02_T2w.nii.gz", "sub-02/anat/sub-02_dseg.nii.gz")
    with noticed() as told:
        cases = cases_from_folder(tmp_path, tmp_path / "cohort", ["brain"])
    assert found(cases) == {
        "sub-01_T1w": ["../sub-01/anat/sub-01_dseg.nii.gz"],
        "sub-02_T1w": [],
        "sub-02_T2w": [],
    }, "which of two images a label belongs to is not guessed"
    assert any("1 label files" in text and "sub-02_dseg" in text for text in told)
    total = tmp_path / "total"
    touch(total, "p1/ct.nii.gz", *(f"p1/segmentations/{name}.nii.gz" for name in ("liver", "kidney_left", "spleen")), "p2/ct.nii.gz")
    cases = cases_from_folder(total, tmp_path / "cohort2", ["liver", "kidney left"])
    assert [[(e.structure, Path(e.path).name, e.value) for e in case.labels] for case in cases] == [
        [("liver", "liver.nii.gz", None), ("kidney left", "kidney_left.nii.gz", None)],
        [],
    ]


def test_two_series_in_one_folder_do_not_share_a_label(tmp_path):
    for n in range(4):
        _dicom(tmp_path / "data" / "p1" / f"{n}.dcm", f"1.2.{n // 2 + 4}")
        _dicom(tmp_path / "data" / "p2" / f"{n}.dcm", "1.2.9")
    touch(tmp_path / "data", "p1_seg.nii.gz", "p2_seg.nii.gz")
    with noticed() as told:
        cases = cases_from_folder(tmp_path / "data", tmp_path / "cohort", ["x"])
    assert [len(case.labels) for case in cases] == [0, 0, 1]
    assert any("2 DICOM series" in text and "p1_seg.nii.gz is given to none" in text for text in told)


def test_of_several_label_files_the_one_of_the_structures_name_is_taken(tmp_path):
    touch(tmp_path, "images/a.nrrd", "labels/liver/a.nrrd", "labels/liver tumour/a.nrrd", "labels/kidney/a.nrrd")
    with noticed() as told:
        records = label_records(sorted((tmp_path / "labels").rglob("a.nrrd")), tmp_path, ["liver", "spleen"], None)
    assert [(entry.structure, entry.path) for entry in records] == [("liver", "labels/liver/a.nrrd")]
    assert any("none has the name of the structure spleen" in text for text in told)
