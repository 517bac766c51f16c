"""Runs the UI tests of Testing/Python/ui inside Slicer, on the real application, and ends it with their result:

Slicer --testing --no-splash --additional-module-paths MultiverSegSlicer --python-script Testing/run_ui_tests_in_slicer.py

What follows the script goes to pytest: test files (below Testing/Python/ui), ``-k``, ``-x`` ... With ``--results FILE`` the
output is written there too (default: ui-tests-in-slicer.txt in the temporary folder). See Testing/InSlicer/README.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from pathlib import Path

TESTING = Path(__file__).resolve().parent
UI_TESTS = TESTING / "Python" / "ui"
_HEADLESS = "runs on MRML without an application, and would take the application's scene away"


class InSlicer:
    """pytest plugin: the fixtures get the application in place of the test host; tests that cannot run there are skipped with the reason."""

    def pytest_configure(self, config):
        import Host
        import InSlicer

        Host.start_host, Host.missing_requirements = InSlicer.start_host, InSlicer.missing_requirements

    def pytest_collection_modifyitems(self, items):
        import pytest
        from InSlicer.differences import reason

        for item in items:
            if why := reason(item.nodeid) or (_HEADLESS if "host" in item.fixturenames else ""):
                item.add_marker(pytest.mark.skip(reason=why))


def main() -> int:
    """pytest's exit code; 1 when it could not start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "ui-tests-in-slicer.txt")
    known, for_pytest = parser.parse_known_args(sys.argv[1:])
    # Slicer puts a script's folder first, where Testing/packaging.py would hide the library of that name.
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != TESTING] + [str(TESTING)]
    from InSlicer.output import printed_to

    with printed_to(known.results):
        try:
            return _run(for_pytest)
        except Exception:
            traceback.print_exc()
            return 1


def _run(for_pytest: list[str]) -> int:
    try:
        import pytest
    except ImportError:
        print("pytest is missing in Slicer's Python: slicer.util.pip_install('pytest')")
        return 1
    named = [a for a in for_pytest if not a.startswith("-") and _test_path(a.partition("::")[0]).exists()]
    paths = [str(_test_path(a)) for a in named] or [str(UI_TESTS)]
    options = [a for a in for_pytest if a not in named]
    # Slicer replaces the standard streams, so pytest must not capture; its cache would be written into the source tree.
    arguments = ["--rootdir", str(TESTING.parent), "--capture=no", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-v", "-rsfE"]
    return int(pytest.main([*arguments, *options, *paths], plugins=[InSlicer()]))


def _test_path(argument: str) -> Path:
    """A test file or folder as given, or by its place below Testing/Python/ui; ``::test`` may follow."""
    file, _, test = argument.partition("::")
    path = Path(file) if Path(file).exists() else UI_TESTS / file
    return Path(f"{path.resolve()}::{test}" if test else path.resolve())


if __name__ == "__main__":
    import slicer

    slicer.util.exit(main())
