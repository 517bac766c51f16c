"""``multiverseg models`` and ``multiverseg doctor`` in a cache folder of their own; nothing is contacted."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIVERSEG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def listed(command) -> dict[str, dict]:
    ran = command("models", "list", "--json")
    assert ran.code == 0, ran.err
    return {row["name"]: row for row in json.loads(ran.out)}


def test_a_file_becomes_a_model_that_segments(command, checkpoint, ball, folder, tmp_path):
    ran = command("models", "add", checkpoint, "--name", "mine")
    assert ran.code == 0 and "mine is ready" in ran.out and folder.is_dir()
    assert listed(command)["mine"]["ready"]
    assert "mine" in command("models", "list").out
    verified = command("models", "verify", "mine")
    assert verified.code == 0 and "mine is whole" in verified.out
    ran = command("segment", ball.path, "--point", ball.ras(20, 22, 6), "--model", "mine", "-o", tmp_path / "out.seg.nrrd")
    assert ran.code == 0 and "mine on CPU" in ran.out


def test_damaged_weights_are_found_and_not_used(command, checkpoint, ball, folder, tmp_path):
    command("models", "add", checkpoint, "--name", "mine")
    file = next(folder.glob("mine*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    for arguments in (["models", "verify"], ["models", "verify", "mine"]):
        ran = command(*arguments)
        assert ran.code == 1 and "mine" in ran.error_line
    assert not listed(command)["mine"]["ready"]
    ran = command("segment", ball.path, "--point", ball.ras(20, 22, 6), "--model", "mine", "-o", tmp_path / "out.seg.nrrd")
    assert ran.code == 1 and "mine" in ran.error_line and not (tmp_path / "out.seg.nrrd").exists()


def test_a_file_that_is_no_checkpoint(command, tmp_path):
    path = tmp_path / "notes.pt"
    path.write_text("these are notes")
    ran = command("models", "add", path)
    assert ran.code == 1 and str(path) in ran.error_line
    assert "notes" not in listed(command)


@pytest.mark.parametrize("what", ["fetch", "verify"])
def test_an_unknown_model(command, what):
    ran = command("models", what, "no-such-model")
    assert ran.code == 1 and "no-such-model" in ran.error_line


def test_a_model_without_an_address_is_not_fetched(command, checkpoint):
    command("models", "add", checkpoint, "--name", "mine")
    next_to_it = command("models", "fetch", "mine")
    assert next_to_it.code == 0 and "mine is ready" in next_to_it.out


def test_the_doctor_examines_everything(command, checkpoint):
    command("models", "add", checkpoint, "--name", "mine")
    ran = command("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(ran.out)}
    assert {"python", "torch", "vtk", "slicer", "gpu", "model mine", "current folder", "temporary folder", "models folder"} <= set(checks)
    assert checks["torch"]["state"] == "ok" and checks["model mine"]["state"] == "ok"
    assert "torch" in command("doctor").out


def test_the_doctor_finds_damaged_weights(command, checkpoint, folder):
    command("models", "add", checkpoint, "--name", "mine")
    next(folder.glob("mine*")).write_bytes(b"")
    ran = command("doctor", "--json")
    assert ran.code == 1
    assert {c["name"]: c["state"] for c in json.loads(ran.out)}["model mine"] == "problem"
