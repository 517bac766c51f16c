"""Where the host can't run, it says what to install, and tests that need it are skipped with that sentence."""

import subprocess
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[2]
WITHOUT = "import sys; sys.modules[{name!r}] = None; sys.path.append({testing!r}); from Host import missing_requirements as m; print(m())"


def missing_without(name: str) -> str:
    code = WITHOUT.format(name=name, testing=str(TESTING))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_without_pyside():
    assert "pip install PySide6-Essentials" in missing_without("PySide6")


def test_without_slicer_core():
    assert "pip install 'slicer-core" in missing_without("slicer")


def test_without_mesa(monkeypatch):
    from Host import requirements

    monkeypatch.setattr(requirements, "_RENDER", "print('unsupported')")
    requirements.missing_requirements.cache_clear()
    try:
        assert "libegl1" in requirements.missing_requirements()[0]
    finally:
        monkeypatch.undo()
        requirements.missing_requirements.cache_clear()


def test_a_test_that_needs_the_host_is_skipped_visibly(tmp_path):
    fixtures = f"import sys\nsys.path.append({str(TESTING)!r})\nsys.modules['PySide6'] = None\nfrom Host.fixtures import slicer_host\n"
    (tmp_path / "conftest.py").write_text(fixtures)
    (tmp_path / "test_it.py").write_text("def test_it(slicer_host):\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0
    assert "1 skipped" in done.stdout and "pip install PySide6-Essentials" in done.stdout
