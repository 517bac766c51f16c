"""Devices that torch can compute on, by name; and the two ways a computation ends early: out of memory, and cancelled."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from .errors import Cancelled, DeviceError


def _wait_passively() -> None:
    """Threads of PyTorch that wait for each other actively take the processor from whoever they wait for: beside another busy program a
    prediction took twenty times as long. Read when PyTorch is first loaded; a choice of the user's stays."""
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def compute_on_threads(count: int) -> None:
    """Has predictions in this process computed on so many threads from now on: with one, the numbers are equal on every computer."""
    import torch

    torch.set_num_threads(count)


def find_device(name: str) -> Any:
    """The torch device of a name: auto (a CUDA GPU if there is one), cpu, cuda, cuda:1.

    Raises:
        DeviceError: no such device.
    """
    _wait_passively()
    import torch

    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"Unknown device {name!r}: use auto, cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"The device {name!r} is not supported: use auto, cpu or cuda.")
    if device.type == "cuda" and (not available or (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"PyTorch finds no GPU {name!r} here: use the device auto or cpu.")
    return device


def device_name(device: Any) -> str:
    """The device in words."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that a device has no memory left."""
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def check_cancel(cancel: Any) -> None:
    """Raise Cancelled if ``cancel`` (an event, a function, or None) says so."""
    stop: Callable[[], bool] | None = getattr(cancel, "is_set", cancel)
    if stop is not None and stop():
        raise Cancelled("Cancelled.")


def share_processors() -> None:
    """Have PyTorch compute with half of the processors, where somebody looks at pictures that are drawn meanwhile.

    Its threads wait for each other after every step, so all of them stand still while one has to give way. On two processors a prediction beside
    the drawing of the views took 4 to 10 times as long with two threads as with one, which alone takes no longer than two.
    """
    _wait_passively()
    import torch

    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) // 2)))
