"""Times the way between a volume and the grid: sample, rasterize, paste and write one slice, beside the usual whole-array round trip."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer

from ..core.prompts import Box, Point, Prompts, Scribble


def register(app: typer.Typer) -> None:
    app.command("geometry")(geometry)


def geometry(
    size: Annotated[str, typer.Option(help="Voxels along i, j, k of the made-up volume.", metavar="I,J,K")] = "512,512,300",
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each step.")] = 9,
    json_only: Annotated[bool, typer.Option("--json", help="Print only the JSON.")] = False,
) -> None:
    """The way between volume and grid, and writing one slice beside the usual array round trip.

    Example: [bold]multiverseg bench geometry --size 512,512,300[/bold]
    """
    import json

    from ..cli.console import step
    from ..cli.options import dimensions_from

    with step("Measuring the geometry"):
        result = bench_geometry(dimensions_from(size), repeats)
    if not json_only:
        print_table(result)
    typer.echo(json.dumps(result, indent=2))


def print_table(result: dict[str, Any]) -> None:
    """Print the figures as a table on standard error."""
    from rich.table import Table

    from ..cli.console import error_console

    title = f"One slice of {' x '.join(map(str, result['dimensions']))}; the array round trip takes {result['ratio']:.0f} times as long as writing"
    table = Table("step", title=title, title_justify="left")
    table.add_column("median ms", justify="right")
    table.add_column("best ms", justify="right")
    for name, spent in result["steps"].items():
        table.add_row(name.replace("_", " "), f"{spent['median_ms']:.1f}", f"{spent['min_ms']:.1f}")
    error_console().print(table)


def bench_geometry(dimensions: tuple[int, int, int] = (512, 512, 300), repeats: int = 9, array_repeats: int = 2) -> dict[str, Any]:
    """Milliseconds (median and minimum) for one axial slice of an int16 volume with a segment of a quarter of its voxels.

    Args:
        dimensions: voxels along i, j, k.
        repeats: runs of each step, after one that is not counted.
        array_repeats: runs of the array round trip.

    Returns:
        ``{"dimensions", "steps": {name: {"median_ms", "min_ms"}}, "ratio"}``; the steps ``write_i``, ``write_j`` and ``write`` (k) are in-place
        writes, ``first_write`` the first into a segment (it allocates the labelmap), ``array_round_trip`` the same change through
        ``slicer.util``; ``ratio`` is the array round trip by ``write``.
    """
    from ..mrml.headless import start
    from ..mrml.segments import add_segment, new_segmentation, set_segment, write_plane
    from ..mrml.slice_plane import SlicePlane
    from ..mrml.volumes import new_volume, remove_node

    start()
    volume = new_volume(_voxels(dimensions), np.diag([-0.7, -0.7, 1.0, 1.0]), "bench")
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "bench")
    steps: dict[str, dict[str, float]] = {}
    planes = {axis: SlicePlane.from_volume(volume, axis, dimensions["ijk".index(axis)] // 2) for axis in "ijk"}
    tilted = SlicePlane.through(volume, planes["k"].to_ras(64, 64), (0.1, 0.15, 1.0))
    probability = _disc()
    prompts = _prompts(planes["k"])

    begun = time.perf_counter()
    write_plane(segmentation, segment_id, volume, planes["k"].paste(probability, volume))
    first = (time.perf_counter() - begun) * 1e3
    mask = np.zeros(dimensions[::-1], np.uint8)
    mask[:, dimensions[1] // 4 : 3 * dimensions[1] // 4, dimensions[0] // 4 : 3 * dimensions[0] // 4] = 1
    set_segment(segmentation, segment_id, volume, mask)
    pasted = [planes["k"].paste(np.roll(probability, 5 * n, axis=1), volume) for n in range(2)]

    def change(plane: SlicePlane) -> Callable[[int], Any]:
        # another disc each time, so that there is something to write
        return lambda n: write_plane(segmentation, segment_id, volume, plane.paste(np.roll(probability, 5 * (n % 2), axis=1), volume))

    steps["sample"] = _time(lambda _: planes["k"].sample(volume), repeats)
    steps["sample_tilted"] = _time(lambda _: tilted.sample(volume), repeats)
    steps["rasterize"] = _time(lambda _: planes["k"].rasterize(prompts), repeats)
    steps["paste"] = _time(lambda _: planes["k"].paste(probability, volume).mask, repeats)
    steps["write"] = _time(lambda n: write_plane(segmentation, segment_id, volume, pasted[n % 2]), repeats)
    steps["paste_and_write"] = _time(change(planes["k"]), repeats)
    steps["paste_and_write_j"] = _time(change(planes["j"]), repeats)
    steps["paste_and_write_i"] = _time(change(planes["i"]), repeats)
    steps["paste_and_write_tilted"] = _time(change(tilted), repeats)
    steps["first_write"] = {"median_ms": first, "min_ms": first}
    steps["array_round_trip"] = _time(lambda _: _array_round_trip(segmentation, segment_id, volume, pasted[0]), array_repeats)
    for node in (segmentation, volume):
        remove_node(node)
    ratio = steps["array_round_trip"]["median_ms"] / steps["write"]["median_ms"]
    return {"dimensions": list(dimensions), "steps": steps, "ratio": ratio}


def _voxels(dimensions: tuple[int, int, int]) -> np.ndarray:
    row = np.random.default_rng(0).integers(-1000, 1500, dimensions[:2][::-1], dtype=np.int16)
    return np.stack([np.roll(row, number, axis=0) for number in range(dimensions[2])])


def _disc() -> np.ndarray:
    row, col = np.indices((128, 128)) - 63.5
    return np.clip((40 - np.hypot(row, col)) / 4 + 0.5, 0, 1).astype(np.float32)


def _prompts(plane: Any) -> Prompts:
    clicks = tuple(Point(plane.to_ras(row, row), positive=row % 2 == 0) for row in range(20, 110, 9))
    stroke = Scribble(tuple(plane.to_ras(30 + n, 60 + 20 * np.sin(n / 9)) for n in range(60)), width=2.0)
    return Prompts((*clicks, stroke, Box(plane.to_ras(64, 64), (80.0, 90.0, 20.0))))


def _array_round_trip(segmentation: Any, segment_id: str, volume: Any, pasted: Any) -> None:
    """One slice changed as scripts usually do it: the whole segment to an array and back."""
    import slicer
    import slicer.util

    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    pasted.sheet.put(array, pasted.mask, pasted.in_view)
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentation, segment_id, volume)


def _time(step: Callable[[int], Any], repeats: int) -> dict[str, float]:
    step(0)
    spent = []
    for number in range(1, repeats + 1):
        begun = time.perf_counter()
        step(number)
        spent.append((time.perf_counter() - begun) * 1e3)
    return {"median_ms": statistics.median(spent), "min_ms": min(spent)}
