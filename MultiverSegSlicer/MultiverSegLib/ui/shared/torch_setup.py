"""Is PyTorch usable, and how to get it. Nothing here runs before the user asks for a prediction or presses a button."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass

from slicer.i18n import tr as _

MINIMUM = "2.2"
REQUIREMENT = f"torch>={MINIMUM}"


@dataclass(frozen=True)
class TorchStatus:
    """``state``: "ready", "missing" or "broken"; ``text``: one or two lines for the user; ``devices``: what predictions can run on."""

    state: str
    text: str
    devices: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return self.state == "ready"


def installed() -> bool:
    """Whether a torch package is there at all. Fast: imports nothing."""
    if "torch" in sys.modules:
        return sys.modules["torch"] is not None
    try:
        return importlib.util.find_spec("torch") is not None
    except (ImportError, ValueError):
        return False


def diagnose() -> TorchStatus:
    """Import PyTorch and say in words what is the matter. A broken installation can raise anything, so everything is caught."""
    if not installed():
        return TorchStatus(
            "missing",
            _(
                "PyTorch is not installed yet. MultiverSeg computes its predictions with it. Press 'Install PyTorch…': "
                "you will be told what is downloaded (about 200 MB for a CPU, 3 GB for an NVIDIA graphics card) and asked first."
            ),
        )
    try:
        torch = importlib.import_module("torch")
        version = str(torch.__version__)
        float(torch.ones(2).sum())
        devices = _devices(torch)
    except Exception as error:
        return TorchStatus(
            "broken",
            _(
                "PyTorch is installed but does not work: {kind}: {message}. Press 'Install PyTorch…' to repair it, then restart Slicer."
            ).format(kind=type(error).__name__, message=_first_line(error)),
        )
    if _numbers(version) < _numbers(MINIMUM):
        text = _("PyTorch {version} is too old, {minimum} or newer is needed. Press 'Install PyTorch…', then restart Slicer.")
        return TorchStatus("broken", text.format(version=version, minimum=MINIMUM))
    text = _("PyTorch {version} is ready. Devices: {devices}.").format(version=version, devices=", ".join(devices))
    return TorchStatus("ready", text, devices)


def install(confirm, parent=None) -> TorchStatus:
    """Install or repair PyTorch: with the PyTorch extension, else with Slicer's own package functions. Main thread only.

    Args:
        confirm: called with a question, returns whether to go on; only used where the installer does not ask by itself.

    Raises:
        RuntimeError: the installation failed; the message says what to do.
    """
    broken = installed() and not diagnose().ready
    try:
        import PyTorchUtils
    except ImportError:
        _install_without_extension(confirm)
    else:
        logic = PyTorchUtils.PyTorchUtilsLogic()
        if broken:
            logic.uninstallTorch(askConfirmation=True)
        if logic.installTorch(askConfirmation=True, torchVersionRequirement=f">={MINIMUM}") is None:
            return diagnose()
    if broken:
        return TorchStatus("broken", _("PyTorch was repaired. Restart Slicer to use it."))
    importlib.invalidate_caches()
    return diagnose()


def _install_without_extension(confirm) -> None:
    import slicer.util

    question = _(
        "Slicer's PyTorch extension, which chooses the right build for your graphics card, is not installed. It can be installed with the "
        "Extensions Manager (then restart Slicer). Install the default build of PyTorch from the Python package index instead?"
    )
    if not confirm(question):
        return
    try:
        import slicer.packaging
    except ImportError:
        slicer.util.pip_install(REQUIREMENT)
        return
    from packaging.requirements import Requirement

    slicer.packaging.pip_ensure([Requirement(REQUIREMENT)], requester="MultiverSeg")


def _devices(torch) -> tuple[str, ...]:
    names = ["CPU"]
    if torch.cuda.is_available():
        names += [f"{torch.cuda.get_device_name(i)} (cuda:{i})" for i in range(torch.cuda.device_count())]
    mps = getattr(torch.backends, "mps", None)
    if mps is not None and mps.is_available():
        names.append("Apple graphics (mps)")
    return tuple(names)


def _numbers(version: str) -> tuple[int, ...]:
    parts = []
    for part in version.split("+")[0].split(".")[:3]:
        digits = "".join(c for c in part if c.isdigit())
        parts.append(int(digits or 0))
    return tuple(parts)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
