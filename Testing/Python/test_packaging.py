"""What the extensions index, its bot and its reviewers check, checked here first."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "MultiverSegSlicer" / "MultiverSegLib"
CATALOGUE = "MultiverSeg"

_spec = importlib.util.spec_from_file_location("packaging_lists", ROOT / "Testing" / "packaging.py")
packaging_lists = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(packaging_lists)

#: The rules of Slicer's Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json (draft 07), written down.
SCHEMA = {
    "type": "object",
    "required": ["$schema", "category", "scm_url"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "category": {"type": "string"},
        "scm_url": {"type": "string"},
        "scm_revision": {"type": "string"},
        "scm_type": {"type": "string", "enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": {"type": "string"}},
        "dicom_support_rule": {"type": "string"},
        "build_subdirectory": {"type": "string"},
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}
SCHEMA_ID = "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json"
#: From ACCEPTED_EXTENSION_CATEGORIES of the index's check_description_files.py: those that an extension like this may have.
CATEGORIES = {"Active Learning", "Segmentation"}
#: What a shipped file may import when it is loaded (the index's reviewers ask for this).
FILE_SCOPE = {"slicer", "vtk", "qt", "ctk", "numpy", "SimpleITK", "scipy", "SegmentEditorEffects", "MultiverSegLib"} | set(
    sys.stdlib_module_names
)
#: The networks are torch code. Nothing that Slicer loads at start-up or when the panel opens imports these at file scope.
TORCH_FILES = {"core/networks"}


@pytest.fixture(scope="module")
def entry() -> dict:
    return json.loads((ROOT / f"{CATALOGUE}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cmake() -> str:
    return (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


def variable(cmake: str, name: str) -> str:
    match = re.search(rf'set\({name}\s+"([^"]*)"\)', cmake)
    assert match, f"CMakeLists.txt sets no {name}"
    return match.group(1)


def shipped_files() -> list[Path]:
    return [ROOT / "MultiverSegSlicer" / name for name in packaging_lists.scripts()]


def file_scope_imports(path: Path) -> list[str]:
    """Full names of what a file imports when it is loaded; relative imports are given below MultiverSegLib."""
    names = []
    nodes = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.relative_to(ROOT / "MultiverSegSlicer").with_suffix("").parts[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            names += [base] + [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, (ast.If, ast.Try, ast.With)) and "TYPE_CHECKING" not in ast.dump(getattr(node, "test", node)):
            nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return names


def is_torch_file(name: str) -> bool:
    return any(name == part or name.startswith(part + "/") for part in TORCH_FILES)


def test_cmake_lists_every_file_of_the_tree_and_no_other():
    assert packaging_lists.differences() == [], "run: python Testing/packaging.py --write"


def test_a_forgotten_file_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        packaging_lists, "scripts", lambda: [*packaging_lists.listed("MODULE_PYTHON_SCRIPTS"), "MultiverSegLib/ui/forgotten.py"]
    )
    assert packaging_lists.differences() == ["MODULE_PYTHON_SCRIPTS lacks MultiverSegLib/ui/forgotten.py"]


def test_what_only_the_command_line_needs_is_not_installed():
    names = [*packaging_lists.listed("MODULE_PYTHON_SCRIPTS"), *packaging_lists.listed("EXTENSION_RESOURCES")]
    assert len(names) > 100
    rooms = ("training/", "evaluation/", "cli/", "demo/", "benchmarks/", "mrml/headless")
    kept = (*(f"MultiverSegLib/{room}" for room in rooms), "Resources/Training", "Resources/Bundle")
    assert [name for name in names if name.startswith(kept)] == []


def test_loading_the_package_changes_no_environment(tmp_path):
    """All modules that need no application are loaded from the installed tree; neither they nor what they load set anything for all of Slicer."""
    installed = packaging_lists.install(tmp_path / "qt-scripted-modules")
    names = packaging_lists.listed("MODULE_PYTHON_SCRIPTS")
    rooms = ("MultiverSegLib/core/", "MultiverSegLib/cohort/store/")
    modules = [n[:-3].replace("/", ".").removesuffix(".__init__") for n in names if n.startswith(rooms) and "/networks/" not in n]
    code = f"""
