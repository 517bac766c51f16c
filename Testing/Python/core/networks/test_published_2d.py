"""MultiverSeg, UniverSeg and ScribblePrompt-UNet compute what their published code computes."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
import torch
from core.networks.reference_rule import error, image, layout, mask, normal, reference, uniform
from MultiverSegLib.core.families import build_network

pytestmark = pytest.mark.usefixtures("one_thread")
TOLERANCE = 2e-5
MULTIVERSEG = ["b1_n0_128x128", "b1_n1_128x128", "b1_n3_128x128", "b1_n0_64x64", "b1_n3_64x64", "b2_n2_64x96"]
UNIVERSEG = ["b1_n1_128x128", "b1_n3_128x128", "b1_n1_64x64", "b1_n3_64x64", "b2_n2_64x96"]
SCRIBBLEPROMPT = ["b1_prompts_128x128", "b1_image_128x128", "b1_prompts_64x64", "b2_prompts_64x96"]


@cache
def network(name: str) -> torch.nn.Module:
    return reference(name).fill(build_network(name))


def target(key: str, batch: int, height: int, width: int, seed: int) -> np.ndarray:
    channels = np.zeros((batch, 5, height, width), np.float32)
    channels[:, 0] = image(f"{key}.image", (batch, height, width), seed)
    channels[:, 1, height // 4 : 3 * height // 4, width // 8 : width // 2] = 1
    channels[:, 2] = uniform(f"{key}.positive", (batch, height, width), seed) > 0.995
    channels[:, 3] = uniform(f"{key}.negative", (batch, height, width), seed) > 0.995
    channels[:, 4] = 2 * normal(f"{key}.previous", (batch, height, width), seed)
    return channels


def context(key: str, batch: int, count: int, height: int, width: int, seed: int) -> np.ndarray:
    shape = batch, count, height, width
    return np.stack([image(f"{key}.context_image", shape, seed), mask(f"{key}.context_mask", shape, seed)], axis=2)


@torch.inference_mode()
def check(name: str, case: str, channels: np.ndarray, examples: np.ndarray | None) -> None:
    result = network(name)(torch.from_numpy(channels), None if examples is None else torch.from_numpy(examples))
    assert error(result, reference(name)[case]) < TOLERANCE


@pytest.mark.parametrize("case", MULTIVERSEG)
def test_multiverseg(case):
    seed, key = reference("multiverseg").seed, f"multiverseg.{case}"
    batch, count, height, width = map(int, re.findall(r"\d+", case))
    examples = context(key, batch, count, height, width, seed) if count else None
    check("multiverseg", case, target(key, batch, height, width, seed), examples)


@pytest.mark.parametrize("case", UNIVERSEG)
def test_universeg(case):
    seed, key = reference("universeg").seed, f"universeg.{case}"
    batch, count, height, width = map(int, re.findall(r"\d+", case))
    check("universeg", case, image(f"{key}.image", (batch, 1, height, width), seed), context(key, batch, count, height, width, seed))


@pytest.mark.parametrize("case", SCRIBBLEPROMPT)
def test_scribbleprompt(case):
    seed, key = reference("scribbleprompt").seed, f"scribbleprompt.{case}"
    batch, height, width = map(int, re.findall(r"\d+", case))
    channels = target(key, batch, height, width, seed)
    if "image" in case:
        channels[:, 1:] = 0
    check("scribbleprompt", case, channels, None)


@pytest.mark.parametrize("name", ["multiverseg", "universeg", "scribbleprompt"])
def test_the_published_layout_is_ours(name):
    with torch.device("meta"):
        assert {k: tuple(v.shape) for k, v in build_network(name).state_dict().items()} == layout(name)
