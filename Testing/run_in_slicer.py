"""Runs the self-tests inside Slicer and ends it with their result:

Slicer --testing --no-splash --additional-module-paths FOLDER --python-script Testing/run_in_slicer.py
"""

import sys
import traceback
import unittest
from pathlib import Path

import slicer

# Slicer puts a script's folder first, where packaging.py would hide the library of that name.
sys.path[:] = [p for p in sys.path if Path(p).resolve() != Path(__file__).resolve().parent]


def main() -> int:
    """0 if every self-test passed and at least one ran."""
    try:
        from MultiverSegLib.ui import selftest

        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(selftest.suite())
    except Exception:
        traceback.print_exc()
        return 1
    ran = result.testsRun - len(result.skipped)
    print(f"{ran} self-tests ran, {len(result.skipped)} were skipped: {[reason for _, reason in result.skipped]}")
    return 0 if result.wasSuccessful() and ran else 1


slicer.util.exit(main())