import gc, importlib, os
before = dict(os.environ), gc.isenabled()
for name in {modules!r}:
    importlib.import_module(name)
assert (dict(os.environ), gc.isenabled()) == before
"""
    assert len(modules) > 50
    subprocess.run([sys.executable, "-c", code], cwd=installed, check=True)


def test_installed_tree_finds_its_resources(tmp_path):
    installed = packaging_lists.install(tmp_path / "qt-scripted-modules")
    code = (
        "from MultiverSegLib.core.resources import resource_path as r; import MultiverSegLib;"
        f"assert str(r('UI', 'MultiverSegSlicer.ui')).startswith({str(installed)!r});"
        f"assert MultiverSegLib.__file__.startswith({str(installed)!r})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=installed, check=True)


def test_catalogue_entry_follows_the_schema(entry):
    import jsonschema

    jsonschema.Draft7Validator(SCHEMA).validate(entry)
    assert entry["$schema"].split("#")[0] == SCHEMA_ID


def test_catalogue_entry_has_line_feeds_only():
    assert b"\r" not in (ROOT / f"{CATALOGUE}.json").read_bytes()


def test_names_follow_the_rules_of_the_index(entry, cmake):
    assert not CATALOGUE.startswith("Slicer")
    assert re.findall(r"project\s*\(\s*([^\s\)]+)", cmake, re.IGNORECASE)[0] == CATALOGUE
    assert urlsplit(entry["scm_url"]).scheme in ("https", "git")
    repository = Path(urlsplit(entry["scm_url"]).path).stem
    assert repository.startswith(("Slicer", "Slicer-", "Slicer_", "SlicerExtension-"))
    assert entry["category"] in CATEGORIES


def test_names_differ_from_the_other_extension():
    """An effect or module whose name is taken is dropped without a word by Slicer's factories."""
    from_options = re.search(r'EFFECT_NAME = "([^"]+)"', (LIBRARY / "ui" / "shared" / "options.py").read_text(encoding="utf-8")).group(1)
    assert from_options == "MultiverSegPrompt" != "MultiverSeg"
    assert (ROOT / "MultiverSegSlicer" / "MultiverSegSlicer.py").is_file()
    assert not (ROOT / "MultiverSegSlicer" / "multiverseg").exists(), "a Python package named multiverseg exists already"


def test_metadata_is_complete_and_agrees(entry, cmake):
    assert variable(cmake, "EXTENSION_DEPENDS").split() == entry["build_dependencies"] == ["PyTorch"]
    for name in ("EXTENSION_HOMEPAGE", "EXTENSION_CONTRIBUTORS", "EXTENSION_DESCRIPTION"):
        assert len(variable(cmake, name)) > 10
    s4ext = dict(line.split(" ", 1) for line in (ROOT / f"{CATALOGUE}.s4ext").read_text(encoding="utf-8").splitlines() if " " in line)
    assert s4ext["scmurl"] == entry["scm_url"] and s4ext["category"] == entry["category"]
    assert s4ext["iconurl"] == variable(cmake, "EXTENSION_ICONURL")
    assert s4ext["screenshoturls"] == variable(cmake, "EXTENSION_SCREENSHOTURLS")


def test_icon_url_points_at_a_file_of_this_repository(cmake):
    url = variable(cmake, "EXTENSION_ICONURL")
    assert url.startswith("https://raw.githubusercontent.com/")
    assert (ROOT / url.split("/main/", 1)[1]).is_file()


def test_screenshots_are_files_of_this_repository_and_small(cmake):
    for url in variable(cmake, "EXTENSION_SCREENSHOTURLS").split():
        data = (ROOT / url.split("/main/", 1)[1]).read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) < 500_000


def test_pictures_of_the_documentation_exist_and_are_small():
    for page in (ROOT / "Docs").glob("*.md"):
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).is_file(), f"{page.name} shows {target}"
    for picture in (ROOT / "Docs" / "pictures").glob("*.png"):
        assert picture.stat().st_size < 500_000, picture.name
    for film in (ROOT / "Docs" / "pictures").glob("*.gif"):
        assert film.stat().st_size < 3_000_000, film.name


