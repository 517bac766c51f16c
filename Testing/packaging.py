"""The list of files that the extension installs: compare it with the tree, rewrite it, or make an installed tree from it.

python Testing/packaging.py --check          say what is missing or superfluous
python Testing/packaging.py --write          rewrite the lists in MultiverSegSlicer/CMakeLists.txt
python Testing/packaging.py --install DIR    what `cmake --install` would put into the modules' folder
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CMAKE = ROOT / "MultiverSegSlicer" / "CMakeLists.txt"
#: Parts of the package that the application does not use are not installed.
SHIPPED = ("core", "mrml", "engine", "cohort", "ui")
#: Weights live beside their description; nothing else in Resources may be left out.
IGNORED = {"__pycache__", ".DS_Store"}
#: What only the command line needs: the headless host and the engines that start it, training recipes, the MONAI bundle.
NOT_SHIPPED = (
    "MultiverSegLib/mrml/headless.py",
    "MultiverSegLib/mrml/headless_files.py",
    "MultiverSegLib/cohort/batch/engines.py",
    "Resources/Training/",
    "Resources/Bundle/",
)


def listed(variable: str) -> list[str]:
    """The entries of one ``set(variable ...)`` in the module's CMake file."""
    match = re.search(rf"set\({variable}\s+([^)]*)\)", CMAKE.read_text(encoding="utf-8"))
    if match is None:
        raise SystemExit(f"{CMAKE} has no set({variable} ...).")
    return [line.split("#")[0].strip() for line in match.group(1).splitlines() if line.split("#")[0].strip()]


def scripts() -> list[str]:
    """Python files of the tree that the application needs, relative to MultiverSegSlicer/."""
    base = ROOT / "MultiverSegSlicer"
    library = base / "MultiverSegLib"
    found = [base / "MultiverSegSlicer.py", library / "__init__.py"]
    for part in SHIPPED:
        found += (library / part).rglob("*.py")
    names = (str(p.relative_to(base).as_posix()) for p in found if not IGNORED & set(p.parts))
    return sorted(name for name in names if not name.startswith(NOT_SHIPPED))


def resources() -> list[str]:
    """Resource files of the tree, relative to its top."""
    found = (p for p in (ROOT / "Resources").rglob("*") if p.is_file() and not IGNORED & set(p.parts))
    names = (str(p.relative_to(ROOT).as_posix()) for p in found)
    return sorted(name for name in names if not name.startswith(NOT_SHIPPED))


def differences() -> list[str]:
    """One line per file that the list lacks or that the tree lacks."""
    lines = []
    for variable, tree in (("MODULE_PYTHON_SCRIPTS", scripts()), ("EXTENSION_RESOURCES", resources())):
        there = listed(variable)
        lines += [f"{variable} lacks {name}" for name in tree if name not in there]
        lines += [f"{variable} names {name}, which does not exist" for name in there if name not in tree]
        lines += [f"{variable} names {name} twice" for name in sorted({n for n in there if there.count(n) > 1})]
    return lines


def write() -> None:
    """Rewrite both lists from the tree."""
    text = CMAKE.read_text(encoding="utf-8")
    for variable, tree in (("MODULE_PYTHON_SCRIPTS", scripts()), ("EXTENSION_RESOURCES", resources())):
        block = f"set({variable}\n" + "".join(f"  {name}\n" for name in tree) + "  )"
        text = re.sub(rf"set\({variable}\s+[^)]*\)", lambda _match, block=block: block, text)
    CMAKE.write_text(text, encoding="utf-8")


def install(folder: Path) -> Path:
    """Copy what is listed, laid out as in an installed extension (scripts and Resources/ side by side); returns the folder."""
    for name in listed("MODULE_PYTHON_SCRIPTS"):
        _copy(ROOT / "MultiverSegSlicer" / name, folder / name)
    for name in listed("EXTENSION_RESOURCES"):
        _copy(ROOT / name, folder / name)
    return folder


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--install", type=Path)
    arguments = parser.parse_args()
    if arguments.write:
        write()
    if arguments.install:
        print(install(arguments.install))
    problems = differences() if arguments.check or arguments.write else []
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
