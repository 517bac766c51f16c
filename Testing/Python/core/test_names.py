"""Structures' names as folders: short, readable, different on every system, and found again."""

import json
import unicodedata

import pytest
from MultiverSegLib.core.names import LONGEST, safe_name, structure_folder, structure_of

ODD = [
    "Левый гиппокамп с прилегающей корой (ручная разметка)",
    "左側海馬体および海馬傍回（手動で修正した領域、第二読影者による）",
    "a" * 300,
    "CON",
    "nul.txt",
    "liver ",
    ".hidden",
    "ends.",
    "a/b",
    "..",
    "a\\b:c*?",
    "50 % (left)",
    "Le\u0301vre",
]


@pytest.mark.parametrize("name", ["liver", "Liver", "left kidney (L)", "Größe", "肝臓", "L1.5", "печень"])
def test_an_ordinary_name_is_its_own_folder(tmp_path, name):
    assert structure_folder(tmp_path, name) == tmp_path / name
    assert structure_of(tmp_path / name) == name


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_any_name_becomes_one_folder_of_any_system(tmp_path, name):
    folder = structure_folder(tmp_path, name)
    assert folder.parent == tmp_path and len(folder.name.encode()) <= LONGEST + 9
    assert folder.name.rstrip(" .") == folder.name and not folder.name.startswith(".") and "/" not in folder.name
    folder.mkdir()
    assert structure_folder(tmp_path, name) == folder
    (folder / "context.json").write_text(json.dumps({"examples": [{"structure": ""}, {"structure": name}]}))
    assert structure_of(folder) in (name, unicodedata.normalize("NFC", name))


def test_case_alone_does_not_make_two_names_one_folder(tmp_path):
    structure_folder(tmp_path, "Liver").mkdir()
    other = structure_folder(tmp_path, "liver")
    assert other.name.lower() != "liver"
    other.mkdir()
    assert structure_folder(tmp_path, "liver") == other and structure_folder(tmp_path, "Liver") == tmp_path / "Liver"
    assert structure_folder(tmp_path, "LIVER", taken=["liver"]).name.lower() not in ("liver", other.name)


def test_a_folder_of_the_first_version_is_found(tmp_path):
    (tmp_path / "%D0%BF%D0%BE%D1%87%D0%BA%D0%B0").mkdir()
    folder = structure_folder(tmp_path, "почка")
    assert folder.name.startswith("%D0") and structure_of(folder) == "почка"


def test_names_that_look_alike_once_they_are_cut_stay_two():
    assert safe_name("a" * 200, r"\w") != safe_name("a" * 201, r"\w")
    assert safe_name("x?", r"\w") != safe_name("x*", r"\w")
