"""Cases that come later, and scans that were moved."""

import pytest
from MultiverSegLib.cohort.sources.files import cases_from_folder
from MultiverSegLib.cohort.sources.keeping import add_cases, relink, relink_case
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.core.errors import CohortError

from ..volumes import ellipsoid, real_cohort, write


@pytest.fixture
def cohort(tmp_path):
    with real_cohort(tmp_path, 2) as opened:
        yield opened


def test_cases_that_came_later(cohort, tmp_path):
    write(tmp_path / "data/images/p2.nrrd", ellipsoid(2)[0])
    write(tmp_path / "more/images/p0.nrrd", ellipsoid(3)[0])
    first = add_cases(cohort, cases_from_folder(tmp_path / "data", cohort.folder, ["blob"]))
    assert [c.id for c in first] == ["p2"], "what is there already is left out"
    second = add_cases(cohort, cases_from_folder(tmp_path / "more", cohort.folder, ["blob"]))
    assert [c.id for c in second] == ["p0_2"], "another volume of the same name"
    assert not add_cases(cohort, cases_from_folder(tmp_path / "more", cohort.folder, ["blob"]))
    cohort.close()
    with Cohort.open(tmp_path / "cohort") as again:
        assert [c.id for c in again.cases] == ["p0", "p1", "p2", "p0_2"] and again.case("p0_2").status == "todo"


def test_scans_that_were_moved(cohort, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").rename(tmp_path / "disk/scans")
    result = relink(cohort, tmp_path / "disk")
    assert list(result.found) == ["p0", "p1"] and not result.left_out, "names are alike in two folders: the one above decides"
    assert cohort.resolve(cohort.case("p0").volume.path) == tmp_path / "disk/scans/images/p0.nrrd"
    assert cohort.resolve(cohort.case("p0").labels[0].path) == tmp_path / "disk/scans/labels/p0.nrrd"
    assert not relink(cohort, tmp_path / "disk").found, "nothing is lost any more"


def test_what_is_not_found_or_not_clear_is_told(cohort, tmp_path):
    (tmp_path / "data").rename(tmp_path / "gone")
    for place in "ab":
        write(tmp_path / "new" / place / "p0.nrrd", ellipsoid(0)[0])
    result = relink(cohort, tmp_path / "new")
    assert not result.found and "2 files p0.nrrd" in result.left_out["p0"] and "no file p1.nrrd of its own" in result.left_out["p1"]
    assert relink_case(cohort, "p0", tmp_path / "new/b/p0.nrrd") == tmp_path / "new/b/p0.nrrd"
    with pytest.raises(CohortError, match="is not what p1 was made of"):
        relink_case(cohort, "p1", tmp_path / "new/b")


def test_a_label_file_or_another_cases_scan_is_never_taken_for_a_scan(cohort, tmp_path):
    (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "moved/images/p1.nrrd").unlink()
    result = relink(cohort, tmp_path / "moved")
    assert list(result.found) == ["p0"] and "no file p1.nrrd of its own" in result.left_out["p1"]


def test_another_volume_is_noticed(cohort, tmp_path):
    change = {"shape": [12, 40, 36], "box": [[0, 1], [0, 1], [0, 1]], "bits": "eJxrAAAAgQCB"}
    cohort.record("edited", case="p0", structure="blob", change=change)
    (tmp_path / "data").rename(tmp_path / "gone")
    write(tmp_path / "new/p0.nrrd", ellipsoid(0)[0][:, :20])
    with pytest.raises(CohortError, match="36 x 20 x 12 voxels, but the work on p0 was done on 36 x 40 x 12"):
        relink_case(cohort, "p0", tmp_path / "new/p0.nrrd")
    assert "voxels" in relink(cohort, tmp_path / "new", ["p0"]).left_out["p0"]
