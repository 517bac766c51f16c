"""The command's manners: help with examples, exit codes, one line for what went wrong."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import typer
from MultiverSegLib import __version__
from MultiverSegLib.cli import main
from MultiverSegLib.core.errors import VolumeError

PACKAGE_ROOT = Path(main.__file__).resolve().parents[2]


def every_command():
    """Paths of all commands and groups, e.g. ("context", "add")."""
    root = typer.main.get_command(main.app)

    def walk(command, path):
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, (*path, name))

    return sorted(walk(root, ()))


@pytest.mark.parametrize("path", every_command(), ids=lambda path: " ".join(path) or "multiverseg")
def test_every_command_has_help_with_an_example(command, path):
    ran = command(*path, "--help")
    assert ran.code == 0
    assert "Example" in ran.out and "multiverseg" in ran.out
    assert "None" not in ran.out


def test_version(command):
    assert command("--version").out == f"multiverseg {__version__}\n"


def test_help_does_not_wait_for_heavy_packages():
    """Seconds depend on the machine; what is imported does not."""
    code = (
        "import sys; from MultiverSegLib.cli import main; "
        "heavy = {'torch', 'slicer', 'vtk', 'scipy', 'monai', 'matplotlib', 'SimpleITK', 'ray', 'kornia'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE_ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_module_is_the_command():
    ran = subprocess.run([sys.executable, "-m", "MultiverSegLib.cli", "segmnt"], cwd=PACKAGE_ROOT, capture_output=True, text=True)
    assert ran.returncode == 2 and "segmnt" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment"],
        ["segment", "a.nrrd"],
        ["segment", "a.nrrd", "-o", "b.nrrd"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd"],  # nothing to go by
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2,nan"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--box", "1,2,3"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2,3", "--axis", "x"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2,3", "--slice", "-1"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2,3", "--slice", "max"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2,3", "--accept"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2,3", "--device", "tpu"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2,3", "--strategy", "nope"],
        ["segment", "a.nrrd", "-o", "b.seg.nrrd", "--point", "1,2,3", "--slice", "\u00b2"],
        ["cohort", "predict", "study", "p0", "--point", "1,2"],
        ["cohort", "predict", "study", "p0", "--device", "tpu"],
        ["propagate", "study", "--device", "tpu"],
        ["bench", "--size", "1,2"],
        ["demo", "--axis", "x"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_told_apart_from_failure(command, arguments):
    ran = command(*arguments)
    assert ran.code == 2 and "Traceback" not in ran.err and ran.out == ""


@pytest.mark.parametrize(
    "error, said",
    [
        (VolumeError("a.nrrd is\n broken."), "a.nrrd is broken."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/out.seg.nrrd"), "The disk is full: cannot write /data/out.seg.nrrd"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "No permission to read or write /data/x"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/data/x"), "No such file or folder: /data/x"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/data/x"), "Is a directory: /data/x"),
        (MemoryError(), "not enough memory"),
        (ModuleNotFoundError("No module named 'monai'", name="monai"), "No module named 'monai'"),
        (ZeroDivisionError("division by zero"), "Internal error (ZeroDivisionError: division by zero)"),
    ],
)
def test_whatever_goes_wrong_becomes_one_line(command, monkeypatch, error, said):
    def fail(**_):
        raise error

    monkeypatch.setattr("MultiverSegLib.cli.main.app", fail)
    ran = command("anything")
    assert ran.code == 1 and said in ran.error_line and ran.out == ""


def test_an_interrupt_has_its_code_and_says_what_was_written(command, monkeypatch):
    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("MultiverSegLib.cli.main.app", stop)
    ran = command("anything")
    assert ran.code == 130 and ran.err == "interrupted: nothing was written.\n" and ran.out == ""


def test_an_interrupted_demo_says_which_results_are_there(tmp_path):
    """A real process and a real signal, after the first case."""
    command = [sys.executable, "-m", "MultiverSegLib.cli", "demo", "--out", str(tmp_path)]
    # pytest-xdist's workers, and shells in the background, ignore the signal, and what they start would too
    heard = None if sys.platform == "win32" else partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen(
        command, cwd=PACKAGE_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1, preexec_fn=heard
    )
    for line in running.stdout:
        if line.startswith("hippocampus_"):
            running.send_signal(signal.SIGINT)
            break
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in err
    assert err.splitlines()[-1].startswith("interrupted: written and complete: ") and "hippocampus_001.seg.nrrd" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"{p.name}" for p in tmp_path.glob("hippocampus_*.seg.nrrd"))


@pytest.mark.skipif(sys.platform == "win32", reason="no process of Windows sends itself this signal")
def test_an_interrupt_waits_for_the_end_of_an_import(tmp_path):
    """VTK's binary modules take the process down (SIGSEGV) when one comes in the middle of theirs."""
    (tmp_path / "heavy.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('whole', sum(range(10)), flush=True)\n"
    )
    (tmp_path / "run.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from MultiverSegLib.cli import main, start\n"
        "def app(**_):\n    import heavy\n    time.sleep(20)\n    print('too late')\n"
        "main.app = app\nstart.run()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    ran = subprocess.run([sys.executable, tmp_path / "run.py"], env=environment, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (130, "whole 45\n")
    assert ran.stderr == "interrupted: nothing was written.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no process of Windows sends itself this signal")
def test_an_interrupt_while_the_command_is_still_being_imported_is_one_line(tmp_path):
    (tmp_path / "typer.py").write_text(  # the signal, then the real one
        "import os, signal, sys\nos.kill(os.getpid(), signal.SIGINT)\n"
        "sys.path.remove(os.path.dirname(__file__))\ndel sys.modules['typer']\nimport typer\nsys.modules['typer'] = typer\n"
    )
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from MultiverSegLib.cli.start import run; run()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PACKAGE_ROOT)])}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (130, "interrupted: nothing was written.\n")


def test_control_characters_do_not_reach_the_terminal(command, monkeypatch):
    def fail(**_):
        raise VolumeError("\x1b]0;owned\x07\x1b[2Jct\x9b31m.nrrd\r is \udce4 broken\u202e.")

    monkeypatch.setattr("MultiverSegLib.cli.main.app", fail)
    assert command("anything").error_line == r"error: ct31m.nrrd is \udce4 broken."


def test_with_debugging_the_traceback_comes_through(monkeypatch):
    def fail(**_):
        raise ZeroDivisionError

    monkeypatch.setattr("MultiverSegLib.cli.main.app", fail)
    monkeypatch.setenv("MULTIVERSEG_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main.run([])
