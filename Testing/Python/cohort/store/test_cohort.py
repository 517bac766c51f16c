"""A cohort's files: created, opened again, folded from the journal, valid by the schema."""

import json

import jsonschema
import pytest
from MultiverSegLib.cohort.store.cohort import Cohort, relative_path, snapshot
from MultiverSegLib.cohort.store.records import Case, Labels, Source, Structure, case_from_json, file_safe, structure_from_json, to_json
from MultiverSegLib.cohort.store.reducer import State, after
from MultiverSegLib.core.errors import CohortError
from MultiverSegLib.core.resources import resource_path

from ..helpers import paper_cohort

PREDICTED = {"structure": "liver", "model": "compact", "confidence": 0.8}


def _work_through(cohort):
    cohort.record("opened", case="a")
    cohort.record("prompt", case="a", structure="liver", op="add", prompts=[], counts={"positive point": 2, "box": 1})
    cohort.record("predicted", case="a", examples=["e1", "e2"], **PREDICTED)
    cohort.record("predicted", case="a", examples=["e2"], **PREDICTED)
    cohort.record("edited", case="a", structure="liver", change=None)
    cohort.record("active", case="a", seconds=12.5)
    cohort.record(
        "accepted", case="a", structure="liver", example="x", first_vs_accepted_dice=0.9, area_mm2=10.0, volume_ml=1.0, mask_sha256="s"
    )


def test_bookkeeping_of_a_case(tmp_path):
    with paper_cohort(tmp_path) as cohort:
        _work_through(cohort)
        case, work = cohort.case("a"), cohort.case("a").work("liver")
        assert case.status == work.status == "accepted" and case.active_seconds == 12.5
        assert work.interactions == {"positive point": 2, "box": 1, "edit": 1} and work.clicks == 4
        assert work.predicted_with == ("e1", "e2") and work.context_size == 1 and work.first_vs_accepted_dice == 0.9
        assert work.when and work.who == cohort.journal.who
        assert [c.status for c in cohort.cases[1:]] == ["todo", "todo"]


def test_open_gives_what_was_closed_and_the_journal_alone_does_too(tmp_path):
    with paper_cohort(tmp_path, structures=("liver", "left kidney")) as cohort:
        _work_through(cohort)
        state = cohort.state
        assert cohort.case("a").status == "in progress", "one of two structures is accepted"
    with Cohort.open(tmp_path / "cohort.json") as again:
        assert again.state == state
    (tmp_path / "cohort.json").unlink()
    with Cohort.open(tmp_path) as from_journal:
        assert from_journal.state == state
    with Cohort.open(tmp_path):
        pass
    text = (tmp_path / "cohort.json").read_text(encoding="utf-8")
    assert text == json.dumps(snapshot(state), indent=1, ensure_ascii=False) + "\n", "put together of the cases' texts"


def test_a_snapshot_that_fell_behind_catches_up(tmp_path):
    with paper_cohort(tmp_path) as cohort:
        old = (tmp_path / "cohort.json").read_text()
        _work_through(cohort)
        state = cohort.state
    (tmp_path / "cohort.json").write_text(old)
    with Cohort.open(tmp_path) as again:
        assert again.state == state


def test_a_journal_that_lost_events_is_noticed(tmp_path):
    with paper_cohort(tmp_path) as cohort:
        _work_through(cohort)
    lines = (tmp_path / "journal.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(CohortError, match="restore the journal"):
        Cohort.open(tmp_path)
    (tmp_path / "journal.jsonl").write_text("".join(lines))
    assert not Cohort.open(tmp_path).read_only, "a failed opening must not keep the lock"


def test_the_snapshot_follows_the_schema(tmp_path):
    schema = json.loads(resource_path("Schemas", "cohort.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    with paper_cohort(tmp_path, structures=("liver", "spleen")) as cohort:
        labels = [{"structure": "liver", "path": "../l.nii.gz", "value": 2}]
        cohort.record("labels", case="b", labels=labels)
        cohort.record("proposed", case="b", structure="liver", kind="slice", model="m", examples=["e1"], confidence=0.5, file="f")
        cohort.record("status", case="c", status="skipped", note="motion")
        _work_through(cohort)
        cohort.record("example removed", structure="liver", example="e1", source="z")
    data = json.loads((tmp_path / "cohort.json").read_text())
    jsonschema.validate(data, schema)
    assert data["cases"][1]["labels"] == labels
    data["cases"][0]["volume"]["kind"] = "cloud"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_removing_an_example_marks_what_was_predicted_with_it(tmp_path):
    with paper_cohort(tmp_path, cases=4) as cohort:
        _work_through(cohort)
        cohort.record("predicted", case="b", examples=["e1"], **PREDICTED)
        for case, example in (("c", "e1"), ("d", "e9")):
            cohort.record("proposed", case=case, structure="liver", kind="slice", examples=[example], model="m", confidence=0.5)
        cohort.record("example removed", structure="liver", example="e1", source="case z")
        assert cohort.case("a").status == "needs review" and "case z" in cohort.case("a").note
        assert cohort.case("b").status == "in progress" and "case z" in cohort.case("b").work("liver").doubt
        assert cohort.case("c").work("liver").proposal["stale"] and "stale" not in cohort.case("d").work("liver").proposal
        cohort.record("accepted", case="a", structure="liver", example="y")
        assert cohort.case("a").status == "accepted" and not cohort.case("a").work("liver").doubt


def test_an_impossible_event_is_not_stored(tmp_path):
    with paper_cohort(tmp_path) as cohort:
        before = (tmp_path / "journal.jsonl").read_bytes()
        for kind, fields in (("opened", {"case": "zz"}), ("status", {"case": "a", "status": "lost"})):
            with pytest.raises(CohortError):
                cohort.record(kind, **fields)
        assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_events_of_a_later_version_are_kept_and_ignored():
    state = State(cases={"a": Case("a", Source("file", "x"))})
    assert after(state, {"seq": 7, "event": "teleported", "case": "a"}) == State(seq=7, cases=state.cases)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"version": 99}', "newer version"),
        ('{"version": 1}', "damaged"),
        ("[]", "not a cohort"),
        ('{"version": 1, "name": "n", "seq": 0, "settings": {}, "structures": [{"name": "x", "axis": "up"}], "cases": []}', "axis"),
        ('{"version": 1, "name": "n", "seq": 0, "settings": {}, "structures": [], "cases": [{"id": "a"}]}', "volume"),
        (
            '{"version": 1, "name": "n", "seq": 0, "settings": {}, "structures": [], "cases": '
            '[{"id": "a", "volume": {"kind": "file", "path": "p"}, "evil": 1}]}',
            "evil",
        ),
    ],
)
def test_damaged_files_are_one_clear_line(tmp_path, content, message):
    (tmp_path / "cohort.json").write_text(content)
    with pytest.raises(CohortError, match=message):
        Cohort.open(tmp_path)


