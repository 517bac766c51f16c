"""A structure that is not in a volume: accepted as that, an empty example for the other cases, an empty label for other programs."""

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.batch.jobs import jobs_for
from MultiverSegLib.cohort.results.export import export_cohort
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.cohort_contexts import Contexts
from MultiverSegLib.cohort.work.labels_to_context import labels_to_context
from MultiverSegLib.cohort.work.open_case import OpenCase
from MultiverSegLib.cohort.work.replay import replay
from MultiverSegLib.core.errors import CohortError, SegmentationError

from ..model import BrightModel
from ..volumes import SHAPE, real_cohort


@pytest.fixture
def cohort(host, tmp_path):
    with real_cohort(tmp_path, 3) as opened:
        yield opened


def accept_absent(cohort, case, names=("blob",)):
    work = OpenCase(cohort, case)
    try:
        return work.accept([], absent=names)
    finally:
        work.close()


def test_an_absent_structure_is_an_empty_example_on_the_slice_like_the_others(cohort):
    labels_to_context(cohort, "blob", ["p0"])
    assert accept_absent(cohort, "p1") == ["blob"]
    work = cohort.case("p1").work("blob")
    assert cohort.case("p1").status == "accepted" and work.absent and work.volume_ml == 0 and work.slices == 0
    assert work.first_vs_accepted_dice is None
    example = Contexts(cohort).find("blob", work.example)
    assert example.empty and not example.mask.any() and example.image.any() and example.case == "p1"
    shown = Contexts(cohort).find("blob", cohort.case("p0").work("blob").example)
    height = example.grid_to_ras[:3, 3] - shown.grid_to_ras[:3, 3]
    assert np.linalg.norm(height) <= 2 * 2.5, "at most two slices from where p0 shows it best"
    assert replay(cohort, "p1", BrightModel()).identical
    with Cohort.open(cohort.folder, read_only=True) as again:
        assert again.case("p1").work("blob").absent


def test_without_others_it_is_the_middle_and_nothing_is_proposed_by_absence_alone(cohort):
    accept_absent(cohort, "p0")
    contexts = Contexts(cohort)
    (example,) = contexts.get("blob").examples
    assert example.empty and contexts.teaching("blob") == []
    with pytest.raises(CohortError, match="context of blob is empty"):
        jobs_for(cohort)
    labels_to_context(cohort, "blob", ["p1"])
    assert [len(job.examples) for job in jobs_for(cohort)] == [2, 2], "now absence counts, too"


def test_what_is_segmented_is_not_absent(cohort):
    work = OpenCase(cohort, "p0")
    mask = np.zeros(SHAPE, np.uint8)
    mask[4, 10:20, 10:20] = 1
    from MultiverSegLib.mrml import segments

    segments.set_segment(work.nodes.segmentation, work.nodes.segment_id("blob"), work.nodes.volume, mask)
    with pytest.raises(SegmentationError, match="erase it before it is accepted as absent"):
        work.accept([], absent=["blob"])
    with pytest.raises(CohortError, match="no structure 'spleen'"):
        work.accept([], absent=["spleen"])
    work.close()
    assert cohort.case("p0").status == "in progress"


def test_drawn_after_all_and_accepted_it_is_an_example_like_any_other(cohort):
    accept_absent(cohort, "p0")
    work = OpenCase(cohort, "p0", BrightModel())
    session = work.session("blob")
    from MultiverSegLib.core.prompts import Point

    session.add(Point(session.plane.to_ras(*np.median(np.argwhere(session.image() > 0.6), axis=0))))
    session.predict()
    work.accept()
    work.close()
    (example,) = Contexts(cohort).get("blob").examples
    assert not example.empty and not cohort.case("p0").work("blob").absent


def test_an_export_writes_an_empty_label_or_leaves_out_with_a_word(cohort, tmp_path):
    accept_absent(cohort, "p0")
    done = export_cohort(cohort, tmp_path / "out", ["nifti", "seg.nrrd", "stl"])
    assert [file.name for file in done.files] == ["p0.nii.gz", "p0.seg.nrrd"]
    label = sitk.ReadImage(str(tmp_path / "out/p0.nii.gz"))
    assert label.GetSize() == SHAPE[::-1] and not sitk.GetArrayFromImage(label).any()
    volume = sitk.ReadImage(str(tmp_path / "data/images/p0.nrrd"))
    assert np.allclose(label.GetOrigin(), volume.GetOrigin()) and np.allclose(label.GetSpacing(), volume.GetSpacing())
    assert "stl: There is nothing in case p0 to write: accepted as absent: blob" in done.left_out["p0"]
    assert done.remarks["p0"] == "accepted as absent, so empty or left out: blob."
