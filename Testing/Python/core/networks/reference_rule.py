"""The rule by which ``reference/*.npz`` were made: parameters and inputs from names and shapes alone.

The arrays are what the published code of each network computed, unmodified, with these parameters on these inputs (torch 2.13.0, one CPU thread,
float32, evaluation mode). Nothing of that code and no trained weight is here. See ``reference/README.md``.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parent / "reference"
_EMBEDDING = re.compile(
    r"(query_feat|query_embed|level_embed|point_embeddings\.\d+|not_a_point_embed)\.weight$|relative_position_bias_table$"
)
#: Entries of a checkpoint that the rule leaves alone.
_CONSTANTS = ("relative_position_index", "num_batches_tracked")


def stream(name: str, seed: int) -> np.random.Generator:
    """The generator that belongs to a name."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + seed))


def parameter(name: str, shape: tuple[int, ...], gain: float, seed: int) -> np.ndarray:
    """The float32 values of the parameter ``name``."""
    values = stream(name, seed).standard_normal(shape, dtype=np.float32)
    if name.endswith("running_var"):
        return np.exp(np.float32(0.2) * values)
    if name.endswith(("bias", "running_mean")):
        return np.float32(0.1) * values
    if name.endswith("gaussian_matrix"):
        return values
    if _EMBEDDING.search(name):
        return np.float32(0.5) * values
    if values.ndim >= 2:
        return np.float32(gain / math.sqrt(values[0].size)) * values
    return np.float32(0.1) * values + np.float32(0.25 if values.size == 1 else 1)


def uniform(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return stream(f"input:{name}", seed).random(shape, dtype=np.float32)


def normal(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return stream(f"input:{name}", seed).standard_normal(shape, dtype=np.float32)


def image(name: str, shape: tuple[int, ...], seed: int, dims: int = 2) -> np.ndarray:
    """Half blocks of 8 pixels, half noise, in 0..1."""
    lead, size = shape[:-dims], shape[-dims:]
    coarse = uniform(f"{name}.coarse", (*lead, *(-(-n // 8) for n in size)), seed)
    for axis in range(len(lead), len(shape)):
        coarse = np.repeat(coarse, 8, axis)
    fine = uniform(f"{name}.fine", shape, seed)
    return np.float32(0.5) * coarse[(..., *(slice(n) for n in size))] + np.float32(0.5) * fine


def mask(name: str, shape: tuple[int, ...], seed: int, dims: int = 2) -> np.ndarray:
    return (image(name, shape, seed, dims) > 0.5).astype(np.float32)


class Reference:
    """One reference file: its arrays, and parameters and inputs by its seed and gain."""

    def __init__(self, name: str) -> None:
        with np.load(FOLDER / f"{name}.npz") as file:
            self.arrays = {key: file[key] for key in file.files}
        self.seed, self.gain = int(self.arrays["seed"]), float(self.arrays["gain"])
        if not np.array_equal(stream("probe", self.seed).standard_normal(8, dtype=np.float32), self.arrays["probe"]):
            pytest.skip("This NumPy draws other random numbers than the one the references were made with.")

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def fill(self, network: torch.nn.Module) -> torch.nn.Module:
        """Give every parameter and statistic the rule's values, in place."""
        with torch.no_grad():
            for name, value in network.state_dict().items():
                if not name.endswith(_CONSTANTS):
                    value.copy_(torch.from_numpy(parameter(name, tuple(value.shape), self.gain, self.seed)))
        return network.eval()


@cache
def reference(name: str) -> Reference:
    """The reference file of a network; skips where NumPy's stream has changed."""
    return Reference(name)


def layout(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published checkpoint, prefixes stripped."""
    entries = json.loads((FOLDER / "layouts.json").read_text(encoding="utf-8"))[name]
    return {key: tuple(shape) for key, shape, _ in entries}


def error(found: torch.Tensor, expected: np.ndarray) -> float:
    """Largest difference in standard deviations of the expected array."""
    assert tuple(found.shape) == expected.shape
    return float(np.abs(found.detach().numpy() - expected).max() / expected.std())