def test_a_new_cohort_overwrites_nothing(tmp_path):
    (tmp_path / "segmentations").mkdir()
    (tmp_path / "segmentations" / "a.seg.nrrd").write_text("mine")
    with pytest.raises(CohortError, match="choose another folder"):
        paper_cohort(tmp_path)
    paper_cohort(tmp_path / "x").close()
    with pytest.raises(CohortError, match="already"):
        paper_cohort(tmp_path / "x")
    with pytest.raises(CohortError, match="no cohort"):
        Cohort.open(tmp_path / "y")


def test_paths_move_with_the_folder(tmp_path):
    assert relative_path(tmp_path / "images" / "a.nrrd", tmp_path / "work" / "cohort") == "../../images/a.nrrd"
    with paper_cohort(tmp_path / "cohort") as cohort:
        assert cohort.resolve(cohort.case("a").volume.path) == tmp_path / "images" / "0.nrrd"
    (tmp_path / "cohort").rename(tmp_path / "moved")
    with Cohort.open(tmp_path / "moved") as cohort:
        assert cohort.resolve(cohort.case("a").volume.path) == tmp_path / "images" / "0.nrrd"


def test_structures_of_odd_names_have_files_of_their_own(tmp_path):
    with paper_cohort(tmp_path, structures=("Leber/links", "Leber links", "肝")) as cohort:
        names = [cohort.prompts_path("a", s.name).name for s in cohort.structures]
        assert names == ["a.Leber_links.mrk.json", "a.Leber_links_2.mrk.json", "a.肝.mrk.json"]
        assert len({cohort.context_folder(s.name) for s in cohort.structures}) == 3
        assert cohort.context_folder("Leber/links").parent == tmp_path / "context"
        with pytest.raises(CohortError, match="no structure"):
            cohort.prompts_path("a", "liver")


def test_records_come_back(tmp_path):
    case = Case("a", Source("dicom", "../s", series="1.2"), "A", (Labels("liver", "l.nrrd", "Liver"),), {"age": "7"}, note="ü")
    case = case.with_work("liver", interactions={"box": 1}, predicted_with=("e",))
    structure = Structure("liver", "sagittal", (0, 0.5, 1), "t", {"scaling": "minmax"}, 3)
    assert case_from_json(json.loads(json.dumps(to_json(case)))) == case
    assert structure_from_json(json.loads(json.dumps(to_json(structure)))) == structure


def test_file_safe():
    assert file_safe("a/b:c*?.nii", ()) == "a_b_c_.nii"
    assert file_safe("A", ["a"]) == "A_2" and file_safe("...", ()) == "case"


def test_a_journal_and_a_snapshot_of_the_first_version_are_read(tmp_path):
    """It called the agreement of first prediction and accepted result "saved_dice"."""
    with paper_cohort(tmp_path) as cohort:
        cohort.record("accepted", case="a", structure="liver", saved_dice=0.9)
        assert cohort.case("a").work("liver").first_vs_accepted_dice == 0.9
    path = tmp_path / "cohort.json"
    path.write_text(path.read_text().replace("first_vs_accepted_dice", "saved_dice"))
    with Cohort.open(tmp_path) as again:
        assert again.case("a").work("liver").first_vs_accepted_dice == 0.9


def test_structures_that_differ_by_case_alone_have_folders_of_their_own(tmp_path):
    with paper_cohort(tmp_path, structures=("Liver", "liver", "CON", "x" * 300)) as cohort:
        names = [cohort.context_folder(s.name).name.lower() for s in cohort.structures]
        assert len(set(names)) == 4 and "con" not in names and max(map(len, names)) < 100
        assert len(cohort.prompts_path("a", "x" * 300).name) < 150


@pytest.mark.parametrize(("name", "safe"), [("CON", "CON_"), ("x" * 200, "x" * 80), ("Le\u0301a", "Léa")])
def test_ids_are_names_of_files_everywhere(name, safe):
    assert file_safe(name) == safe
