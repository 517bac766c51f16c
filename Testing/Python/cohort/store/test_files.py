"""Files are replaced in one step or not at all."""

import os

import pytest
from MultiverSegLib.cohort.store.files import read_json, save_with, write_atomically, written_beside
from MultiverSegLib.core.errors import CohortError
from MultiverSegLib.core.files import remove_leftovers


def test_content_is_replaced_whole(tmp_path):
    path = tmp_path / "new folder" / "Größe.json"
    write_atomically(path, '{"Größe": [1, 2]}')
    write_atomically(path, '{"Größe": []}')
    assert read_json(path) == {"Größe": []}
    assert os.listdir(path.parent) == [path.name]


def test_a_failing_writer_changes_nothing(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    write_atomically(path, b"old")
    with pytest.raises(RuntimeError), written_beside(path) as beside:
        beside.write_bytes(b"half")
        raise RuntimeError
    with pytest.raises(CohortError, match="made no file"):
        save_with(path, lambda target: None)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.seg.nrrd"]


def test_the_writer_sees_the_files_extension(tmp_path):
    seen = []
    save_with(tmp_path / "a.seg.nrrd", lambda target: (seen.append(target), open(target, "w").close()))
    assert seen[0].endswith(".seg.nrrd")


def test_no_folder_to_write_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CohortError, match="Can't write"):
        write_atomically(tmp_path / "file" / "a.json", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_one_clear_line(tmp_path):
    target = tmp_path / "a.json"
    write_atomically(target, b"old")
    with pytest.raises(CohortError, match=r"No space left.*disk space"), written_beside(target), open("/dev/full", "w") as full:
        full.write("x" * 100_000)
        full.flush()
    assert target.read_bytes() == b"old"


def test_not_json(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(CohortError, match="not a JSON file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(CohortError, match="Can't read"):
        read_json(tmp_path / "b.json")


def test_only_our_leftovers_are_removed(tmp_path):
    (tmp_path / (".writing-" + "0" * 32 + "-a.json")).write_text("")
    (tmp_path / ".writing-mine").write_text("")
    assert remove_leftovers(tmp_path) == 1
    assert os.listdir(tmp_path) == [".writing-mine"]
