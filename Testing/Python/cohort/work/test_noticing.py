"""What is noticed when a case's files are read is kept in the cohort's journal, once, whoever reads: a person, a thread ahead, a worker."""

import struct
import time

import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.batch.background import Background
from MultiverSegLib.cohort.batch.engines import LocalEngine
from MultiverSegLib.cohort.batch.jobs import propagate, run_job
from MultiverSegLib.cohort.sources.files import cases_from_folder
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.records import Structure
from MultiverSegLib.cohort.work.labels_to_context import labels_to_context
from MultiverSegLib.cohort.work.workflow import Desk
from MultiverSegLib.core.notices import noticed

from ..model import BrightModel
from ..volumes import write_cohort_files

PIXDIM = 80
TOLD = "sform and pixdim disagree about the size of a voxel"


def job_of_a_worker(job):
    return run_job(job, BrightModel())


@pytest.fixture
def cohort(host, tmp_path):
    """Three cases, the first in the context; the volume of the third, p2, says two things about its voxels' size."""
    write_cohort_files(tmp_path / "data", 3)
    plain, odd = tmp_path / "data/images/p2.nrrd", tmp_path / "data/images/p2.nii"
    sitk.WriteImage(sitk.ReadImage(str(plain)), str(odd))
    plain.unlink()
    content = bytearray(odd.read_bytes())
    content[PIXDIM : PIXDIM + 4] = struct.pack("<f", 1.7)
    odd.write_bytes(content)
    cases = cases_from_folder(tmp_path / "data", tmp_path / "cohort", ["blob"])
    with Cohort.create(tmp_path / "cohort", cases, [Structure("blob")], settings={"model": "bright"}) as made:
        labels_to_context(made, "blob", ["p0"])
        made.record("status", case="p0", status="skipped")
        yield made


def kept(cohort):
    return [(e["case"], *e["texts"]) for e in cohort.journal.events() if e["event"] == "noticed"]


def is_kept_once(cohort):
    (entry,) = kept(cohort)
    return entry[0] == "p2" and TOLD in entry[1] and len(entry) == 2


def test_by_the_person_who_opens_it(cohort):
    desk = Desk(BrightModel())
    desk.take(cohort)
    desk.go_to("p1")
    assert kept(cohort) == []
    desk.go_to("p2")
    assert is_kept_once(cohort)
    desk.go_to("p1")
    desk.go_to("p2")
    assert is_kept_once(cohort), "told again in the log, but not kept twice"
    desk.close()


def test_by_reading_ahead(cohort):
    desk = Desk(BrightModel())
    desk.take(cohort)
    desk.go_to("p1")
    assert desk.load_ahead() == "p2" and kept(cohort) == []
    assert desk.next().case_id == "p2" and is_kept_once(cohort)
    desk.close()


def test_by_workers_which_leave_the_telling_to_their_caller(cohort, capfd):
    with noticed() as told:
        assert propagate(cohort, LocalEngine(1, job_of_a_worker)).proposed == ["p1", "p2"]
        propagate(cohort, LocalEngine(1, job_of_a_worker), refresh=True)
    assert is_kept_once(cohort) and len(told) == 1 and TOLD in told[0]
    assert capfd.readouterr().err.count(TOLD) <= 2, "once a run, by the caller alone"


def test_by_a_worker_that_fails(cohort, tmp_path):
    """The file's header is read before its voxels."""
    odd = tmp_path / "data/images/p2.nii"
    odd.write_bytes(odd.read_bytes()[:-100])

    class Here:
        def run(self, jobs):
            yield from map(job_of_a_worker, jobs)

    assert list(propagate(cohort, Here()).failed) == ["p2"]
    assert is_kept_once(cohort)


def test_by_the_thread_that_proposes(cohort):
    desk = Desk()
    desk.take(cohort)
    background = Background(desk, lambda stop: BrightModel(), lambda: "bright")
    end = time.monotonic() + 60
    while background.standing().done < 2:
        assert time.monotonic() < end, background.standing()
        background.step()
        time.sleep(0.002)
    assert is_kept_once(cohort)
    background.close()
    desk.close()
