"""The list of allowed type errors only shrinks (Testing/check_types.py); mypy itself runs in `make types` and in the workflow."""

import importlib.util
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("check_types", TESTING / "check_types.py")
check_types = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_types)

OUTPUT = """MultiverSegSlicer/a.py:3: error: Name "x" is not defined  [name-defined]
MultiverSegSlicer/a.py:3: note: look here
MultiverSegSlicer\\b.py:9:1: error: Missing return statement  [return]
Found 2 errors in 2 files (checked 5 source files)
"""


def test_errors_are_counted_by_file():
    errors = check_types.errors_of(OUTPUT)
    assert {file: len(lines) for file, lines in errors.items()} == {"MultiverSegSlicer/a.py": 1, "MultiverSegSlicer/b.py": 1}


def test_the_list_shrinks_and_never_grows():
    allowed = check_types.read_allowed("# why\n2 a.py\n1 b.py\n3 gone.py\n")
    assert check_types.compare({"a.py": 1, "b.py": 1}, allowed) == ([], {"a.py": 1, "b.py": 1})
    assert check_types.compare({"a.py": 3}, allowed) == (["a.py"], {"a.py": 2})
    assert check_types.compare({"new.py": 1}, allowed) == (["new.py"], {})


def test_the_store_has_no_type_errors():
    allowed = check_types.read_allowed((TESTING / "type_errors.txt").read_text())
    assert not [file for file in allowed if "/cohort/store/" in file]
