"""The desk: from case to case, the next one loaded ahead, and nothing left behind after many."""

import gc

import numpy as np
import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.work.workflow import Desk
from MultiverSegLib.core.errors import CohortError, SegmentationError, VolumeError
from MultiverSegLib.mrml.segments import set_segment

from ..volumes import ellipsoid, real_cohort


@pytest.fixture
def desk(host, tmp_path):
    real_cohort(tmp_path, 4).close()
    opened = Desk()
    opened.open(tmp_path / "cohort")
    yield opened
    opened.close()


def segment(desk, number):
    nodes = desk.work.nodes
    set_segment(nodes.segmentation, nodes.segment_id("blob"), nodes.volume, ellipsoid(number)[1])


def test_through_the_cohort(desk, host):
    assert desk.next().case_id == "p0"
    for number in range(4):
        segment(desk, number)
        ahead = desk.load_ahead()
        work = desk.accept_and_next()
        assert (work.case_id if work else None) == ahead == (f"p{number + 1}" if number < 3 else None)
    assert desk.case_id is None and all(c.status == "accepted" for c in desk.cohort.cases)
    assert len(desk.contexts.get("blob")) == 4
    assert not host.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") + host.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def test_going_back_keeps_what_was_begun(desk):
    desk.next()
    segment(desk, 0)
    assert desk.skip_and_next("later").case_id == "p1"
    assert desk.previous().case_id == "p0" and desk.previous() is None and desk.case_id == "p0"
    assert np.array_equal(desk.work.nodes.mask("blob"), ellipsoid(0)[1])


def test_a_case_loaded_ahead_that_is_not_the_next_is_dropped(desk, host):
    desk.go_to("p0")
    assert desk.load_ahead() == "p1" == desk.load_ahead()
    desk.go_to("p3")
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_what_cannot_be_opened(desk, tmp_path):
    desk.next()
    with pytest.raises(SegmentationError, match="empty"):
        desk.accept_and_next()
    assert desk.case_id == "p0", "the case stays open"
    (tmp_path / "data/images/p2.nrrd").unlink()
    with pytest.raises(VolumeError, match=r"p2\.nrrd"):
        desk.go_to("p2")
    assert desk.case_id is None
    with pytest.raises(CohortError, match="No case is open"):
        desk.accept_and_next()
    with pytest.raises(CohortError, match="No cohort is open"):
        Desk().next()


def test_closing_gives_the_lock_back(desk, tmp_path):
    desk.next()
    desk.close()
    with Cohort.open(tmp_path / "cohort") as free:
        assert not free.read_only


def test_many_cases_leave_no_node_and_no_memory(desk, host):
    """Going back and forth a hundred times; ``multiverseg bench cohort --part loop`` does it over five hundred cases."""
    psutil = pytest.importorskip("psutil")
    counts, memory = [], []
    for turn in range(120):
        desk.go_to(f"p{turn % 4}")
        desk.load_ahead()
        if turn in (39, 119):
            gc.collect()
            counts.append(host.scene.GetNumberOfNodes())
            memory.append(psutil.Process().memory_info().rss / 2**20)
    assert counts[0] == counts[1]
    assert memory[1] - memory[0] < 15
