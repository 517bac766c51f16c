"""Taking back, pointing anew and adding, as typed."""

import pytest
from MultiverSegLib.cohort.store.cohort import Cohort

from ..cohort.volumes import ellipsoid, real_cohort, write


@pytest.fixture
def study(tmp_path):
    real_cohort(tmp_path, 2).close()
    return tmp_path / "cohort"


def test_taking_an_acceptance_back(study, command, tmp_path):
    assert command("cohort", "accept", study, "p0", "--segmentation", tmp_path / "data/labels/p0.nrrd").code == 0
    done = command("cohort", "reopen", study, "p0")
    assert done.code == 0 and done.out.strip() == "p0 is in progress", done.err
    again = command("cohort", "reopen", study, "p0")
    assert again.code == 1 and "Nothing of p0 is accepted" in again.err
    assert command("cohort", "accept", study, "p0").code == 0, "the result is still there"


def test_scans_that_were_moved(study, command, tmp_path):
    assert "where they were" in command("cohort", "relink", study, "--from", tmp_path / "data").out
    (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "moved/images/p1.nrrd").unlink()
    done = command("cohort", "relink", study, "--from", tmp_path / "moved")
    assert (
        done.code == 1 and f"p0: {tmp_path / 'moved/images/p0.nrrd'}" in done.out and "p1: no file p1.nrrd" in done.err.replace("\n", " ")
    )
    write(tmp_path / "again.nrrd", ellipsoid(1)[0])
    assert command("cohort", "relink", study, "--case", "p1", "--volume", tmp_path / "again.nrrd").code == 0
    with Cohort.open(study, read_only=True) as cohort:
        assert all(cohort.resolve(case.volume.path).is_file() for case in cohort.cases)
    assert command("cohort", "relink", study).code == 2


def test_more_cases(study, command, tmp_path):
    write(tmp_path / "data/images/p2.nrrd", ellipsoid(2)[0])
    done = command("cohort", "add", study, "--from", tmp_path / "data")
    assert done.out.strip() == "1 case added, 2 were there already; 3 in all", done.err
