"""What is set for PyTorch before it is loaded, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import MultiverSegLib
import pytest

ASK = """
import os, sys
import MultiverSegLib, MultiverSegLib.core.predictors
print(os.environ.get("OMP_WAIT_POLICY"))
from MultiverSegLib.core.devices import find_device
find_device("cpu")
print(os.environ.get("OMP_WAIT_POLICY"))
"""
SHARE = """
import os
from MultiverSegLib.core.devices import share_processors
share_processors()
print(os.environ.get("OMP_WAIT_POLICY"))
import torch
torch.set_num_threads(os.cpu_count())
share_processors()
print(torch.get_num_threads())
torch.set_num_threads(1)
share_processors()
print(torch.get_num_threads())
"""


@pytest.mark.parametrize("chosen, expected", [(None, ["None", "PASSIVE"]), ("ACTIVE", ["ACTIVE", "ACTIVE"])])
def test_the_policy_is_set_when_torch_is_loaded_not_when_we_are_imported(chosen, expected):
    assert printed(ASK, {"OMP_WAIT_POLICY": chosen} if chosen else {}) == expected


def test_half_of_the_processors_are_left_to_the_drawing_of_the_views():
    assert printed(SHARE) == ["PASSIVE", str(max(1, os.cpu_count() // 2)), "1"], "and a smaller choice of the user's stays"


def printed(code, variables=()):
    """What ``code`` prints in a new process, in words."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"PYTHONPATH": str(Path(MultiverSegLib.__file__).parents[1]), **dict(variables)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout.split()
