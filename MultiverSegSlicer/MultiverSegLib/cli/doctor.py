"""``multiverseg doctor``: what is installed, which device is used, which models are ready, where files can be written."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from ..core.errors import MultiverSegError
from ..core.plugins import Plugins
from ..core.resources import resource_path

PACKAGES = (
    "numpy",
    "torch",
    "vtk",
    "slicer",
    "SimpleITK",
    "scipy",
    "pydicom",
    "highdicom",
    "skimage",
    "matplotlib",
    "jinja2",
    "jsonschema",
)
OPTIONAL_PACKAGES = ("monai", "kornia", "lightning_fabric", "ray")
#: What comes with the extension, and what is lost without it.
RESOURCES = {
    "Models/models.json": "no model can be used",
    "Models/compact.pt": "the bundled model can't be used",
    "Schemas/cohort.schema.json": "cohorts can't be checked",
    "Report/report.html": "no report can be written",
    "SampleCohort/images": "the demo has no cases",
    "Training/compact.yaml": "the bundled model's recipe is missing",
}
DISTRIBUTIONS = {"slicer": "slicer-core", "skimage": "scikit-image", "lightning_fabric": "lightning-fabric"}


@dataclass(frozen=True)
class Check:
    """One line of the doctor's table; ``state`` is "ok", "warning" or "problem"."""

    name: str
    state: str
    detail: str


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table.")) -> None:
    """Check versions, device, models and write permissions.

    Leaves with exit code 1 when something that is needed does not work.

    Example: [bold]multiverseg doctor[/bold]
    """
    from .console import step

    with step("Checking the installation"):
        checks = [check for group in (_system, _packages, _device, _resources, _models, _plugins, _folders) for check in _safely(group)]
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        _print_table(checks)
    if any(check.state == "problem" for check in checks):
        raise typer.Exit(1)


def _safely(group: Callable[[], list[Check]]) -> list[Check]:
    """A check that itself breaks is a finding, not the end of the examination."""
    try:
        return group()
    except Exception as error:
        return [Check(group.__name__.strip("_"), "problem", f"{type(error).__name__}: {error}")]


def _system() -> list[Check]:
    import psutil

    memory = psutil.virtual_memory()
    return [
        Check("python", "ok", f"{platform.python_version()} ({sys.executable})"),
        Check("system", "ok", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory.total / 2**30:.0f} GB memory"),
        Check("free memory", "ok" if memory.available > 2 * 2**30 else "warning", f"{memory.available / 2**30:.1f} GB"),
    ]


def _packages() -> list[Check]:
    return [_package(name, "problem") for name in PACKAGES] + [_package(name, "ok") for name in OPTIONAL_PACKAGES]


def _package(name: str, state_if_missing: str) -> Check:
    from importlib import metadata

    try:
        importlib.import_module(name)
    except Exception as error:  # a broken torch raises OSError, a broken extension module anything
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        optional = state_if_missing == "ok"
        return Check(
            name,
            state_if_missing if absent else "problem",
            "not installed (optional)" if absent and optional else f"cannot be imported: {error}",
        )
    try:
        return Check(name, "ok", metadata.version(DISTRIBUTIONS.get(name, name)))
    except metadata.PackageNotFoundError:
        return Check(name, "ok", "installed")


def _device() -> list[Check]:
    import torch

    checks = [Check("cpu threads", "ok", f"{torch.get_num_threads()} of {os.cpu_count()} cores")]
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        checks.append(Check("gpu", "ok", f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GB, CUDA {torch.version.cuda}"))
    else:
        checks.append(Check("gpu", "ok", "none that PyTorch can use: predictions run on the CPU"))
    torch.nn.functional.conv2d(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3))
    return checks


def _resources() -> list[Check]:
    missing = []
    for name, loss in RESOURCES.items():
        try:
            resource_path(*name.split("/"))
        except MultiverSegError as error:
            missing.append(Check(f"resource {name}", "problem", f"{error} Without it {loss}."))
    return missing or [Check("resources", "ok", f"complete: {resource_path('Models').parent}")]


def _models() -> list[Check]:
    from ..core.models.registry import Registry
    from .models import weights_file

    registry = Registry()
    checks = []
    for info in registry.list():
        if not weights_file(registry, info).is_file():
            state, text = ("problem" if info.bundled else "ok"), f"not here ({info.title})"
        elif registry.available(info.name):
            state, text = "ok", f"ready: {weights_file(registry, info)}"
        else:
            state, text = "problem", f"damaged: {weights_file(registry, info)}; fetch or add it again"
        checks.append(Check(f"model {info.name}", state, text))
    return checks


def _plugins() -> list[Check]:
    from ..cohort.results.formats import FORMATS
    from ..cohort.store.order import ORDERS
    from ..core.families import FAMILIES
    from ..core.selection import STRATEGIES

    checks = []
    lists: tuple[Plugins[Any], ...] = (STRATEGIES, ORDERS, FORMATS, FAMILIES)
    for plugins in lists:
        checks.append(Check(plugins.kind, "ok", ", ".join(plugins.names)))
        checks += [Check(plugins.kind, "warning", problem) for problem in plugins.problems]
    return checks


def _folders() -> list[Check]:
    from ..core.models.registry import models_folder

    places = {"current folder": Path.cwd(), "temporary folder": Path(tempfile.gettempdir()), "models folder": models_folder()}
    return [_folder(name, path) for name, path in places.items()]


def _folder(name: str, path: Path) -> Check:
    import shutil

    while not path.exists():  # made when needed: what counts is where it would be made
        path = path.parent
    try:
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"probe")
    except OSError as error:
        return Check(name, "warning", f"{path} cannot be written: {error.strerror}")
    free = shutil.disk_usage(path).free / 2**30
    return Check(name, "ok" if free > 1 else "warning", f"{path} is writable, {free:.1f} GB free")


def _print_table(checks: list[Check]) -> None:
    from .console import table

    table(("what", "state", "found"), [(c.name, c.state, c.detail) for c in checks], "multiverseg doctor", keep=("what", "state"))
