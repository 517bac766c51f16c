"""Every command line that README and Docs print is run as printed, in a folder with the files that it names, by relative names.

The lines of one document are run in its order in one folder, as a reader would. What can't be run in a test is listed with its reason.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import typer
from MultiverSegLib.cli import main
from MultiverSegLib.core.resources import resource_path

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "Docs").glob("*.md")), *sorted((ROOT / ".github").glob("*.md")))

SLOW = "takes more than 20 seconds"
SETS_UP = "makes an environment and runs all of it"
MACHINE = "changes the machine, or needs a program that is not part of the project"
ITSELF = "runs these tests, or writes into the source tree"
#: Beginnings of the command lines that are not run here, and why.
NOT_RUN = {
    "make ": SETS_UP,
    "pip install": MACHINE,
    "apt": MACHINE,
    "dciodvfy ": MACHINE,
    "dcentvfy ": MACHINE,
    "PythonSlicer ": MACHINE,
    "Slicer ": MACHINE,
    "python -m pytest": ITSELF,
    "python Testing/": ITSELF,
    "pre-commit ": MACHINE,
    "multiverseg models fetch": "contacts an address",
    "multiverseg demo": SLOW,
    "multiverseg bench": SLOW,
    "multiverseg train": SLOW,
    "multiverseg evaluate": SLOW,
}
_PROGRAMS = (
    "multiverseg",
    "make",
    "pip",
    "apt",
    "apt-get",
    "python",
    "PythonSlicer",
    "Slicer",
    "dciodvfy",
    "dcentvfy",
    "pre-commit",
    "git",
)
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]{2,}\b|\||\.\.\.")


@dataclass(frozen=True)
class Line:
    """A printed command line."""

    document: Path
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.number}: {self.text}"

    @property
    def reason(self) -> str:
        """Why it is not run here; "" if it is."""
        return next((reason for start, reason in NOT_RUN.items() if f"{self.text} ".startswith(start)), "")

    @property
    def is_synopsis(self) -> bool:
        """A bare name, or something stands for what the reader has: that the command exists is checked, no more."""
        return bool(_PLACEHOLDER.search(re.sub(r'"[^"]*"', "", self.text))) or (
            self.text.startswith("multiverseg ")
            and all(re.fullmatch("[a-z][a-z-]*", word) for word in self.text.split())
            and needs_more(self.text)
        )


def needs_more(text: str) -> bool:
    """Whether these words name a command that can't be run without further ones."""
    command = typer.main.get_command(main.app)
    for name in text.split()[1:]:
        if name not in getattr(command, "commands", {}):
            return False
        command = command.commands[name]
    return hasattr(command, "commands") or any(parameter.required for parameter in command.params)


def printed() -> list[Line]:
    lines = []
    for document in DOCUMENTS:
        fence = None
        for number, text in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
            if text.strip().startswith("```"):
                fence = None if fence is not None else text.strip()[3:].strip()
            elif fence in ("", "sh", "bash"):
                found = [re.sub(r"\s+#\s.*$", "", text).strip()]
                lines += [Line(document, number, line) for line in found if line]
            elif fence is None:
                spans = [span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", text)]
                lines += [Line(document, number, span) for span in spans if " " in span and span.split()[0] in _PROGRAMS]
    return lines


LINES = printed()
TO_RUN = [line for line in LINES if not line.reason and not line.is_synopsis]


def test_every_line_is_run_or_has_a_reason():
    assert len(LINES) > 40 and len(TO_RUN) > 15
    unknown = [str(line) for line in TO_RUN if not line.text.startswith("multiverseg ")]
    assert unknown == [], "neither a command of ours nor listed in NOT_RUN"


def test_the_list_of_reasons_is_not_stale():
    used = {start for line in LINES for start in NOT_RUN if f"{line.text} ".startswith(start)}
    assert [start for start in NOT_RUN if start not in used] == []


def commands_of(text: str) -> list[list[str]]:
    """The commands that a synopsis names, e.g. "context list|add DIR" -> [context, list], [context, add]."""
    words = [word for word in text.split()[1:] if word != "..."]
    path: list[str] = []
    for word in words:
        if "|" in word:
            return [[*path, name] for name in word.split("|") if name != "..."]
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        path.append(word)
    return [path]


@pytest.mark.parametrize("line", [line for line in LINES if line.text.startswith("multiverseg ")], ids=str)
def test_every_printed_command_and_option_exists(line):
    """Also of those that are not run."""
    for path in commands_of(line.text):
        command = typer.main.get_command(main.app)
        for name in path:
            if not hasattr(command, "commands"):
                break  # an argument
            assert name in command.commands, f"{line}: there is no {name}"
            command = command.commands[name]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help",
            "--version",
        }
        used = [word.split("=")[0] for word in shlex.split(line.text.replace("|", " ")) if re.match(r"-{1,2}[a-z]", word)]
        assert [option for option in used if option not in known] == [], str(line)


