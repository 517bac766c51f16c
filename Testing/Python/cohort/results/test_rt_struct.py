"""Structure sets read back by pydicom and filled again by matplotlib's paths, which know nothing of how the contours were made."""

import shutil
import subprocess

import numpy as np
import pytest
from MultiverSegLib.cohort.results.export import export_case
from MultiverSegLib.cohort.results.formats.contours import contours_of
from MultiverSegLib.cohort.sources.files import cases_from_folder
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.records import Structure
from MultiverSegLib.cohort.store.reviewing import approve
from MultiverSegLib.core.errors import CohortError
from scipy import ndimage

from ..volumes import ellipsoid, write_cohort_files
from .accepting import accept
from .dicom_case import LIVER, write_series

pydicom = pytest.importorskip("pydicom")


def inside(contours, shape):
    """How many of the contours hold each pixel's centre."""
    from matplotlib.path import Path

    rows, columns = np.mgrid[: shape[0], : shape[1]]
    centres = np.stack([rows.ravel(), columns.ravel()], axis=1)
    return sum(Path(np.vstack([c, c[:1]])).contains_points(centres).reshape(shape).astype(int) for c in contours)


@pytest.mark.parametrize("seed", range(60))
def test_contours_hold_the_masks_pixels_and_no_others(seed):
    rng = np.random.default_rng(seed)
    noise = rng.random(rng.integers(1, 40, 2))
    noise = ndimage.gaussian_filter(noise, rng.uniform(0.5, 2)) if seed % 3 else noise
    mask = noise > np.quantile(noise, rng.uniform(0.05, 0.9))
    contours = contours_of(mask)
    assert np.array_equal(inside(contours, mask.shape), mask)
    assert len(contours) == ndimage.label(mask)[1]


def test_an_island_in_a_hole_is_a_contour_of_its_own():
    mask = np.zeros((15, 15), bool)
    mask[1:14, 1:14], mask[3:12, 3:12], mask[5:10, 5:10], mask[7, 7] = True, False, True, False
    contours = contours_of(mask)
    assert len(contours) == 2 and np.array_equal(inside(contours, mask.shape), mask)


def hollow():
    """An ellipsoid with a cavity, in two parts on some slices."""
    mask = ellipsoid(0)[1] != 0
    k, j, i = (int(np.mean(places)) for places in np.nonzero(mask))
    mask[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = False
    mask[k + 2, j, :] = False
    return mask


@pytest.fixture
def study(host, tmp_path):
    write_series(tmp_path / "data" / "ct", ellipsoid(0)[0])
    cases = cases_from_folder(tmp_path / "data", tmp_path / "cohort", ["liver", "other part"])
    structures = [Structure("liver", color=(1.0, 0.5, 0.0), terminology=LIVER), Structure("other part")]
    with Cohort.create(tmp_path / "cohort", cases, structures) as cohort:
        accept(cohort, "ct", {"liver": hollow(), "other part": ellipsoid(0)[1] != 0})
        yield cohort, tmp_path


def test_it_refers_to_its_series_and_holds_the_voxels(study):
    cohort, tmp_path = study
    (path,) = export_case(cohort, "ct", tmp_path / "out", "rt-struct")
    data = pydicom.dcmread(path)
    images = {str(d.SOPInstanceUID): d for d in (pydicom.dcmread(p) for p in (tmp_path / "data/ct").iterdir())}
    order = sorted(images, key=lambda uid: images[uid].ImagePositionPatient[2])
    one = images[order[0]]
    assert (data.Modality, data.PatientID, data.StudyInstanceUID) == ("RTSTRUCT", one.PatientID, one.StudyInstanceUID)
    (frame,) = data.ReferencedFrameOfReferenceSequence
    (series,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    assert frame.FrameOfReferenceUID == one.FrameOfReferenceUID and series.SeriesInstanceUID == one.SeriesInstanceUID
    assert [str(item.ReferencedSOPInstanceUID) for item in series.ContourImageSequence] == order
    assert [roi.ROIName for roi in data.StructureSetROISequence] == ["liver", "other part"]
    assert data.ROIContourSequence[0].ROIDisplayColor == [255, 128, 0]
    assert data.RTROIObservationsSequence[0].RTROIIdentificationCodeSequence[0].CodeValue == "10200004"
    for drawn, mask in zip(data.ROIContourSequence, (hollow(), ellipsoid(0)[1] != 0), strict=True):
        found = np.zeros(mask.shape, int)
        for item in drawn.ContourSequence:
            uid = str(item.ContourImageSequence[0].ReferencedSOPInstanceUID)
            image = images[uid]
            across, down = np.reshape(np.array(image.ImageOrientationPatient, float), (2, 3))
            points = np.reshape(np.array(item.ContourData, float), (-1, 3)) - np.array(image.ImagePositionPatient, float)
            assert np.abs(points @ np.cross(across, down)).max() < 1e-3, "on the image's plane"
            pixels = np.stack([points @ down / image.PixelSpacing[0], points @ across / image.PixelSpacing[1]], axis=1)
            found[order.index(uid)] += inside([pixels], mask.shape[1:])
        assert np.array_equal(found, mask)


def test_dicom3tools_finds_no_error(study):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    cohort, tmp_path = study
    (path,) = export_case(cohort, "ct", tmp_path / "out", "rt-struct")
    ran = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
    assert "Error" not in ran.stdout + ran.stderr, ran.stdout + ran.stderr


def test_it_says_who_approved(study):
    cohort, tmp_path = study
    assert pydicom.dcmread(export_case(cohort, "ct", tmp_path / "a", "rt-struct")[0]).ApprovalStatus == "UNAPPROVED"
    approve(cohort, "ct")
    data = pydicom.dcmread(export_case(cohort, "ct", tmp_path / "b", "rt-struct")[0])
    assert data.ApprovalStatus == "APPROVED" and str(data.ReviewerName) == cohort.case("ct").approved_by


def test_a_case_without_dicom_images_is_refused(host, tmp_path):
    write_cohort_files(tmp_path / "data", 1)
    cases = cases_from_folder(tmp_path / "data", tmp_path / "cohort", ["big"])
    with Cohort.create(tmp_path / "cohort", cases, [Structure("big")]) as cohort:
        accept(cohort, "p0", {"big": ellipsoid(0)[1] != 0})
        with pytest.raises(CohortError, match="did not come from a DICOM series, which an RT structure set"):
            export_case(cohort, "p0", tmp_path / "out", "rt-struct")
