"""What the study of weak examples says, in a folder: figures 4 and 5 of WS-ICL and two tables, from its rows alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import MultiverSegError
from ..core.files import write_text
from . import measures
from .figures import Drawing, draw_panels, save_drawing
from .measures import Line
from .methods import MethodSpec
from .pages import PageTable, markdown
from .run import versions
from .table import Table, interval, per_unit, read_table
from .weak import COLUMNS, SECONDS

#: Images of the cohorts for which an hour of a person is spent, and that hour.
COHORTS = (20, 100, 500)
HOUR = 3600
_CAUTION = (
    f"Seconds are the estimates of the WS-ICL paper: {SECONDS['points']:g} a point, {SECONDS['boxes']:g} a box, {SECONDS['mask']:g} a mask; "
    "nobody's time was measured."
)


def save_weak(folder: Path, rows: Sequence[dict[str, Any]], specs: Sequence[MethodSpec], facts: dict[str, Any]) -> str:
    """Writes weak.csv, configuration.json, tables.md and the figures into ``folder``; returns the tables as Markdown.

    Raises:
        MultiverSegError: the folder can't be written, matplotlib is missing, or no method reads examples or prompts.
    """
    if not rows:
        raise MultiverSegError("Nothing was measured: the models read neither examples nor points.")
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "weak.csv", stream.getvalue())
    resolved = {**facts, "methods": [asdict(spec) for spec in specs], "seconds": SECONDS, "versions": versions()}
    write_text(folder / "configuration.json", json.dumps(resolved, indent=1))
    table = read_table(folder / "weak.csv")
    text = markdown(weak_sheets(table))
    for drawing in draw_weak(table):
        save_drawing(drawing, folder / "figures")
        text += f"\n![](figures/{drawing.name}.svg)\n\n{drawing.caption}\n"
    write_text(folder / "tables.md", text)
    return text


def draw_weak(table: Table) -> Iterator[Drawing]:
    """The figures: Dice against the number of examples, points and boxes apart, and against the time that the examples took."""
    shading = "Shaded: 95 % bootstrap intervals over the datasets."
    for method in table.values("method"):
        own = table.where(method=method)
        panels = [(kind, lines) for kind in ("points", "boxes") if (lines := _by_size(own, kind))]
        name = _file_name(method)
        if panels:
            caption = (
                f"{method}: Dice from examples alone that have so many points or boxes in place of a mask (figure 4 of WS-ICL). {shading}"
            )
            yield Drawing(f"weak-size-{name}", caption, draw_panels(panels, "examples", "Dice", top=1, log=True))
        lines = [*_by_seconds(own), *_interaction(own)]
        if lines:
            caption = f"{method}: Dice against the seconds that the annotation took (figure 5 of WS-ICL). Examples are drawn once for all images, "
            caption += f"clicks on each image. {_CAUTION} {shading}"
            yield Drawing(f"weak-seconds-{name}", caption, draw_panels([("", lines)], "annotation, seconds", "Dice", top=1, log=True))


def weak_sheets(table: Table) -> list[PageTable]:
    """Dice by number and kind of examples, and what an hour is best spent on."""
    sizes = sorted(s for s in table.values("context_size") if s)
    rows = []
    for method in table.values("method"):
        for kind in ("mask", "points", "boxes"):
            for count in sorted(table.where(method=method, kind=kind).values("prompts")):
                parts = [table.where(method=method, kind=kind, prompts=count, context_size=size) for size in sizes]
                rows.append((method, _prompts(kind, count), *(_text(part) for part in parts)))
    text = "Dice without a prompt on the target, by number of examples; in brackets 95 % bootstrap intervals over the datasets."
    found = [PageTable("Weak examples", text, ("method", "an example has", *map(str, sizes)), rows)] if rows else []
    hour = [row for method in table.values("method") for row in _hour(table.where(method=method), method)]
    if hour:
        text = (
            f"The best mean Dice that an hour buys, each way of spending it; examples once, clicks on every image of the cohort. {_CAUTION}"
        )
        found.append(PageTable("An hour", text, ("method", "images", "way", "Dice", "what was drawn", "minutes"), hour))
    return found


def _hour(table: Table, method: str) -> Iterator[tuple[str, ...]]:
    for images in COHORTS:
        for kind in ("mask", "points", "boxes", "interaction"):
            best = None
            part = table.where(kind=kind)
            for size in part.values("context_size"):
                for count in part.where(context_size=size).values("prompts"):
                    rows = part.where(context_size=size, prompts=count)
                    seconds = _spent(rows, images)
                    dice = _mean(rows)
                    if seconds <= HOUR and (best is None or dice > best[0]):
                        best = (dice, _drawn(kind, size, count), seconds)
            if best:
                yield method, str(images), kind, f"{best[0]:.3f}", best[1], f"{best[2] / 60:.0f}"


def _spent(rows: Table, images: int) -> float:
    """Seconds for a cohort: examples once, clicks as often as there are images."""
    if rows["kind"][0] != "interaction":
        return float(rows["seconds"][0])
    clicks = SECONDS["points"] * float(rows["step"][0])
    return float(rows["seconds"][0]) - clicks + images * clicks


def _drawn(kind: str, size: int, count: int) -> str:
    examples = f"{size} example{'s' * (size != 1)}"
    if kind == "interaction":
        return f"{count} click{'s' * (count != 1)} an image" + (f", {examples} with masks" if size else "")
    return f"{examples} with " + ("masks" if kind == "mask" else _prompts(kind, count))


def _prompts(kind: str, count: int) -> str:
    """What an example has."""
    if kind == "mask":
        return "a mask"
    return f"{count} {kind}" if count > 1 else {"points": "a point", "boxes": "a box"}[kind]


def _by_size(table: Table, kind: str) -> list[Line]:
    lines = [_line(table.where(kind="mask"), "masks")]
    for count in sorted(table.where(kind=kind).values("prompts")):
        lines.append(_line(table.where(kind=kind, prompts=count), f"{count} an image"))
    return [line for line in lines if line.x] if len(lines) > 1 else []


def _line(table: Table, label: str, x: str = "context_size") -> Line:
    figures = [(v, measures.figure(table.where(**{x: v}), table.where(**{x: v})["dice"], "dataset")) for v in sorted(table.values(x))]
    return Line(label, [float(v) for v, _ in figures], *([f[i] for _, f in figures] for i in range(3)))


def _by_seconds(table: Table) -> list[Line]:
    lines = [_line(table.where(kind="mask"), "examples with masks", "seconds")]
    for kind in ("points", "boxes"):
        for count in sorted(table.where(kind=kind).values("prompts")):
            lines.append(_line(table.where(kind=kind, prompts=count), f"examples with {_prompts(kind, count)}", "seconds"))
    return [line for line in lines if line.x]


def _interaction(table: Table) -> list[Line]:
    part = table.where(kind="interaction", context_size=0)
    return [_line(part, "clicks on the image itself", "seconds")] if len(part) else []


def _mean(table: Table) -> float:
    return float(np.nanmean(per_unit(table, table["dice"], "dataset"))) if len(table) else float("nan")


def _text(table: Table) -> str:
    if not len(table):
        return ""
    mean, low, high, _ = interval(per_unit(table, table["dice"], "dataset"))
    return f"{mean:.3f}" if np.isnan(low) else f"{mean:.3f} ({low:.3f} to {high:.3f})"


def _file_name(method: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in method).strip("-").lower()