def test_every_command_for_cohorts_contexts_and_models_is_printed():
    named = {tuple(path) for line in LINES if line.text.startswith("multiverseg ") for path in commands_of(line.text)}
    missing = []
    for group in ("cohort", "context", "models"):
        commands = typer.main.get_command(main.app).commands[group].commands
        missing += [f"{group} {name}" for name in commands if not any(path[:2] == (group, name) for path in named)]
    assert missing == []


# --- the files that the lines name


def volume(path: Path, center=(12.5, -30.0, 44.0), seed=0, value=300.0) -> sitk.Image:
    """A bright ball of 12 mm around ``center`` (RAS, mm) in noise; the path's ending says the format."""
    size, spacing = (48, 44, 16), (1.5, 1.5, 3.0)
    image = sitk.Image(size, sitk.sitkInt16)
    image.SetSpacing(spacing)
    lps = np.array([-center[0], -center[1], center[2]])
    image.SetOrigin([float(c - (n // 2 - 2) * s) for c, n, s in zip(lps, size, spacing, strict=True)])
    k, j, i = np.mgrid[: size[2], : size[1], : size[0]]
    places = np.stack([i, j, k], -1) * spacing + image.GetOrigin()
    ball = np.linalg.norm(places - lps, axis=-1) < 12
    array = np.random.default_rng(seed).normal(100, 10, ball.shape) + value * ball
    filled = sitk.GetImageFromArray(array.astype(np.int16))
    filled.CopyInformation(image)
    write(filled, path)
    return filled


def label(path: Path, image: sitk.Image) -> None:
    write(sitk.Cast(image > 250, sitk.sitkUInt8), path)


def write(image: sitk.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=True)


def markups(path: Path, center=(12.5, -30.0, 44.0)) -> None:
    """One point, as Slicer saves it."""
    x, y, z = -center[0], -center[1], center[2]
    point = {"id": "1", "label": "F-1", "position": [x, y, z], "positionStatus": "defined", "orientation": [-1, 0, 0, 0, -1, 0, 0, 0, 1]}
    schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
    content = {"@schema": schema, "markups": [{"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [point]}]}
    path.write_text(json.dumps(content))


def a_users_folder(folder: Path) -> None:
    """What the documents take for granted that a reader has."""
    for number, name in enumerate(("ct.nrrd", "next.nrrd", "mr.nii.gz")):
        volume(folder / name, seed=number)
    markups(folder / "liver.mrk.json")
    for number in range(1, 9):
        case = f"p{number:02d}"
        image = volume(folder / "scans" / f"{case}.nrrd", seed=number)
        if number <= 4:
            label(folder / "scans" / "labels" / f"{case}.nrrd", image)
        label(folder / "masks" / f"{case}.nrrd", image)
        markups(folder / f"{case}.mrk.json")
        label(folder / f"{case}.seg.nrrd", image)
        write(image, folder / "images" / f"{case}.nii.gz")
    rows = "\n".join(f"scans/p{n:02d}.nrrd,{40 + n}" for n in range(1, 4))
    (folder / "cases.csv").write_text(f"volume,age\n{rows}\n")
    volume(folder / "moved" / "p06.nrrd", seed=6)
    volume(folder / "more" / "p09.nrrd", seed=9)
    (folder / "run2").mkdir()
    shutil.copy2(resource_path("Models", "compact.pt"), folder / "run2" / "ema.pt")
    shutil.copy2(resource_path("Models", "compact.pt"), folder / "MultiverSeg_v1_nf256.pt")


@pytest.mark.parametrize("document", sorted({line.document for line in TO_RUN}), ids=lambda path: path.name)
def test_the_lines_of_a_document_do_what_they_say(document, command, tmp_path, monkeypatch):
    a_users_folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULTIVERSEG_MODELS", str(tmp_path / "fetched"))
    for line in (line for line in TO_RUN if line.document == document):
        ran = command(*shlex.split(line.text)[1:])
        assert ran.code == 0, f"{line}\n{ran.err}"
        assert "warning" not in ran.err, f"{line}\n{ran.err}"


def test_the_first_line_of_the_readme_in_a_process_of_its_own(tmp_path):
    """As typed: nothing of this process helps."""
    a_users_folder(tmp_path)
    line = next(line for line in TO_RUN if line.document.name == "README.md" and "segment" in line.text)
    code = f"import sys; sys.path.insert(0, {str(Path(main.__file__).parents[2])!r}); from MultiverSegLib.cli.main import run; run(sys.argv[1:])"
    ran = subprocess.run([sys.executable, "-c", code, *shlex.split(line.text)[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    out = next(word for word in shlex.split(line.text) if word.endswith(".seg.nrrd"))
    assert (tmp_path / out).is_file() and (tmp_path / "liver-context" / "context.json").is_file()
