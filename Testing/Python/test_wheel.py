"""The wheel carries all that the command needs: built, installed without its dependencies into an empty folder, and used from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "Resources" / "SampleCohort"

pytest.importorskip("slicer", reason="needs slicer-core")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE.txt"):
        shutil.copy2(ROOT / name, source / name)
    for name in ("MultiverSegSlicer", "Resources"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip(["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)])
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip(["install", "--quiet", "--no-deps", "--target", str(folder), str(wheel)])
    return folder


def pip(arguments: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def installed(site, tmp_path):
    """``installed("doctor")`` runs the installed command in an empty folder, with the environment's other packages."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "MULTIVERSEG_MODELS": str(tmp_path / "models"), "OMP_NUM_THREADS": "1"}

    def call(*arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "MultiverSegLib.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)

    call.folder = elsewhere
    return call


def test_the_wheel_holds_every_resource(wheel):
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if "__pycache__" not in name}
    tracked = subprocess.run(["git", "ls-files", "Resources"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert [name for name in tracked if f"MultiverSegLib/{name}" not in held] == []


def test_it_works_from_elsewhere(installed, site):
    checks = json.loads(installed("doctor", "--json").stdout)
    assert [c for c in checks if c["state"] == "problem"] == []
    assert f"{site}" in next(c["detail"] for c in checks if c["name"] == "resources")
    assert "compact" in installed("models", "list").stdout

    shutil.copy2(sorted((SAMPLE / "images").glob("*.nii.gz"))[0], installed.folder / "mr.nii.gz")
    ran = installed("segment", "mr.nii.gz", "--point", "18,21,18", "-o", "mr.seg.nrrd")
    assert ran.returncode == 0 and (installed.folder / "mr.seg.nrrd").is_file(), ran.stderr

    ran = installed("demo", "--cases", 2, "--orders", 1, "--out", "out")
    assert ran.returncode == 0 and (installed.folder / "out" / "report.html").is_file(), ran.stderr


def test_the_doctor_names_what_is_missing(installed, site):
    models, aside = site / "MultiverSegLib" / "Resources" / "Models", site / "aside"
    models.rename(aside)
    try:
        ran = installed("doctor")
        assert ran.returncode == 1 and "Models/models.json" in ran.stdout and "Traceback" not in ran.stderr
        assert "torch" in ran.stdout and "temporary folder" in ran.stdout  # the examination goes on
        ran = installed("models", "list")
        assert ran.returncode == 1 and "Models" in ran.stderr and "Traceback" not in ran.stderr
    finally:
        aside.rename(models)
