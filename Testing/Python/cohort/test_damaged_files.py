"""cohort.json and journal.jsonl by other hands: one sentence, no lock left behind, and no file outside of the cohort's folder."""

import json

import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.records import Case, Source, Structure
from MultiverSegLib.core.errors import CohortError

from .helpers import paper_cohort

EVENTS = [
    {"event": "opened"},
    {"event": "opened", "case": 3},
    {"event": "prompt", "case": "a", "structure": "liver", "prompts": [], "counts": {"box": "many"}},
    {"event": "prompt", "case": "a", "structure": "liver", "counts": {}},
    {"event": "prompt", "case": "a", "structure": "liver", "prompts": {}, "counts": {}},
    {"event": "predicted", "case": "a", "structure": "liver", "model": "m", "examples": "e1", "confidence": 0.5},
    {"event": "predicted", "case": "a", "structure": "liver", "model": "m", "examples": [], "confidence": "high"},
    {"event": "active", "case": "a", "seconds": "12"},
    {"event": "active", "case": "a", "seconds": float("nan")},
    {"event": "status", "case": "a", "status": ["todo"]},
    {"event": "labels", "case": "a", "labels": [3]},
    {"event": "cases", "cases": [{"id": "z"}]},
    {"event": "structure", "structure": {"name": 3}},
    {"event": "setting", "name": "cap", "value": "all"},
    {"event": "accepted", "case": "a", "structure": "liver", "area_mm2": "large"},
    {"event": "example removed", "structure": "liver"},
    {"event": 7},
    {},
]


def _refused(folder, match):
    """Says why in one line and gives the lock back, so that the cohort can be opened once it is repaired."""
    with pytest.raises(CohortError, match=match) as error:
        Cohort.open(folder)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert not (folder / "cohort.lock").exists()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: json.dumps(event)[:60])
def test_events_that_cannot_be(tmp_path, event):
    paper_cohort(tmp_path).close()
    whole = (tmp_path / "journal.jsonl").read_bytes()
    with open(tmp_path / "journal.jsonl", "a") as handle:
        handle.write(json.dumps({"seq": 2, "time": "2026-01-01T00:00:00.000+00:00", "who": "x", **event}) + "\n")
    _refused(tmp_path, "vent 2|cohort.json|status")
    (tmp_path / "journal.jsonl").write_bytes(whole)
    with Cohort.open(tmp_path) as repaired:
        assert not repaired.read_only


@pytest.mark.parametrize(
    "change",
    [
        {"name": 5},
        {"seq": "1"},
        {"settings": []},
        {"settings": {"cap": "x"}},
        {"settings": {"model": None}},
        {"structures": 5},
        {"structures": [{"name": "x", "axis": 4}]},
        {"structures": [{"name": "x", "color": ["red", 0, 0]}]},
        {"cases": [{"id": 7, "volume": {"kind": "file", "path": "x"}}]},
        {"cases": [{"id": "a", "volume": {"kind": "file", "path": 4}}]},
        {"cases": [{"id": "a", "volume": {"kind": "file", "path": "x"}, "name": 4}]},
        {"cases": [{"id": "a", "volume": {"kind": "file", "path": "x"}, "works": []}]},
        {"cases": [{"id": "a", "volume": {"kind": "file", "path": "x"}, "works": {"liver": {"interactions": {"box": "1"}}}}]},
        {"cases": [{"id": "a", "volume": {"kind": "file", "path": "x"}, "works": {"liver": {"confidence": "0.5"}}}]},
        {"cases": [{"id": "a", "volume": {"kind": "file", "path": "x"}, "works": {"liver": {"proposal": {"confidence": "x"}}}}]},
        {"cases": [{"id": "a", "volume": {"kind": "file", "path": "x"}, "works": {"liver": {"predicted_with": 5}}}]},
        {"cases": [{"id": "a", "volume": {"kind": "file", "path": "x"}, "active_seconds": "3"}]},
    ],
    ids=lambda change: json.dumps(change)[-60:],
)
def test_a_snapshot_that_cannot_be(tmp_path, change):
    paper_cohort(tmp_path).close()
    path = tmp_path / "cohort.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    _refused(tmp_path, "cohort.json")


@pytest.mark.parametrize("bad", ["../../theirs/mine", "/theirs/abs", "a/b", "..", ".hidden", "a\\b", "c:d", "a\nb", "", "x" * 300])
def test_an_id_that_is_a_path_is_refused(tmp_path, bad):
    with pytest.raises(CohortError, match="id of a case"):
        Cohort.create(tmp_path / "new", [Case(bad, Source("file", "x.nrrd"))], [Structure("liver")])
    assert not (tmp_path / "new" / "journal.jsonl").exists(), "and another try can begin"
    paper_cohort(tmp_path).close()
    path = tmp_path / "cohort.json"
    path.write_text(path.read_text().replace('"id": "a"', f'"id": {json.dumps(bad)}'))
    _refused(tmp_path, "id of a case")


def test_files_of_a_linked_folder_are_not_cleared_away(tmp_path):
    paper_cohort(tmp_path / "c").close()
    (tmp_path / "theirs").mkdir()
    left = tmp_path / "theirs" / f".writing-{'0' * 32}-x.nrrd"
    left.write_text("of another program")
    (tmp_path / "c/segmentations").symlink_to(tmp_path / "theirs")
    Cohort.open(tmp_path / "c").close()
    assert left.exists()


def test_a_foreign_journal_survives_a_new_cohort(tmp_path):
    (tmp_path / "journal.jsonl").write_text("my notes")
    with pytest.raises(CohortError, match="already"):
        paper_cohort(tmp_path)
    assert (tmp_path / "journal.jsonl").read_text() == "my notes"


def test_a_cohort_whose_first_event_was_torn_can_be_begun(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"seq":1,"time":"2026')
    with paper_cohort(tmp_path) as cohort:
        assert len(cohort.cases) == 3


def test_a_closing_that_cannot_save_gives_the_lock_back(tmp_path):
    cohort = paper_cohort(tmp_path)
    (tmp_path / "cohort.json").unlink()
    (tmp_path / "cohort.json").mkdir()
    with pytest.raises(CohortError, match="Can't write"):
        cohort.close()
    assert not (tmp_path / "cohort.lock").exists() and cohort.read_only


def test_what_programs_of_windows_write(tmp_path):
    """Notepad puts a mark before the text; a path with a drive is told as it was stored."""
    paper_cohort(tmp_path).close()
    path = tmp_path / "cohort.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"../images/0.nrrd", b"D:/scans/0.nrrd"))
    with Cohort.open(tmp_path) as cohort:
        assert str(cohort.resolve(cohort.case("a").volume.path)) == "D:/scans/0.nrrd"
