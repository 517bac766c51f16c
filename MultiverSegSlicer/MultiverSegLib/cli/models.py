"""``multiverseg models``: which models are known, which are ready, and how further ones come in."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.resources import resource_path
from .console import say, table, written

Name = Annotated[str, typer.Argument(help="Name of the model.", metavar="NAME")]

models_app = typer.Typer(
    name="models",
    help="List, fetch, add and verify models.\n\nExample: [bold]multiverseg models list[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    app.add_typer(models_app)


@models_app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List the models: what they are, whether they are ready, their licence and size. Contacts no address.

    Example: [bold]multiverseg models list[/bold]
    """
    from ..core.models.registry import Registry

    registry = Registry()
    rows = [{**asdict(info), "ready": registry.available(info.name), "default": info.name == registry.default} for info in registry.list()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    columns = ("model", "ready", "size", "licence", "about")
    cells = []
    for row in rows:
        ready = "yes" if row["ready"] else ("no: fetch or add it" if row["url"] else "no: add its file")
        name = f"{row['name']} (default)" if row["default"] else row["name"]
        cells.append((name, ready, _megabytes(row["size"]), row["licence"], f"{row['title']}. {row['note']}".strip()))
    table(columns, cells, "multiverseg models", keep=("model",), numbers=("size",))
    typer.echo(f"fetched and added weights: {registry.folder}", err=True)


@models_app.command("fetch")
def fetch(name: Name) -> None:
    """Download a model's weights, check them, and only then use them. The only command that contacts an address.

    Example: [bold]multiverseg models fetch multiverseg-v1[/bold]
    """
    from ..core.models.registry import Registry

    registry = Registry()
    info = registry.get(name)
    if info.url and not registry.available(name):
        say(f"{info.title}: {_megabytes(info.size)} from {info.url}; licence: {info.licence or 'not stated'}")
    published = info.sha256 if info.bundled or not registry.available(name) else None
    with _download_bar(name) as show:
        path = registry.fetch(name, progress=show)
    written.add(path)
    say(f"{name} is ready: {path}")
    say(_checksum(registry.get(name).sha256, published))


@models_app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="Checkpoint file.", metavar="FILE")],
    name: Annotated[str | None, typer.Option(help="Name for it. Default: the model it is the file of, else the file's name.")] = None,
) -> None:
    """Add weights from a file, e.g. on a computer without internet.

    Example: [bold]multiverseg models add MultiverSeg_v1_nf256.pt --name multiverseg-v1[/bold]
    """
    from ..core.models.registry import Registry

    registry = Registry()
    added = registry.add_file(file, name)
    written.add(registry.path(added))
    say(f"{added} is ready: {registry.path(added)}")
    say(_checksum(registry.get(added).sha256, None))


@models_app.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(help="Name of the model. Default: all that are here.", metavar="[NAME]")] = None,
) -> None:
    """Read weights anew: size, checksum, and whether they fit their network.

    Example: [bold]multiverseg models verify compact[/bold]
    """
    from ..core.errors import CheckpointError
    from ..core.models.registry import Registry
    from .console import progress

    registry = Registry()
    names = [name] if name else [info.name for info in registry.list() if weights_file(registry, info).is_file()]
    broken = []
    for each in progress(names, "Verifying"):
        try:
            path = registry.verify(each)
        except CheckpointError as error:
            broken.append(str(error))
            continue
        say(f"{each} is whole: {path}")
    if broken:
        raise CheckpointError("; ".join(broken))


def weights_file(registry: Any, info: Any) -> Path:
    """Where the weights are, or would be."""
    return resource_path("Models") / info.file if info.bundled else registry.folder / info.file


def _checksum(found: str | None, published: str | None) -> str:
    if published:
        return f"SHA-256 {found}, as published"
    return f"SHA-256 {found}: recorded, later damage will be noticed; compare it with the one that the authors give, if they do"


def _megabytes(size: int | None) -> str:
    return "unknown size" if size is None else f"{size / 1e6:.1f} MB"


def _download_bar(name: str) -> Any:
    """A context manager that yields ``show(done, total)``."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from .console import error_console

    @contextmanager
    def bar():
        columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=error_console(), transient=True) as display:
            task = display.add_task(name, total=None)
            yield lambda done, total: display.update(task, completed=done, total=total)

    return bar()
