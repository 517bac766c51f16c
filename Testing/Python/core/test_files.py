import os

import pytest
from MultiverSegLib.core.files import replacing, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "notes.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old" and temporary.parent == path.parent and temporary.suffix == ".txt"
        1 / 0  # noqa: B018
    assert path.read_text() == "old" and os.listdir(path.parent) == ["notes.txt"]
    write_text(path, "new")
    assert path.read_text() == "new" and os.listdir(path.parent) == ["notes.txt"]


@pytest.mark.skipif(os.name == "nt", reason="no permission bits there")
def test_colleagues_may_read_what_is_written_into_a_shared_folder(tmp_path):
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "x.json", "{}")
    finally:
        os.umask(before)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o644
