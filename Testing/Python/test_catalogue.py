"""The three descriptions of the extension say the same, and what the catalogue asks for."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def catalogue():
    spec = importlib.util.spec_from_file_location("catalogue", ROOT / "Testing" / "catalogue.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_agree(catalogue):
    assert catalogue.differences() == []


def test_a_change_in_one_place_reaches_all(catalogue, monkeypatch):
    monkeypatch.setattr(catalogue, "DEPENDENCIES", ["PyTorch", "SlicerElastix"])
    assert sorted(catalogue.differences()) == ["CMakeLists.txt", "MultiverSeg.json", "MultiverSeg.s4ext"]


def test_what_the_catalogue_asks_for(catalogue):
    assert len(catalogue.DESCRIPTION) <= 120
    assert "clinical" in catalogue.DESCRIPTION
    entry = json.loads((ROOT / "MultiverSeg.json").read_text(encoding="utf-8"))
    assert entry["scm_url"].endswith(".git") and re.fullmatch(r"[A-Za-z ]+", entry["category"])
    for name in (catalogue.ICON, *catalogue.SCREENSHOTS):
        assert (ROOT / name).is_file(), name


def test_actions_are_pinned_by_hash():
    used = [
        (path.name, line.strip())
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert used
    assert not [entry for entry in used if not re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d", entry[1])]
