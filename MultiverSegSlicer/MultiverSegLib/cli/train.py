"""``multiverseg train``: the training system on a corpus, from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import written


def register(app: typer.Typer) -> None:
    app.command("train")(train)
    app.command("bundle")(bundle)


def train(
    config: Annotated[Path | None, typer.Option(help="YAML file; default: the recipe of the bundled model.")] = None,
    corpus: Annotated[Path | None, typer.Option(envvar="MULTIVERSEG_CORPUS", help="Corpus folder (see multiverseg corpus build).")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; a run found there goes on.")] = Path("run"),
    initial: Annotated[Path | None, typer.Option(help="Checkpoint whose weights the training starts from.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for superpixel maps and slices of volumes, shared by runs; default: in the run's folder.")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the configuration, e.g. sources.shapes=0 or run.seed=1; repeatable.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop after this many steps in all; the schedule stays.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes on this machine, one a device (or a share of the CPU).")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    smoke: Annotated[bool, typer.Option("--smoke", help="A tiny training on made-up images: does everything work?")] = False,
) -> None:
    """Train a network on a corpus. A killed run goes on from its last checkpoint when started again.

    Writes ema.pt (use it with --model), best.pt, log.csv, validation.csv, curves.png and samples.png.

    Example: [bold]multiverseg train --config Resources/Training/compact.yaml --corpus corpus -o runs/compact --devices 2[/bold]
    """
    from ..core.errors import MultiverSegError
    from ..core.resources import resource_path
    from ..training.config import load_config
    from ..training.corpus import Corpus
    from ..training.loop import Trainer
    from ..training.smoke import run_smoke

    if smoke:
        written.going_on(f"what is in {output} is a trial's and may be deleted")
        first, last = run_smoke(output, config, accelerator, devices, say=typer.echo)
        typer.echo(f"The loss fell from {first:.3f} to {last:.3f}.")
        return
    if corpus is None:
        raise MultiverSegError("No corpus: give --corpus FOLDER or set MULTIVERSEG_CORPUS; multiverseg corpus build makes one.")
    settings = load_config(config or resource_path("Training", "compact.yaml"), change or ())
    if initial is not None:
        settings.run.initial = str(initial)
    data = settings.data
    cache = cache or output / "cache"
    loaded = Corpus.load(corpus, "train", data.licence, data.fractions, data.unlabelled, data.only, data.volumes, cache)
    trainer = Trainer(settings, loaded, output, cache, accelerator, devices, nodes, say=typer.echo)
    written.going_on(f"{output} holds the last checkpoint; the same command goes on from there")
    trainer.train(steps)


def bundle(
    folder: Annotated[Path, typer.Argument(help="New folder of the bundle.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a model, or path of a checkpoint.")] = "compact",
) -> None:
    """Pack a model as a MONAI bundle: configs, docs and weights for `python -m monai.bundle run`.

    Example: [bold]multiverseg bundle compact-bundle[/bold]
    """
    from ..training.bundle import make_bundle

    typer.echo(f"{make_bundle(folder, model)}: see docs/README.md there")
