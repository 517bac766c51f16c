"""A whole export: what was written, what was left out and why, its progress, and what is kept when it is cancelled."""

import logging
import threading

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.results.export import export_cohort
from MultiverSegLib.cohort.results.report import write_cohort_report
from MultiverSegLib.cohort.results.requirements import missing, requirements
from MultiverSegLib.cohort.sources.files import cases_from_folder
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.records import Case, Source, Structure
from MultiverSegLib.cohort.work.case_nodes import scene_volumes
from MultiverSegLib.core.errors import CohortError
from MultiverSegLib.mrml.volume_files import load_volume

from ..volumes import ellipsoid, write_cohort_files
from .accepting import accept


@pytest.fixture
def cohort(host, tmp_path):
    write_cohort_files(tmp_path / "data", 4)
    cases = cases_from_folder(tmp_path / "data", tmp_path / "cohort", ["big"])
    with Cohort.create(tmp_path / "cohort", cases, [Structure.numbered("big", 0)]) as opened:
        for case in ("p0", "p1", "p2"):
            accept(opened, case, {"big": ellipsoid(0)[1] != 0})
        yield opened


def test_the_result_says_what_was_written_and_what_not(cohort, tmp_path, caplog):
    cohort.segmentation_path("p1").write_bytes(b"cut short")
    steps = []
    with caplog.at_level(logging.WARNING, "MultiverSegLib"):
        done = export_cohort(cohort, tmp_path / "out", ["seg.nrrd", "dicom-seg"], lambda *step: steps.append(step))
    assert steps == [("p0", 0, 3), ("p1", 1, 3), ("p2", 2, 3)]
    assert [file.name for file in done.files] == ["p0.seg.nrrd", "p2.seg.nrrd"] and done.cases == ["p0", "p2"]
    assert sorted(done.left_out) == ["p0", "p1", "p2"] and done.not_accepted == ["p3"] and not done.cancelled
    assert "dicom-seg: Case p0 did not come from a DICOM series" in done.left_out["p0"]
    assert "seg.nrrd: " in done.left_out["p1"] and "p1.seg.nrrd" in done.left_out["p1"]
    line = str(done)
    assert line.startswith(f"2 files of 2 cases in {tmp_path / 'out'}; 3 cases left out in part or whole: p0 (") and "\n" not in line
    assert line.endswith("1 case not accepted: p3.")
    assert sum("p1 was left out: seg.nrrd" in record.getMessage() for record in caplog.records) == 1


def test_cancelled_keeps_what_is_whole_and_names_the_rest(cohort, tmp_path):
    done = export_cohort(cohort, tmp_path / "out", ["seg.nrrd", "nifti"], cancel=lambda: len(list((tmp_path / "out").glob("*"))) == 3)
    assert done.cancelled and [file.name for file in done.files] == ["p0.seg.nrrd", "p0.nii.gz", "p1.seg.nrrd"]
    assert done.left_out == {"p1": "nifti: cancelled before it", "p2": "cancelled before it"}
    assert str(done).startswith("Cancelled. 3 files of 2 cases")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["p0.nii.gz", "p0.seg.nrrd", "p1.seg.nrrd"]


def test_a_case_asked_for_by_name_that_is_not_all_accepted_is_remarked(cohort, tmp_path):
    cohort.record("structure", structure={"name": "small", "value": 2})
    done = export_cohort(cohort, tmp_path / "out", ["seg.nrrd"], cases=["p0"])
    assert done.remarks == {"p0": "not accepted yet: small."} and done.left_out == {} and done.not_accepted == []


def test_requirements_are_those_of_the_formats():
    assert requirements("nifti", "seg.nrrd", "stl") == ()
    assert requirements("dicom-seg", "dicom-seg") == ("highdicom>=0.22",)
    assert missing(["numpy>=1.2", "no-such-package-of-anybody>=1", "numpy>=99"]) == ["no-such-package-of-anybody>=1", "numpy>=99"]
    with pytest.raises(CohortError, match="Unknown export format"):
        requirements("jpeg")


def test_a_case_of_the_scene_is_exported_and_reported_in_a_thread(host, tmp_path):
    """The thread gets the voxels; it looks for nothing in the scene."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "data/images/p0.nrrd"
    write_cohort_files(tmp_path / "data", 1)
    node = load_volume(path, "CT")
    case = Case("ct", Source("scene", node.GetID()), name="CT")
    with Cohort.create(tmp_path / "cohort", [case], [Structure.numbered("big", 0)]) as cohort:
        accept(cohort, "ct", {"big": ellipsoid(0)[1] != 0})
        voxels, found = scene_volumes(cohort, ["ct"]), []

        def work():
            with Cohort.open(cohort.folder, read_only=True) as own:
                found.append(export_cohort(own, tmp_path / "out", ["nifti", "stl"], volumes=voxels))
                found.append(write_cohort_report(own, tmp_path / "report", volumes=voxels))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [file.name for file in found[0].files] == ["ct.nii.gz", "ct.big.stl"]
    label = sitk.ReadImage(str(tmp_path / "out/ct.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(label) != 0, ellipsoid(0)[1] != 0)
    assert np.allclose(label.GetOrigin(), sitk.ReadImage(str(path)).GetOrigin())
    assert "data:image/png" in (tmp_path / "report/report.html").read_text(encoding="utf-8")
