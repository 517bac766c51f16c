"""``multiverseg corpus build``: images and masks to a dataset of a training corpus; ``multiverseg corpus list``: what a corpus holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import say, table

app = typer.Typer(no_args_is_help=True, help="Make and inspect training corpora.\n\nExample: [bold]multiverseg corpus list corpus[/bold]")


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="corpus")


@app.command("build")
def build(
    images: Annotated[Path, typer.Argument(help="Folder of images: PNG, NIfTI, NRRD, ..., 2D or 3D.")],
    masks: Annotated[Path, typer.Argument(help="Folder of masks with the same names; 0 is background.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The corpus folder; the dataset is added to its manifest.")],
    name: Annotated[str, typer.Option(help="Name of the dataset (and of its file).")],
    licence: Annotated[str, typer.Option(help='Licence of the data as its owner states it, e.g. "CC BY 4.0".')],
    bundle: Annotated[bool, typer.Option(help="The licence lets a model trained on it be shipped.")] = False,
    split: Annotated[str, typer.Option(help="train, or eval: never trained on.")] = "train",
    label: Annotated[list[str] | None, typer.Option(help="VALUE=NAME of a mask value. Repeatable; default: every value.")] = None,
    modality: Annotated[str, typer.Option(help="E.g. CT, MRI (T2), ultrasound.")] = "",
    anatomy: Annotated[str, typer.Option(help="What is seen.")] = "",
    source: Annotated[str, typer.Option(help="Where the data come from.")] = "",
    subject_pattern: Annotated[
        str | None, typer.Option(help="Regular expression for the subject in a file's name; default: all of it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the subject-wise 60/20/20 split.")] = 0,
) -> None:
    """Convert images and masks into a dataset of 128 x 128 slices.

    3D images give the slice with the largest area of each label and the middle slice along each axis.

    Example: [bold]multiverseg corpus build images masks -o corpus --name Liver --licence "CC BY 4.0" --label 1=liver[/bold]
    """
    from ..training.build_corpus import DatasetInfo, build_dataset

    if split not in ("train", "eval"):
        raise typer.BadParameter("must be train or eval", param_hint="--split")
    info = DatasetInfo(name, licence, modality, anatomy, split, bundle, source, _labels(label or []), subject_pattern)
    entry = build_dataset(images, masks, output, info, seed=seed)
    say(f"{output / entry['file']}: {entry['n_images']} slices of {entry['n_subjects']} subjects, {len(entry['labels'])} labels")


@app.command("list")
def show(corpus: Annotated[Path, typer.Argument(envvar="MULTIVERSEG_CORPUS", help="A corpus folder.")]) -> None:
    """List the datasets of a corpus with their licences.

    Example: [bold]multiverseg corpus list corpus[/bold]
    """
    from ..training.corpus import read_manifest

    columns = ("dataset", "split", "may ship", "images", "subjects", "labels", "licence")
    cells = [
        (
            Path(entry["file"]).stem,
            entry.get("split", ""),
            "yes" if entry.get("bundle") else "no",
            entry.get("n_images", ""),
            entry.get("n_subjects", ""),
            ", ".join(label["name"] for label in entry.get("labels", [])),
            entry.get("license", ""),
        )
        for entry in read_manifest(corpus)["datasets"]
    ]
    table(columns, cells, keep=("dataset",), numbers=("images", "subjects"))


def _labels(texts: list[str]) -> dict[int, str]:
    labels = {}
    for text in texts:
        value, _, name = text.partition("=")
        if not value.strip().isdecimal() or not name:
            raise typer.BadParameter(f"{text!r} is not VALUE=NAME, e.g. 1=liver", param_hint="--label")
        labels[int(value)] = name
    return labels
