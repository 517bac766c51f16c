"""Exports read back by other programs: SimpleITK, pydicom, VTK, and dicom3tools where they are installed."""

import shutil
import subprocess

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.results.export import export_case, export_cohort
from MultiverSegLib.cohort.sources.files import cases_from_folder
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.records import Structure
from MultiverSegLib.core.errors import CohortError
from MultiverSegLib.mrml.terminologies import codes_of

from ..volumes import SHAPE, SPACING, ellipsoid, write_cohort_files
from .accepting import accept
from .dicom_case import LIVER, write_series


@pytest.fixture
def cohort(host, tmp_path):
    write_cohort_files(tmp_path / "data", 2)
    cases = cases_from_folder(tmp_path / "data", tmp_path / "cohort", ["big", "small part"])
    structures = [Structure.numbered(name, n) for n, name in enumerate(("big", "small part"))]
    with Cohort.create(tmp_path / "cohort", cases, structures) as opened:
        yield opened


def parts(overlap=False):
    mask = ellipsoid(0)[1] != 0
    small = mask.copy()
    small[:6] = False
    return {"big": mask if overlap else mask & ~small, "small part": small}


def test_nifti_lies_where_the_source_lies(cohort, tmp_path):
    masks = parts()
    accept(cohort, "p0", masks)
    (path,) = export_case(cohort, "p0", tmp_path / "out", "nifti")
    image, source = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / "data/images/p0.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(image), masks["big"] * 1 + masks["small part"] * 2)
    assert np.allclose(image.GetOrigin(), source.GetOrigin(), atol=1e-4)
    assert np.allclose(image.GetDirection(), source.GetDirection(), atol=1e-5)
    assert np.allclose(image.GetSpacing(), source.GetSpacing(), atol=1e-5)


def test_overlapping_structures_get_files_of_their_own(cohort, tmp_path):
    masks = parts(overlap=True)
    accept(cohort, "p0", masks)
    paths = export_case(cohort, "p0", tmp_path / "out", "nifti")
    assert [p.name for p in paths] == ["p0.big.nii.gz", "p0.small_part.nii.gz"]
    for path, mask, value in zip(paths, masks.values(), (1, 2), strict=True):
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), mask * value)


def test_seg_nrrd_and_the_whole_cohort(cohort, tmp_path):
    with pytest.raises(CohortError, match="No case is accepted"):
        export_cohort(cohort, tmp_path / "out", ["nifti"])
    accept(cohort, "p1", parts())
    files = export_cohort(cohort, tmp_path / "out", ["seg.nrrd", "nifti"]).files
    assert sorted(f.name for f in files) == ["p1.nii.gz", "p1.seg.nrrd"]
    assert (tmp_path / "out/p1.seg.nrrd").read_bytes() == cohort.segmentation_path("p1").read_bytes()


@pytest.mark.parametrize("format", ["stl", "obj"])
def test_surfaces_in_lps(cohort, tmp_path, format):
    import vtk

    masks = parts()
    accept(cohort, "p0", masks)
    paths = export_case(cohort, "p0", tmp_path / "out", format)
    reader = vtk.vtkSTLReader() if format == "stl" else vtk.vtkOBJReader()
    reader.SetFileName(str(paths[0]))
    reader.Update()
    source = sitk.ReadImage(str(tmp_path / "data/images/p0.nrrd"))
    corners = [source.TransformContinuousIndexToPhysicalPoint([float(x) for x in p[::-1]]) for p in np.argwhere(masks["big"])]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    bounds = np.reshape(reader.GetOutput().GetBounds(), (3, 2))
    assert np.all(np.abs(bounds - np.transpose([low, high])) <= np.transpose([SPACING]))


def test_errors(cohort, tmp_path):
    with pytest.raises(CohortError, match="accept it first"):
        export_case(cohort, "p0", tmp_path / "out")
    accept(cohort, "p0", parts())
    with pytest.raises(CohortError, match="did not come from a DICOM"):
        export_case(cohort, "p0", tmp_path / "out", "dicom-seg")
    with pytest.raises(CohortError, match=r"Unknown export format 'jpeg': use one of nifti, seg\.nrrd"):
        export_case(cohort, "p0", tmp_path / "out", "jpeg")
    (tmp_path / "file").write_text("")
    with pytest.raises(CohortError, match="Can't write"):
        export_case(cohort, "p0", tmp_path / "file", "nifti")


