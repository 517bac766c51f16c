"""Checks the types with mypy, and that no file has more errors than it is allowed: python Testing/check_types.py [--check]

``Testing/type_errors.txt`` lists how many errors each file may still have; a file that is not listed may have none. Where a file has fewer
than listed, the list is written anew with the smaller number, so that it only ever shrinks. With ``--check`` nothing is written.
The exit code is 1 if any file has more errors than allowed; these are printed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "Testing" / "type_errors.txt"
_ERROR = re.compile(r"^(?P<file>[^:]+\.py):\d+(?::\d+)?: error: ")


def errors_of(output: str) -> dict[str, list[str]]:
    """mypy's error lines by file, with ``/`` between folders on every system."""
    found: dict[str, list[str]] = {}
    for line in output.splitlines():
        match = _ERROR.match(line)
        if match:
            found.setdefault(match["file"].replace("\\", "/"), []).append(line)
    return found


def read_allowed(text: str) -> dict[str, int]:
    """File to number of errors, from lines such as ``3 MultiverSegSlicer/MultiverSegLib/cli/main.py``."""
    pairs = (line.split(" ", 1) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name: int(number) for number, name in pairs}


def compare(counts: dict[str, int], allowed: dict[str, int]) -> tuple[list[str], dict[str, int]]:
    """The files with more errors than allowed, and the list as it should be: never larger than ``allowed``."""
    grown = sorted(file for file, count in counts.items() if count > allowed.get(file, 0))
    smaller = {file: min(number, counts.get(file, 0)) for file, number in allowed.items()}
    return grown, {file: number for file, number in smaller.items() if number}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        print(done.stdout + done.stderr)
        return done.returncode
    errors = errors_of(done.stdout)
    counts = Counter({file: len(lines) for file, lines in errors.items()})
    heading = [line for line in LIST.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    allowed = read_allowed(LIST.read_text(encoding="utf-8"))
    grown, shorter = compare(counts, allowed)
    for file in grown:
        print(f"{file}: {counts[file]} type errors, {allowed.get(file, 0)} allowed", *errors[file], sep="\n  ")
    print(f"{sum(counts.values())} type errors in {len(counts)} files, {sum(allowed.values())} allowed")
    if shorter != allowed and not options.check:
        LIST.write_text("\n".join(heading + [f"{n} {file}" for file, n in sorted(shorter.items())]) + "\n", encoding="utf-8")
        print(f"{LIST.relative_to(ROOT)} is shorter now: commit it.")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose packaging.py hides the library of that name from mypy
    sys.exit(main())
