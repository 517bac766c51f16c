"""Runs the self-tests inside Slicer and ends it with their result:

Slicer --testing --no-splash --additional-module-paths FOLDER --python-script Testing/run_in_slicer.py [--results FILE]

What it prints is also written to a file (default: self-tests-in-slicer.txt in the temporary folder): on Windows Slicer has no console.
"""

import argparse
import sys
import tempfile
import traceback
import unittest
from pathlib import Path

import slicer

# Slicer puts a script's folder first, where packaging.py would hide the library of that name.
TESTING = Path(__file__).resolve().parent
sys.path[:] = [p for p in sys.path if Path(p).resolve() != TESTING] + [str(TESTING)]


def main() -> int:
    """0 if every self-test passed and at least one ran."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "self-tests-in-slicer.txt")
    known, _ = parser.parse_known_args(sys.argv[1:])
    from InSlicer.output import printed_to

    with printed_to(known.results):
        return _run()


def _run() -> int:
    try:
        from MultiverSegLib.ui import selftest

        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(selftest.suite())
    except Exception:
        traceback.print_exc()
        return 1
    ran = result.testsRun - len(result.skipped)
    print(f"{ran} self-tests ran, {len(result.skipped)} were skipped: {[reason for _, reason in result.skipped]}")
    return 0 if result.wasSuccessful() and ran else 1


if __name__ == "__main__":
    slicer.util.exit(main())
