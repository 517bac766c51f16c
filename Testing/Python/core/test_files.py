import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from MultiverSegLib.core import files
from MultiverSegLib.core.files import ScratchFolder, replacing, write_text


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


@pytest.mark.skipif(os.name == "nt", reason="needs locks that can be asked for")
def test_folders_of_killed_processes_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = f"import sys, time; sys.path.insert(0, {str(Path(files.__file__).parents[2])!r}); import tempfile; tempfile.tempdir = {str(tmp_path)!r}\n"
    code += "from MultiverSegLib.core.files import ScratchFolder; print(ScratchFolder('ours-').path, flush=True); time.sleep(60)"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    killed, alive = (Path(process.stdout.readline().strip()) for process in running)
    (tmp_path / "ours-of-somebody").mkdir()
    running[0].send_signal(signal.SIGKILL)
    running[0].communicate()
    mine = ScratchFolder("ours-")
    try:
        assert sorted(tmp_path.iterdir()) == sorted([alive, mine.path, tmp_path / "ours-of-somebody"]) and not killed.exists()
    finally:
        running[1].kill()
        running[1].communicate()
    mine.remove()
    assert not mine.path.exists()