@pytest.fixture
def dicom_seg(host, tmp_path):
    """A SEG of two overlapping structures, made of a tilted CT series in tmp_path/data/ct."""
    pytest.importorskip("highdicom")
    write_series(tmp_path / "data" / "ct", ellipsoid(0)[0])
    cases = cases_from_folder(tmp_path / "data", tmp_path / "cohort", ["big", "small part"])
    with Cohort.create(tmp_path / "cohort", cases, [Structure("big", terminology=LIVER), Structure("small part")]) as cohort:
        accept(cohort, "ct", parts(overlap=True))
        (path,) = export_case(cohort, "ct", tmp_path / "out", "dicom-seg")
    return path


@pytest.mark.parametrize("checker", ["dciodvfy", "dcentvfy"])
def test_dicom_seg_passes_the_checks_of_dicom3tools(dicom_seg, tmp_path, checker):
    """dciodvfy looks at the file alone (its orientation comes from a series with decimals that are too long), dcentvfy also at the series:
    one patient, one study, one frame of reference."""
    if shutil.which(checker) is None:
        pytest.skip(f"{checker} is not installed: apt-get install dicom3tools")
    files = [dicom_seg, *(sorted((tmp_path / "data/ct").iterdir()) if checker == "dcentvfy" else ())]
    said = subprocess.run([checker, *files], capture_output=True, text=True, timeout=60, check=False)
    assert "Error" not in said.stdout + said.stderr and said.returncode == 0, said.stderr


def test_dicom_seg_refers_to_its_series_and_holds_the_voxels(dicom_seg, tmp_path):
    import pydicom

    path, mask, masks = dicom_seg, ellipsoid(0)[1], parts(overlap=True)
    data = pydicom.dcmread(path)
    sources = {str(d.SOPInstanceUID): d for d in (pydicom.dcmread(p) for p in (tmp_path / "data/ct").iterdir())}
    one = next(iter(sources.values()))
    assert data.Modality == "SEG" and data.SegmentationType == "BINARY"
    assert (data.StudyInstanceUID, data.FrameOfReferenceUID, data.PatientID) == (
        one.StudyInstanceUID,
        one.FrameOfReferenceUID,
        one.PatientID,
    )
    assert [(s.SegmentLabel, s.SegmentedPropertyTypeCodeSequence[0].CodeMeaning) for s in data.SegmentSequence] == [
        ("big", "Liver"),
        ("small part", "Tissue"),
    ]
    rebuilt = {1: np.zeros(SHAPE, bool), 2: np.zeros(SHAPE, bool)}
    pixels = data.pixel_array.reshape(-1, *SHAPE[1:])
    for frame, groups in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        reference = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        k = int(sources[str(reference)].InstanceNumber) - 1
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(np.array(position, float), np.array(sources[str(reference)].ImagePositionPatient, float), atol=1e-3)
        rebuilt[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber][k] = frame
    assert np.array_equal(rebuilt[1], masks["big"]) and np.array_equal(rebuilt[2], masks["small part"])
    assert np.array_equal(mask != 0, masks["big"])


def test_terminology():
    assert codes_of("") == (("85756007", "SCT", "Tissue"),) * 2
    assert codes_of("list~SCT^1^A~SCT^2^B~^^~~^^~^^") == (("1", "SCT", "A"), ("2", "SCT", "B"))
    assert codes_of("list~SCT^1^A~~") == (("1", "SCT", "A"), ("85756007", "SCT", "Tissue"))


@pytest.mark.parametrize("format", ["stl", "obj", "nifti", "seg.nrrd"])
def test_a_full_disk_is_told_and_leaves_no_part_of_a_file(cohort, tmp_path, format):
    import resource
    import signal

    accept(cohort, "p0", parts())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200 if format in ("nifti", "seg.nrrd") else 8192, limits[1]))
    try:
        with pytest.raises(CohortError, match=r"an't be written|Can't write") as caught:
            export_case(cohort, "p0", tmp_path / "out", format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value) and not str(caught.value).endswith("..")
    assert list((tmp_path / "out").iterdir()) == []
    cohort_messages_are_the_writers_own()


def cohort_messages_are_the_writers_own():
    """VTK's writers complain, too."""
    from MultiverSegLib.mrml.headless import start

    start().messages.clear()
