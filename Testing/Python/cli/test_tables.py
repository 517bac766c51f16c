"""Tables for people and for programs, with the names that strangers give things."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from MultiverSegLib.cli import console, main
from MultiverSegLib.cohort.sources.files import cases_from_folder
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.records import Structure

from ..cohort.volumes import write_cohort_files

NOTES = ["see [/docs]", "\x1b]0;title\x07\x1b[2J red", "=cmd|calc", "two\nlines\tand a tab"]
STRUCTURES = ["kidney [left]", "kidney [right]", "tumour [/x]"]


@pytest.fixture
def study(tmp_path) -> Path:
    """Cases with long ids, structures with names like markup, notes like escape sequences."""
    write_cohort_files(tmp_path / "scans", 2)
    for path in sorted((tmp_path / "scans" / "images").iterdir()):
        path.rename(path.with_name(f"Patient_2026_0815_follow-up_{path.name}"))
    cases = cases_from_folder(tmp_path / "scans", tmp_path / "study", STRUCTURES)
    structures = [Structure.numbered(name, number, "axial") for number, name in enumerate(STRUCTURES)]
    with Cohort.create(tmp_path / "study", cases, structures) as cohort:
        for case, note in zip(cohort.cases, NOTES, strict=False):
            cohort.record("status", case=case.id, status="skipped", note=note)
    return tmp_path / "study"


def test_in_a_pipe_it_is_tab_separated(study, command):
    ran = command("cohort", "status", study)
    assert ran.code == 0, ran.err
    head, *lines = ran.out.splitlines()
    rows = [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert [row["structure"] for row in rows] == STRUCTURES * 2
    assert {row["case"] for row in rows} == {"Patient_2026_0815_follow-up_p0", "Patient_2026_0815_follow-up_p1"}
    assert [row["note"] for row in rows[::3]] == ["see [/docs]", "red"] and "\x1b" not in ran.out


def test_at_a_terminal_of_80_columns_no_id_is_cut(study):
    """A real process at a real terminal."""
    code = "import sys; from MultiverSegLib.cli.main import run; run(sys.argv[1:])"
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}
    root = Path(main.__file__).resolve().parents[2]
    running = subprocess.Popen(
        [sys.executable, "-c", code, "cohort", "status", str(study)], cwd=root, env=environment, stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert running.wait() == 0, running.stderr.read()
    running.stderr.close()
    lines = console.plain(shown.decode()).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("Patient_2026_0815_follow-up_p0" in line for line in lines) == 3
    text = " ".join(" ".join(lines).split())
    assert "kidney [left]" in text or ("kidney" in text and "[left]" in text)
    assert "]0;" not in shown.decode() and "confidence" not in text  # an empty column


def test_names_are_no_markup(capfd):
    console.warn("kidney [left] and [/x] \x1b[31m")
    with console.bar("Working") as show:
        show(1, 2, "Predicted [/x]")
    with console.step("[/x]"):
        pass
    assert "kidney [left] and [/x]" in capfd.readouterr().err


def test_what_is_written_is_named():
    written = console.Written()
    assert str(written) == "nothing was written"
    written.going_on("the same command goes on")
    assert str(written) == "the same command goes on"
    for n in range(5):
        written.add(f"case {n}")
    assert str(written) == "written and complete: case 0, case 1, case 2 and 2 more; nothing else was"
    written.clear()
    assert str(written) == "nothing was written"


def test_import_of_another_structure_is_said(command, tmp_path):
    import numpy as np
    from MultiverSegLib.core.context.context_set import ContextSet, Example

    for name in ("liver", "spleen"):
        image = np.random.default_rng(len(name)).random((128, 128))
        ContextSet(tmp_path / name).add(Example(image, np.eye(128), case="p0", structure=name))
    command("context", "export", tmp_path / "spleen", tmp_path / "spleen.zip")
    ran = command("context", "import", tmp_path / "liver", tmp_path / "spleen.zip")
    assert ran.code == 0 and "examples of spleen, the context is of liver" in ran.err
