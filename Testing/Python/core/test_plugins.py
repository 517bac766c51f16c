"""Lists that describe themselves, and entries that other packages add."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from MultiverSegLib.cohort.results.formats import FORMATS
from MultiverSegLib.cohort.store.order import ORDERS
from MultiverSegLib.core.errors import ContextError
from MultiverSegLib.core.families import FAMILIES
from MultiverSegLib.core.plugins import Plugin, Plugins
from MultiverSegLib.core.selection import STRATEGIES

GROUP = "multiverseg.try"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package of somebody else with the entries that a test names; gives a function that makes the list anew."""

    def install(code: str, **entries: str) -> Plugins:
        (tmp_path / "foreign_choice.py").write_text(code)
        info = tmp_path / "foreign_choice-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-choice\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "foreign_choice", raising=False)
        return Plugins("choice", GROUP, ContextError, [Plugin("ours", "Ours", "What we do.", len)])

    return install


def test_an_entry_of_another_package_is_listed_behind_ours(package):
    code = "from MultiverSegLib.core.plugins import Plugin\nLAST = Plugin('last', 'The last', 'Takes the last.', lambda items: items[-1])\n"
    found = package(code, last="foreign_choice:LAST")
    assert found.names == ("ours", "last") and found.problems == []
    assert found.get("last").run([1, 2, 3]) == 3


@pytest.mark.parametrize(
    "code, value, said",
    [
        ("raise RuntimeError('broken inside')", "foreign_choice:X", "broken inside"),
        ("X = 5", "foreign_choice:X", "is no Plugin"),
        ("X = 5", "foreign_choice:Y", "can't be loaded"),
        ("from MultiverSegLib.core.plugins import Plugin\nX = Plugin('ours', 'T', 'H.', max)", "foreign_choice:X", "the name is taken"),
    ],
)
def test_a_damaged_package_is_left_out_and_told(package, code, value, said):
    found = package(code, x=value)
    assert found.names == ("ours",) and found.get("ours").run is len
    assert len(found.problems) == 1 and said in found.problems[0]


def test_an_unknown_name_is_told_with_those_there_are(package):
    with pytest.raises(ContextError, match="Unknown choice 'theirs': use one of ours"):
        package("").get("theirs")


@pytest.mark.parametrize("plugins", [STRATEGIES, ORDERS, FORMATS, FAMILIES], ids=lambda plugins: plugins.kind)
def test_every_entry_describes_itself(plugins):
    for plugin in plugins:
        assert plugin.name and plugin.title[0].isupper() and not plugin.title.endswith(".")
        assert plugin.help.endswith(".") and len(plugin.help) < 120
    assert len({plugin.title for plugin in plugins}) == len(plugins.names)


def blocks_of_the_page() -> list[str]:
    page = Path(__file__).resolve().parents[3].joinpath("Docs", "bring-your-own.md").read_text(encoding="utf-8")
    return [block.split("```")[0] for block in page.split("```python")[1:]]


def test_the_page_says_how_and_its_example_runs(tmp_path, monkeypatch):
    """Docs/bring-your-own.md: the strategy in it is installed as it says and found by the list."""
    code = next(block for block in blocks_of_the_page() if "PLUGIN" in block)
    (tmp_path / "darkest.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    import darkest

    images = [np.full((128, 128), value, np.float32) for value in (0.5, 0.1, 0.9)]
    examples = [type("Shown", (), {"image": image})() for image in images]
    assert darkest.PLUGIN.run(images[0], examples, 2) == [examples[1], examples[0]]


def test_a_network_of_somebody_else_is_opened_like_ours(tmp_path):
    """Docs/bring-your-own.md: its network is installed as a package, saved, added to the list of models, described, opened and asked."""
    network, saving = (block for block in blocks_of_the_page() if "BrightAsAClick" in block)
    assert len(network.splitlines()) <= 40
    (tmp_path / "bright.py").write_text(network)
    info = tmp_path / "bright-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bright\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[multiverseg.families]\nbright = bright:FAMILY\n")
    check = """
import numpy as np
from MultiverSegLib.core.models.registry import Registry
from MultiverSegLib.core.predicting import Request
from MultiverSegLib.core.predictors import capabilities_of, open_predictor

shelf = Registry("shelf")
name = shelf.add_file("bright.pt")
able = capabilities_of(name, shelf)
assert (able.model, able.context, able.refines) == ("bright", "none", False), able
image, prompts = np.full((128, 128), 0.2, np.float32), np.zeros((3, 128, 128), np.float32)
image[40:60, 40:60] = 0.9
prompts[1, 50, 50] = 1
found = open_predictor(name, "cpu", registry=shelf).predict(Request(image, prompts))
assert np.array_equal(found.mask(), image > 0.5) and found.model == "bright"
"""
    (tmp_path / "run.py").write_text("from bright import BrightAsAClick\n" + saving + check)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "run.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
