"""``multiverseg bench``: every benchmark by its name. A new one is a module with ``register(bench_app)`` and its name here."""

from __future__ import annotations

import importlib

import typer

#: Sub-commands: modules of this folder.
BENCHMARKS = ("network", "geometry", "cohort", "calibration")

bench_app = typer.Typer(
    name="bench",
    help="Measure this machine: the stages from prompt to segment, or one part alone.\n\nExample: [bold]multiverseg bench --size 512,512,300[/bold]",
    invoke_without_command=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    """Adds ``bench`` and its sub-commands."""
    from .click import bench

    bench_app.callback()(bench)
    for name in BENCHMARKS:
        importlib.import_module(f".{name}", __package__).register(bench_app)
    app.add_typer(bench_app)
