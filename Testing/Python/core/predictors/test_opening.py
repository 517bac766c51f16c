"""One door: predictors are made by ``open_predictor`` alone, and what they can do is known before torch is."""

import subprocess
import sys
from pathlib import Path

import MultiverSegLib
import numpy as np
import pytest
from MultiverSegLib.core.errors import CheckpointError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.models.checkpoints import save_checkpoint
from MultiverSegLib.core.models.registry import Registry
from MultiverSegLib.core.networks import MultiverSegNet, ScribblePromptUNet
from MultiverSegLib.core.predictors import capabilities_of, open_predictor

LIBRARY = Path(MultiverSegLib.__file__).parent

NETWORKS = {
    "masks": lambda: MultiverSegNet(5, 2, (4, 6)),
    "alone": lambda: ScribblePromptUNet(5, (4, 4)),
    "universeg": lambda: MultiverSegNet(1, 2, (4, 6), norm=None),
    "solid": lambda: build_network({"family": "neuroverse3d", "widths": [4, 6], "context_channels": 5, "size": 32}),
    "heart": lambda: build_network({**VERSE, "structures": ["left atrium", "myocardium"]}),
}
VERSE = {
    "family": "verse",
    "size": 64,
    "encoder_widths": [8, 8, 16, 16],
    "width": 32,
    "hidden": 16,
    "pixel_hidden": 8,
    "head_width": 8,
    "clicks": "learned",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_listed_model_says_before_it_is_read_what_it_says_afterwards(tmp_path, name):
    shelf = Registry(tmp_path / "shelf")
    added = shelf.add_file(save_checkpoint(tmp_path / f"{name}.pt", NETWORKS[name](), half=False))
    before, after = capabilities_of(added, shelf), open_predictor(added, "cpu", registry=shelf).capabilities
    plain = {key: value for key, value in after.to_json().items() if key != "cost"}
    assert {key: value for key, value in before.to_json().items() if key != "cost"} == plain
    assert before.weights and np.prod(before.shape) == before.size**before.dims


def test_listed_models_are_described_without_torch():
    code = (
        "import sys; from MultiverSegLib.core.predictors import capabilities_of as of; from MultiverSegLib.core.models.registry import Registry;"
        "print(*(of(m.name).size for m in Registry().list())); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=LIBRARY.parent)
    assert done.returncode == 0, done.stderr
    assert "256" in done.stdout.split() and "128" in done.stdout.split()


def test_an_unknown_model_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="neither a model"):
        capabilities_of(tmp_path / "none.pt", Registry(tmp_path))
