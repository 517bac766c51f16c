"""Codes of names, from a small list in Slicer's format (the lists that Slicer brings are in the application only)."""

import json

import pytest
from MultiverSegLib.mrml import terminologies
from MultiverSegLib.mrml.terminologies import codes_of, entry_of


def coded(value, meaning, **further):
    return {"CodingSchemeDesignator": "SCT", "CodeValue": value, "CodeMeaning": meaning, **further}


@pytest.fixture
def listed(host, tmp_path, monkeypatch):
    """Slicer's terminologies with one small list in them."""
    import slicer

    sides = [coded("24028007", "Right"), coded("7771000", "Left")]
    kinds = [
        coded("64033007", "Kidney", Modifier=sides),
        coded("87878005", "Left Ventricle", **{"3dSlicerLabel": "left ventricle of heart"}),
    ]
    kinds += [coded("10200004", "Liver")]
    category = coded("123037004", "Anatomical Structure", showAnatomy=False, Type=kinds)
    path = tmp_path / "small.term.json"
    path.write_text(
        json.dumps(
            {
                "SegmentationCategoryTypeContextName": "Small list",
                "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/segment-context-schema.json#",
                "SegmentationCodes": {"Category": [category]},
            }
        )
    )
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    assert logic.LoadTerminologyFromFile(str(path)) == "Small list"
    monkeypatch.setattr(terminologies, "_logic", lambda: logic)


@pytest.mark.parametrize(
    "name, kind, modifier",
    [
        ("liver", "10200004", ""),
        ("  LIVER ", "10200004", ""),
        ("left_kidney", "64033007", "7771000"),
        ("Right kidney", "64033007", "24028007"),
        ("kidney", "64033007", ""),
        ("left ventricle", "87878005", ""),
        ("left ventricle of heart", "87878005", ""),
    ],
)
def test_a_name_that_a_list_knows_has_a_code(listed, name, kind, modifier):
    entry = entry_of(name)
    assert codes_of(entry)[0] == ("123037004", "SCT", "Anatomical Structure") and codes_of(entry)[1][0] == kind
    assert (entry.split("~")[3].split("^")[1]) == modifier


@pytest.mark.parametrize("name", ["", "left", "left liver", "liver lesion", "livers", "Ventricle", "Struktur 1", "肝"])
def test_nothing_is_guessed(listed, name):
    assert entry_of(name) == ""


def test_without_lists_there_is_no_code(host):
    assert entry_of("liver") == ""
