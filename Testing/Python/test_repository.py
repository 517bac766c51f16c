"""What a stranger's clone must not contain, and what it must."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".cff", ".cmake", ".ui", ".html", ".sh", ".cfg", ".s4ext", ".csv", ""}
LEFT_OUT = {".git", ".venv", "__pycache__", "build", "demo-output", "runs", ".pytest_cache", ".ruff_cache", ".hypothesis"}
# Written in pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + r"work/\w",
            "/" + r"root/",
            r"/home/(?!you\b|user\b)\w+",
            r"[A-Z]:\\+" + r"Users\\+\w",
            "/opt/" + r"(pypi|wheels)",
        ]
    )
)
INDEX_OPTIONS = re.compile(r"(--(extra-)?index" + r"-url|--find" + r"-links)[ =]\S*(://|/)|pypi" + r"\.org|files\.python" + r"hosted")


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode == 0 and listing.stdout:
        files = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:  # an unpacked archive
        files = [p for p in ROOT.rglob("*") if not LEFT_OUT.intersection(p.relative_to(ROOT).parts)]
    return [p for p in files if p.is_file()]


def text_lines():
    for path in tracked_files():
        if path.suffix in TEXT and path.stat().st_size < 1_000_000:
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            yield from ((path.relative_to(ROOT), number, line) for number, line in enumerate(text.splitlines(), 1))


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, INDEX_OPTIONS], ids=["paths of a machine", "package indexes"])
def test_no_file_names_a_machine(pattern):
    found = [f"{path}:{number}: {line.strip()[:120]}" for path, number, line in text_lines() if pattern.search(line)]
    assert not found, "\n".join(found)


def test_the_patterns_find_what_they_should():
    assert (
        MACHINE_PATHS.search("see /" + "work/data")
        and MACHINE_PATHS.search("C:\\" + "Users\\me")
        and MACHINE_PATHS.search("/home/" + "jane/x")
    )
    assert not MACHINE_PATHS.search("artwork/thing, /home/you/data and work/x")
    assert INDEX_OPTIONS.search("--extra-index" + "-url https://x")


def test_what_a_stranger_looks_for_is_there():
    for name in (
        "README.md",
        "LICENSE.txt",
        "CITATION.cff",
        "CHANGELOG.md",
        "Makefile",
        "constraints.txt",
        ".ci/run",
        "Resources/SampleCohort/README.md",
        "Resources/SampleHeart/README.md",
    ):
        assert (ROOT / name).is_file(), name


def test_the_repository_stays_small():
    """The extensions index refuses clones over 100 MB; the sample cohorts and the bundled model have limits of their own."""
    sizes = {path: path.stat().st_size for path in tracked_files()}
    assert sum(sizes.values()) < 40e6
    samples = {ROOT / "Resources" / name for name in ("SampleCohort", "SampleHeart")}
    assert sum(size for path, size in sizes.items() if samples & set(path.parents)) < 6e6


def test_every_pinned_package_is_pinned_once_per_python():
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    pins = [re.fullmatch(r"([a-z0-9-]+)==([\w.]+)(?: ; (python_version [<>]=? '3\.\d+'))?", line) for line in lines if line]
    assert all(pins), [line for line, pin in zip([ln for ln in lines if ln], pins, strict=True) if not pin]
    keys = [(pin[1], pin[3]) for pin in pins]
    assert len(keys) == len(set(keys))
    without_marker = {name for name, marker in keys if marker is None}
    assert not without_marker & {name for name, marker in keys if marker}


def test_links_in_the_documents_lead_somewhere():
    link = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")
    broken = []
    for path in tracked_files():
        if path.suffix == ".md":
            for target, _ in link.findall(path.read_text(encoding="utf-8")):
                if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
                    broken.append(f"{path.relative_to(ROOT)} -> {target}")
    assert not broken, "\n".join(broken)


def test_the_readme_names_every_command():
    from MultiverSegLib.cli.main import COMMANDS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [name for name in COMMANDS if not re.search(rf"multiverseg [^|]*`{name}`|multiverseg {name}|, `{name}`", readme)]
