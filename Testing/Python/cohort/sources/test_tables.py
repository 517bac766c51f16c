"""Tables of cases as spreadsheets write them."""

import pytest
from MultiverSegLib.cohort.sources.tables import cases_from_csv
from MultiverSegLib.core.errors import CohortError
from MultiverSegLib.core.notices import noticed


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_table_keeps_further_columns(tmp_path):
    touch(tmp_path, "v/ä.nrrd", "v/b.nrrd", "b.seg.nrrd")
    table = "case;Volume;label;age\nFrau Ä;v/ä.nrrd;;71\n;v/b.nrrd;b.seg.nrrd;\n"
    (tmp_path / "t.csv").write_text(table, encoding="utf-8-sig")
    cases = cases_from_csv(tmp_path / "t.csv", tmp_path / "cohort", ["Liver"])
    assert [(c.id, c.name, c.volume.path, dict(c.columns)) for c in cases] == [
        ("Frau_Ä", "Frau Ä", "../v/ä.nrrd", {"case": "Frau Ä", "age": "71"}),
        ("b", "b", "../v/b.nrrd", {"case": "", "age": ""}),
    ]
    assert [entry.path for entry in cases[1].labels] == ["../b.seg.nrrd"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "column 'volume'"),
        ("volume\n", "at least one row"),
        ("a,b\n1,2\n", "column 'volume'"),
        ("volume\nmissing.nrrd\n", "line 2.*missing"),
    ],
)
def test_bad_tables(tmp_path, table, message):
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(CohortError, match=message):
        cases_from_csv(tmp_path / "t.csv", tmp_path, ["x"])


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\r\nvolume;age\r\na.nrrd;71\r\n",
        b'"volume";"age, in years, as told"\na.nrrd;71\n',
        b"volume;age;\na.nrrd;71;\n;;\n",
        "volume\tage\nv\u00e4/a.nrrd\t71\n".encode("utf-16"),
        "volume\tage\nv\u00e4/a.nrrd\t71\n".encode("utf-16-le"),
        "volume;age\nv\u00e4/a.nrrd;71\n".encode("cp1252"),
        "volume;age\nv\u00e4\\a.nrrd;71\n".encode("utf-8-sig"),
        "volume,age,note\na.nrrd,71,one\u2028note\n".encode(),
        b'volume,age,note\r\na.nrrd,71,"two\r\nlines"\r\n',
    ],
)
def test_tables_of_excel_and_others(tmp_path, content):
    touch(tmp_path, "a.nrrd", "v\u00e4/a.nrrd")
    (tmp_path / "t.csv").write_bytes(content)
    (case,) = cases_from_csv(tmp_path / "t.csv", tmp_path / "cohort", ["x"])
    assert case.id == "a" and "71" in case.columns.values() and None not in case.columns and "" not in case.columns
    if b"note" in content:
        assert case.columns["note"] in ("one\u2028note", "two\r\nlines")


def test_a_row_that_cannot_be_used_is_left_out_and_named(tmp_path):
    touch(tmp_path, "a.nrrd", "empty/x.txt")
    (tmp_path / "t.csv").write_text("volume,segmentation\ngone.nrrd,\na.nrrd,\na.nrrd,gone.nrrd\nempty,\n/dev/zero,\na.nrrd,,more\n")
    with noticed() as told:
        cases = cases_from_csv(tmp_path / "t.csv", tmp_path / "cohort", ["x"])
    assert [c.id for c in cases] == ["a", "a-2"] or len(cases) == 2
    for part in (
        "line 2: there is no file 'gone.nrrd'",
        "line 4",
        "line 5: the folder empty holds no DICOM",
        "line 6",
        "line 7: there are more",
    ):
        assert any(part in text for text in told), part


def test_a_field_beyond_every_measure_is_one_line(tmp_path):
    (tmp_path / "t.csv").write_text("volume,note\na.nrrd," + "x" * 200_000 + "\n")
    with pytest.raises(CohortError, match=r"line 2: this is no CSV \(field larger"):
        cases_from_csv(tmp_path / "t.csv", tmp_path / "cohort", ["x"])
