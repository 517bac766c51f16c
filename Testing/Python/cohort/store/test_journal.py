"""The journal keeps every whole event, cuts a torn one, and notices being changed."""

import json

import pytest
from MultiverSegLib.cohort.store.journal import Journal
from MultiverSegLib.core.errors import CohortError


def test_events_come_back_as_stored(tmp_path):
    journal = Journal(tmp_path / "j.jsonl", "anna")
    stored = [journal.append("prompt", case="ü", points=[1.5, 2]), journal.append("accepted", case="b")]
    assert list(Journal(tmp_path / "j.jsonl").events()) == stored
    assert [e["seq"] for e in stored] == [1, 2]
    assert stored[0]["who"] == "anna" and stored[0]["time"].endswith("+00:00")
    assert list(journal.events(case="b")) == stored[1:] == list(journal.events(after=1))


@pytest.mark.parametrize("torn", [b'{"seq":3,"ti', b'{"seq":3}', b"\x00\x00\x00", b'{"seq":3,"event":"x\n'])
def test_a_torn_last_line_is_ignored_and_cut(tmp_path, torn):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.append("a")
    journal.append("b")
    with open(path, "ab") as handle:
        handle.write(torn)
    assert [e["event"] for e in Journal(path).events()] == ["a", "b"]
    Journal(path).append("c")
    lines = path.read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["a", "b", "c"]


def test_a_damaged_middle_is_an_error(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    for kind in "abc":
        journal.append(kind)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"garbage\n" + lines[2])
    with pytest.raises(CohortError, match="Line 2"):
        list(Journal(path).events())
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(CohortError, match="lacks event 2"):
        Journal(path).append("d")


def test_nan_is_refused_and_leaves_the_journal_whole(tmp_path):
    journal = Journal(tmp_path / "j.jsonl")
    journal.append("a")
    with pytest.raises(ValueError):
        journal.append("b", value=float("nan"))
    assert journal.append("c")["seq"] == 2


@pytest.mark.parametrize("content", [b"a note without a line end", b'{"seq":1,"tim3":"', b"\x00\x00"])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path, content):
    path = tmp_path / "j.jsonl"
    path.write_bytes(content)
    with pytest.raises(CohortError, match="not a journal"):
        Journal(path).append("a")
    assert path.read_bytes() == content


def test_the_beginning_of_a_first_line_is_a_torn_line(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"seq":1,"time":"2026-')
    assert Journal(path).append("a")["seq"] == 1


def test_a_link_is_read_but_not_written(tmp_path):
    Journal(tmp_path / "theirs").append("a")
    stored = (tmp_path / "theirs").read_bytes()
    (tmp_path / "j.jsonl").symlink_to(tmp_path / "theirs")
    journal = Journal(tmp_path / "j.jsonl")
    assert len(journal) == 1
    with pytest.raises(CohortError, match="link to another file"):
        journal.append("b")
    assert (tmp_path / "theirs").read_bytes() == stored


def test_deep_nesting_is_damage(tmp_path):
    path = tmp_path / "j.jsonl"
    Journal(path).append("a")
    with open(path, "ab") as handle:
        handle.write(b"[" * 200_000 + b"\n{}\n")
    with pytest.raises(CohortError, match="Line 2"):
        len(Journal(path))
