"""Outlines of networks: the shapes of the real ones, and no compiler loaded for them."""

import subprocess
import sys
from pathlib import Path

import MultiverSegLib
import pytest
import torch
from MultiverSegLib.core.families import build_network, presets
from MultiverSegLib.core.networks import outline

PREDICT = """
import sys
import numpy as np
from MultiverSegLib.core.families import build_network, presets
from MultiverSegLib.core.networks import outline
from MultiverSegLib.core.predicting import Request
from MultiverSegLib.core.predictors import open_predictor

def loaded():
    return sorted({name for name in ("torch._dynamo", "triton") if name in sys.modules})

predictor = open_predictor("compact", "cpu")
assert predictor.predict(Request(np.zeros((128, 128), np.float32))).probability.shape == (128, 128)
print("a prediction:", loaded())
with outline():
    for name in presets():
        build_network(name)
print("outlines:", loaded())
"""


@pytest.mark.parametrize("preset", ["scribbleprompt", "compact3d", "verse-small"])
def test_an_outline_has_the_networks_shapes_and_no_values(preset):
    with outline():
        drawn = build_network(preset)
    assert all(value.device.type == "meta" for value in drawn.state_dict().values())
    real = build_network(preset).state_dict()
    assert {k: v.shape for k, v in drawn.state_dict().items()} == {k: v.shape for k, v in real.items()}
    assert sum(float(v.float().abs().sum()) for v in real.values()) > 0, "outside of it weights are drawn as ever"


def test_every_preset_has_an_outline():
    with outline():
        counts = {name: sum(p.numel() for p in build_network(name).parameters()) for name in presets()}
    assert all(count > 100_000 for count in counts.values()), counts


def test_torch_compiler_is_not_loaded_for_a_prediction():
    """It takes two seconds; and the LLVM in a CUDA build's Triton takes the process down where Mesa's software renderer has drawn before."""
    library = str(Path(MultiverSegLib.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {library!r})\n{PREDICT}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout == "a prediction: []\noutlines: []\n"
    assert torch.get_default_device().type == "cpu"
