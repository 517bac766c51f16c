"""A reader finds the code of each word of the project: the table in Docs/developers.md names a file and what it defines."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "MultiverSegSlicer" / "MultiverSegLib"
WORDS = (
    *("cohort", "case", "structure", "prompt", "slice plane", "volume grid", "context", "example", "max slice"),
    *("capabilities", "known structure", "prediction", "proposal", "accept", "propagate"),
)


def table() -> list[tuple[str, str, str]]:
    text = (ROOT / "Docs/developers.md").read_text(encoding="utf-8").partition("### Where a word lives")[2].partition("\n## ")[0]
    return re.findall(r"^\| ([^|`]+) \| `([^`]+)` \| `([^`]+)` \|$", text, re.MULTILINE)


def test_every_word_is_in_the_table():
    words = [word for word, _, _ in table()]
    assert not [word for word in WORDS if not any(entry.startswith(word) for entry in words)]


def test_every_file_of_the_table_defines_its_name():
    missing = []
    for word, file, name in table():
        path = LIB / file
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
        if name not in {getattr(node, "name", "") for node in tree.body}:
            missing.append(f"{word}: {file} does not define {name}")
    assert not missing, "\n".join(missing)
