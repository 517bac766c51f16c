"""Is PyTorch usable, and how to get it. Nothing here runs before the user asks for a prediction or presses a button."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from dataclasses import dataclass

from slicer.i18n import tr as _

#: Before 2.6 ``torch.load`` could run a file's code in spite of ``weights_only`` (CVE-2025-32434).
MINIMUM = "2.6"
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


def install(confirm) -> TorchStatus:
    """Install or repair PyTorch: with the PyTorch extension, else with Slicer's own package functions. Main thread only.

    Nothing is imported before, and nothing removed before the user has agreed: what was imported can't be removed on Windows, and other
    extensions use PyTorch too.

    Args:
        confirm: called with a question, returns whether to go on.

    Raises:
        RuntimeError: the installation failed; the message says what to do.
    """
    if installed():
        return _repair(confirm)
    logic = _extension()
    if logic is not None:
        logic.installTorch(askConfirmation=True, torchVersionRequirement=f">={MINIMUM}")
    elif confirm(_without_extension()):
        _pip_install(asked=False)
    importlib.invalidate_caches()
    return diagnose()


def _repair(confirm) -> TorchStatus:
    if os.name == "nt" and sys.modules.get("torch") is not None:
        return TorchStatus(
            "broken", _("PyTorch is in use, and Windows can't replace it then. Restart Slicer and press the button at once.")
        )
    question = _(
        "PyTorch {version} is installed already. Remove it, with torchvision, and install it anew? Other extensions that use it work again "
        "when that is done. Slicer has to be restarted then."
    )
    if not confirm(question.format(version=installed_version() or _("(broken)"))):
        return TorchStatus("broken", _("PyTorch was left as it is."))
    logic = _extension()
    if logic is not None:
        logic.uninstallTorch()
        logic.installTorch(askConfirmation=False, torchVersionRequirement=f">={MINIMUM}")
    else:
        _packages().pip_uninstall("torch torchvision")
        _pip_install(asked=True)
    return TorchStatus("broken", _("PyTorch was repaired. Restart Slicer to use it."))


def installed_version() -> str:
    """The version of the installed package, without importing it; empty where its files don't say."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _extension():
    """The logic of Slicer's PyTorch extension, which chooses the right build for the graphics card; None without it."""
    try:
        import PyTorchUtils
    except ImportError:
        return None
    return PyTorchUtils.PyTorchUtilsLogic()


def _packages():
    """Slicer's functions for Python packages: a module of their own since 5.12."""
    try:
        import slicer.packaging as packages
    except ImportError:
        import slicer.util as packages
    return packages


def _pip_install(asked: bool) -> None:
    packages = _packages()
    if asked or not hasattr(packages, "pip_ensure"):
        packages.pip_install(REQUIREMENT)
        return
    from packaging.requirements import Requirement

    packages.pip_ensure([Requirement(REQUIREMENT)], requester="MultiverSeg")


def _without_extension() -> str:
    return _(
        "Slicer's PyTorch extension, which chooses the right build for your graphics card, is not installed. It can be installed with the "
        "Extensions Manager (then restart Slicer). Install the default build of PyTorch from the Python package index instead?"
    )


def _devices(torch) -> tuple[str, ...]:
    """What predictions can run on. AMD cards (ROCm) are listed as cuda by PyTorch; Apple's graphics are not used."""
    names = ["CPU"]
    if torch.cuda.is_available():
        names += [f"{torch.cuda.get_device_name(i)} (cuda:{i})" for i in range(torch.cuda.device_count())]
    return tuple(names)


def _numbers(version: str) -> tuple[int, ...]:
    parts = []
    for part in version.split("+")[0].split(".")[:3]:
        digits = "".join(c for c in part if c.isdigit())
        parts.append(int(digits or 0))
    return tuple(parts)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