def test_pictures_are_of_the_model_that_is_shipped():
    pictures = ROOT / "Docs" / "pictures"
    sources = json.loads((pictures / "sources.json").read_text(encoding="utf-8"))
    models = json.loads((ROOT / "Resources" / "Models" / "models.json").read_text(encoding="utf-8"))
    shipped = {model["name"]: model["sha256"] for model in models["models"]}
    made_otherwise = {"reliability.png"}  # by a benchmark, whose table stands beside it
    assert set(sources) == {path.name for path in pictures.iterdir() if path.suffix in (".png", ".gif")} - made_otherwise
    old = [name for name, source in sources.items() if shipped[source["model"]] != source["sha256"]]
    assert old == [], "taken with other weights: python Testing/make_screenshots.py"


def test_pages_say_where_their_pictures_were_taken():
    """On the test host, or in which Slicer."""
    sources = json.loads((ROOT / "Docs" / "pictures" / "sources.json").read_text(encoding="utf-8"))
    for page in (ROOT / "README.md", *(ROOT / "Docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for name in (Path(target).name for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)):
            place = sources.get(name, {}).get("taken in", "")
            if place == "test host":
                assert "on the test host" in text, f"{page.name}: {name}"
            elif place.startswith("Slicer "):
                assert f"aken in {place.rpartition('.')[0]}, built from source" in text.replace("were taken", "Taken"), (
                    f"{page.name}: {name}"
                )


@pytest.mark.parametrize("name", ["MultiverSegSlicer", "MultiverSegSlicer-dark", "MultiverSegPrompt", "MultiverSegPrompt-dark"])
def test_icons_are_128_pixels_wide_and_high(name):
    data = (ROOT / "Resources" / "Icons" / f"{name}.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (128, 128)
    assert len(data) < 100_000


def test_a_licence_lies_in_the_root():
    assert any((ROOT / name).is_file() for name in ("LICENSE", "LICENSE.txt", "License.txt", "COPYING"))


def test_tracked_files_stay_far_below_the_limit_of_the_index():
    """The index refuses repositories of more than 100 MB, history included."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    assert sum((ROOT / n).stat().st_size for n in names if n and (ROOT / n).is_file()) < 60_000_000


@pytest.mark.parametrize("path", shipped_files(), ids=lambda p: str(p.relative_to(ROOT / "MultiverSegSlicer")))
def test_imports_at_file_scope(path):
    inside = str(path.relative_to(ROOT / "MultiverSegSlicer")).removeprefix("MultiverSegLib/")
    allowed = FILE_SCOPE | ({"torch"} if is_torch_file(inside) else set())
    imported = file_scope_imports(path)
    assert {name.split(".")[0] for name in imported} - {""} <= allowed
    if not is_torch_file(inside):
        ours = {name.removeprefix("MultiverSegLib.").replace(".", "/") for name in imported if name.startswith("MultiverSegLib.")}
        assert not {name for name in ours if is_torch_file(name) or is_torch_file(name + ".py")}, "would import torch at start-up"


def test_the_module_file_is_thin():
    assert len((ROOT / "MultiverSegSlicer" / "MultiverSegSlicer.py").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("name", ["SampleCohort", "SampleHeart"])
def test_sample_data_match_their_checksums(name):
    import hashlib

    folder = ROOT / "Resources" / name
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert {name.strip() for _, name in (line.split(None, 1) for line in lines)} == {
        str(p.relative_to(folder).as_posix()) for p in folder.rglob("*.nii.gz")
    }
    for digest, name in (line.split(None, 1) for line in lines):
        assert hashlib.sha256((folder / name.strip()).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["SampleHippocampus", "SampleCohort", "SampleHeart", "SampleHearts"])
def test_thumbnails_have_the_size_of_the_sample_data_module(name):
    data = (ROOT / "Resources" / "Icons" / f"{name}.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == (260, 280)
