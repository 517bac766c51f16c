"""``multiverseg bench``: how long each stage between a prompt and the updated segment takes on this machine, on a CT-sized volume."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ..cli.options import Device, Model, dimensions_from

GOAL_MS = 200.0
EXAMPLE_COUNTS = (0, 8, 16)


@dataclass(frozen=True)
class Stage:
    """Milliseconds of one stage: the median and the best of ``repeats`` runs."""

    name: str
    median_ms: float
    best_ms: float
    repeats: int


def bench(
    context: typer.Context,
    size: Annotated[str, typer.Option(help="Voxels along i, j, k of the made-up volume.", metavar="I,J,K")] = "512,512,300",
    model: Model = "compact",
    device: Device = "auto",
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each stage.")] = 10,
    features: Annotated[int, typer.Option(min=1, help="Width of the network that is compared with the published way.")] = 256,
    large: Annotated[bool, typer.Option("--large", help="That network with 64 entries too: some minutes and 8 GB of memory.")] = False,
    stages_only: Annotated[bool, typer.Option("--stages-only", help="Leave the comparisons out.")] = False,
    json_only: Annotated[bool, typer.Option("--json", help="Print only the JSON.")] = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from ..cli.console import step
    from . import geometry as bench_geometry
    from . import network as bench_network

    dimensions = dimensions_from(size)
    setting = Setting(dimensions, model, device)
    stages = setting.measure(repeats)
    result = {"volume": list(dimensions), "model": setting.predictor.description, "machine": machine(), "goal_ms": GOAL_MS}
    result["stages"] = {s.name: {"median_ms": round(s.median_ms, 2), "best_ms": round(s.best_ms, 2), "repeats": s.repeats} for s in stages}
    if not json_only:
        print_table(f"From prompt to segment, {' x '.join(map(str, dimensions))}, {setting.predictor.description}", stages)
    setting.close()
    if not stages_only:
        with step("Comparing one slice with the usual array round trip"):
            result["geometry"] = bench_geometry.bench_geometry(dimensions)
        with step(f"Comparing the network of {features} features with the published way (minutes)"):
            result["network"] = bench_network.bench_network([8, 16] + ([64] if large else []), features=features, repeats=1)
        if not json_only:
            bench_geometry.print_table(result["geometry"])
            bench_network.print_table(result["network"])
    typer.echo(json.dumps(result, indent=2))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import os

    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def timed(name: str, action: Callable[[], Any], repeats: int, before: Callable[[], Any] | None = None) -> Stage:
    """Run ``action`` once to warm up, then ``repeats`` times; ``before`` prepares each run and is not counted."""
    import statistics

    durations = []
    for _ in range(repeats + 1):
        if before is not None:
            before()
        started = time.perf_counter()
        action()
        durations.append((time.perf_counter() - started) * 1000)
    return Stage(name, statistics.median(durations[1:]), min(durations[1:]), repeats)


def print_table(title: str, stages: list[Stage]) -> None:
    """The stages for people, on standard error, so that standard output stays JSON."""
    from rich.table import Table

    from ..cli.console import error_console

    table = Table("stage", title=title, title_justify="left")
    table.add_column("median ms", justify="right")
    table.add_column("best ms", justify="right")
    for stage in stages:
        table.add_row(stage.name, f"{stage.median_ms:.1f}", f"{stage.best_ms:.1f}")
    error_console().print(table)


class Setting:
    """A CT-sized volume of noise with a ball in it, one axial plane through the ball, and sixteen examples."""

    def __init__(self, dimensions: tuple[int, int, int], model: str, device: str) -> None:
        from ..cli.console import step
        from ..core.predictors import open_predictor, warm_up
        from ..mrml.headless import start
        from ..mrml.segments import add_segment, new_segmentation
        from ..mrml.slice_plane import SlicePlane

        with step("Making the volume and loading the model"):
            start()
            self.volume = _made_up_volume(dimensions)
            self.segmentation = new_segmentation(self.volume)
            self.segment_id = add_segment(self.segmentation, "ball")
            self.plane = SlicePlane.from_volume(self.volume, "k", dimensions[2] // 2)
            self.predictor = open_predictor(model, device)
            warm_up(self.predictor)
        self.examples = _made_up_examples(max(EXAMPLE_COUNTS))

    def measure(self, repeats: int) -> list[Stage]:
        from ..cli.console import progress
        from ..mrml.writing import write_plane

        image, prompts = self.plane.sample(self.volume), self._prompts()
        channels = self.plane.rasterize(prompts)
        jobs: list[tuple] = [
            ("sample", lambda: self.plane.sample(self.volume)),
            ("rasterize", lambda: self.plane.rasterize(prompts)),
        ]
        for count in EXAMPLE_COUNTS:
            jobs.append((f"predict, {count} examples", self._prediction(image, channels, self.examples[:count])))
        turn = [_disc(), _disc()[::-1]]

        def paste() -> None:
            turn.reverse()
            write_plane(self.segmentation, self.segment_id, self.volume, self.plane.paste(turn[0], self.volume))

        jobs.append(("paste and write", paste))
        for count in EXAMPLE_COUNTS:
            session = self._session(count)
            jobs.append((f"prompt to updated segment, {count} examples", session.predict, lambda s=session: self._new_slice(s)))
        session = self._session(8)
        jobs.append(("next prompt on the same slice, 8 examples", session.predict, lambda s=session: self._next_prompt(s)))
        return [timed(name, action, repeats, *before) for name, action, *before in progress(jobs, "Measuring")]

    def _prediction(self, image: Any, channels: Any, examples: list) -> Callable[[], Any]:
        """A prediction of an image that was not seen before, each time: a network may remember the last ones."""
        from itertools import count

        import numpy as np

        from ..core.asking import ask

        turns = count(1)
        return lambda: ask(self.predictor, np.roll(image, next(turns), axis=0), channels, None, examples)

    def close(self) -> None:
        """Give the memory back."""
        from ..mrml.segments import remove_node

        remove_node(self.segmentation)
        remove_node(self.volume)

    def _prompts(self):
        from ..core.prompts import Point, Prompts

        return Prompts((Point(self.plane.to_ras(64, 64)), Point(self.plane.to_ras(20, 20), positive=False)))

    def _session(self, count: int):
        from ..core.context.context_set import ContextSet
        from ..engine.slice_session import SliceSession
        from ..mrml.segments import add_segment

        context = ContextSet()
        for example in self.examples[:count]:
            context.add(example)
        segment_id = add_segment(self.segmentation, f"ball from {count} examples")
        return SliceSession(self.volume, self.segmentation, segment_id, self.plane, None, self.predictor, context)

    def _new_slice(self, session) -> None:
        """As after the first click on a slice that nobody saw before."""
        import numpy as np
        import slicer

        session.clear()
        voxels = slicer.util.arrayFromVolume(self.volume)[self.plane.index]
        voxels[:] = np.roll(voxels, 1, axis=0)
        self.volume.GetImageData().Modified()
        session.prompts = self._prompts()

    def _next_prompt(self, session) -> None:
        """As after a correcting click."""
        from ..core.prompts import Point

        session.prompts = session.prompts.added(Point(self.plane.to_ras(64, 60 + len(session.prompts))))


def _made_up_volume(dimensions: tuple[int, int, int]):
    import numpy as np
    import slicer

    rng = np.random.default_rng(0)
    array = rng.integers(-100, 100, dimensions[::-1], dtype=np.int16)
    k, j, i = np.ogrid[tuple(slice(0, n) for n in dimensions[::-1])]
    ball = sum(((x - n / 2) / (n / 4)) ** 2 for x, n in zip((i, j, k), dimensions, strict=True)) < 1
    array[ball] += 300
    matrix = np.diag([-0.7, -0.7, 1.0, 1.0])
    return slicer.util.addVolumeFromArray(array, matrix, name="bench")


def _disc():
    import numpy as np

    row, col = np.mgrid[:128, :128]
    return np.clip(1.5 - np.hypot(row - 60, col - 64) / 30, 0, 1).astype(np.float32)


def _made_up_examples(count: int) -> list:
    import numpy as np

    from ..core.context.context_set import Example

    rng = np.random.default_rng(1)
    examples = []
    for number in range(count):
        mask = (np.roll(_disc(), number - 8, axis=0) > 0.5).astype(np.uint8)
        image = (0.3 * rng.random((128, 128)) + 0.5 * mask).astype(np.float32)
        examples.append(Example(image=image, mask=mask, case=f"example {number}"))
    return examples
