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


@pytest.mark.parametrize("chosen, expected", [(None, ["None", "PASSIVE"]), ("ACTIVE", ["ACTIVE", "ACTIVE"])])
def test_the_policy_is_set_when_torch_is_loaded_not_when_we_are_imported(chosen, expected):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"PYTHONPATH": str(Path(MultiverSegLib.__file__).parents[1])} | ({"OMP_WAIT_POLICY": chosen} if chosen else {})
    run = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == expected
