"""The results to read: tables in Markdown, figures as files, best, median and worst images, and one HTML page with all of it."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.files import write_text
from ..core.resources import resource_path
from . import measures
from .figures import TITLES, draw_all, save_drawing
from .plan import BOOTSTRAPPED, SEQUENCE, EvaluationJob
from .run import CONFIGURATION, PARTS, TIMES
from .table import Table

if TYPE_CHECKING:
    from .quick import EvaluationTask

REPORT, TABLES, FIGURES = "report.html", "tables.md", "figures"
_RANKS = ("best", "median", "worst")
PAPER_SEQUENCES = 161 * 200
WORKERS = (1, 8, 64)


@dataclass(frozen=True)
class PageTable:
    """One table: a title, a sentence, the head and the rows, all text."""

    title: str
    text: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Case:
    """One segmented image, ``label`` and ``mask`` bool [H, W], for a picture."""

    rank: str
    title: str
    licence: str
    image: np.ndarray
    label: np.ndarray
    mask: np.ndarray


def publish(folder: Path, table: Table, cases: Sequence[Case] = ()) -> str:
    """Writes tables.md, the figures and report.html into ``folder``; returns the tables as Markdown.

    Raises:
        MultiverSegError: jinja2 or matplotlib is missing.
    """
    sheets = [*sheets_of(table), *_costs(folder / TIMES)]
    text = markdown(sheets)
    write_text(folder / TABLES, text)
    figures = [(drawing.caption, save_drawing(drawing, folder / FIGURES)[0].read_bytes()) for drawing in draw_all(table)]
    facts = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    write_text(folder / REPORT, page(facts, sheets, figures, cases))
    return text


def sheets_of(table: Table) -> list[PageTable]:
    """The tables for which there are rows."""
    unit = measures.unit_of(table)
    spread = f"Mean ± standard deviation of the mean by bootstrap over the {unit}s; in brackets its 95 % interval."
    found = []
    for experiment, title, text in (
        (SEQUENCE, "Whole sequences", "Steps to 90 % Dice and what was reached, for one sequence of a task (table 7 of the paper)."),
        (BOOTSTRAPPED, "Bootstrapped in context", "Nobody corrects; predictions become the context of the next image (figure 17b)."),
    ):
        rows = measures.table_seven(table, experiment)
        if rows:
            names = tuple(rows[0][3])
            body = [(TITLES[user], method, context, *(_figure(values[n]) for n in names)) for user, method, context, values in rows]
            found.append(PageTable(title, f"{text} {spread}", ("prompts", "method", "context", *names), body))
    found += _saved(table)
    rows = measures.yardsticks(table)
    if rows:
        names = tuple(rows[0][3])
        body = [(TITLES[u], m, str(size), *(f"{values[n]:.3g}" for n in names)) for u, m, size, values in rows]
        text = "Images worked to 95 % Dice or the cap, which counts where a Dice was never reached; the context holds reference masks."
        found.append(PageTable("Yardsticks", text, ("prompts", "method", "examples", *names), body))
        found += _gap(rows)
    if orders := measures.order_effects(table):
        text = "How far the total steps of a sequence stray when the same images come in another order, and when other images are drawn."
        body = [(m, f"{within:.3g}", _number(between)) for m, within, between in orders]
        found.append(PageTable("Order", text, ("method", "deviation over orders", "over drawn images"), body))
    if cycles := measures.cycle_verification(table):
        names = tuple(cycles[0][1])
        text = "Examples segmented back from the prediction they led to: as confidence, as a check of the examples, and its price."
        found.append(PageTable("Cycle verification", text, ("method", *names), [(m, *(_number(v[n]) for n in names)) for m, v in cycles]))
    return found


def _costs(path: Path) -> list[PageTable]:
    """What the sequences took, and what those of the paper would take on so many workers of this kind."""
    sums: dict[tuple[str, str, str], np.ndarray] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["experiment"] == SEQUENCE:
                key = row["user"], row["method"], row["context"]
                sums[key] = sums.get(key, np.zeros(2)) + np.array([row["simulations"], row["seconds"]], float)
    body = []
    for (user, method, context), (count, seconds) in sums.items():
        each = seconds / count
        body.append((TITLES[user], method, context, f"{each:.3g}", *(f"{each * PAPER_SEQUENCES / 3600 / n:.3g}" for n in WORKERS)))
    head = ("prompts", "method", "context", "seconds a sequence", *(f"hours on {n}" for n in WORKERS))
    text = f"Seconds of one worker for a sequence in this run, and hours for the {PAPER_SEQUENCES:,} of the paper (161 tasks, 200 simulations each)."
    return [PageTable("Cost", text, head, body)] if body else []


def _saved(table: Table) -> list[PageTable]:
    rows = []
    for user in table.where(experiment=SEQUENCE).values("user"):
        methods = table.where(experiment=SEQUENCE, user=user).values("method")
        rows += [(TITLES[user], methods[0], other, _figure(measures.changes(table, user, methods[0], other))) for other in methods[1:]]
    text = "Percent of the steps saved, averaged over the tasks; the same images and people (figure 4)."
    return [PageTable("Steps saved", text, ("prompts", "method", "against", "saved %"), rows)] if rows else []


def _gap(rows: Sequence[tuple[str, str, int, dict[str, float]]]) -> list[PageTable]:
    """What an unsteady hand costs."""
    ideal = {(u, m, s): v for u, m, s, v in rows}
    body = []
    for user, method, size, values in rows:
        exact = ideal.get((user.removeprefix("realistic "), method, size))
        if user.startswith("realistic ") and exact:
            gaps = (values["NoC90"] - exact["NoC90"], values["area under Dice(n)"] - exact["area under Dice(n)"])
            body.append((TITLES[user], method, str(size), *(f"{g:+.3g}" for g in gaps)))
    text = "The unsteady hand less the ideal prompts: more steps, less area under Dice(n)."
    return (
        [PageTable("The gap to ideal prompts", text, ("prompts", "method", "examples", "NoC90", "area under Dice(n)"), body)]
        if body
        else []
    )


def markdown(sheets: Sequence[PageTable]) -> str:
    """The tables as Markdown."""
    blocks = []
    for sheet in sheets:
        lines = [f"### {sheet.title}", "", sheet.text, "", "| " + " | ".join(sheet.head) + " |", "|" + "---|" * len(sheet.head)]
        blocks.append("\n".join(lines + ["| " + " | ".join(row) + " |" for row in sheet.rows]))
    return "\n\n".join(blocks) + "\n"


def cases_of(folder: Path, table: Table, jobs: Sequence[EvaluationJob], tasks: Sequence[EvaluationTask], each: int = 3) -> list[Case]:
    """The best, median and worst images of the first method with examples, by final Dice and steps, of the first draw; only of datasets whose
    images may be shown."""
    sequences = [j for j in jobs if j.experiment == SEQUENCE and j.setting.context in ("binary", "none")]
    if not sequences:
        return []
    first = next((j for j in sequences if j.setting.context == "binary"), sequences[0])
    method, user, context = first.method.name, first.setting.user, first.setting.context
    masks: dict[str, np.ndarray] = {}
    for job in sequences:
        path = folder / PARTS / f"{job.key}.npz"
        if (job.method.name, job.setting.user, job.setting.context) == (method, user, context) and path.is_file():
            with np.load(path, allow_pickle=False) as stored:
                masks |= {name: stored[name] for name in stored.files}
    numbers = {task.name: i for i, task in enumerate(tasks)}
    part = table.where(experiment=SEQUENCE, method=method, user=user, context=context, simulation=0, order=0, last=1)
    found = []
    for row in range(len(part)):
        place = {name: part[name][row] for name in ("dataset", "label", "axis", "position", "image", "step", "dice")}
        number = numbers.get(f"{place['dataset']} / {place['label']} / {place['axis']}", -1)
        if number >= 0 and tasks[number].licence and f"{number}-{place['position']}" in masks:
            found.append((float(place["step"]), -float(place["dice"]), number, int(place["position"]), int(place["image"])))
    found.sort()
    each = min(each, len(found) // 3)
    middle = (len(found) - each) // 2
    chosen = [(r, f) for r, at in zip(_RANKS, (0, middle, len(found) - each), strict=True) for f in found[at : at + each]]
    return [_case(rank, tasks[f[2]], f, masks[f"{f[2]}-{f[3]}"]) for rank, f in chosen]


def _case(rank: str, task: EvaluationTask, found: tuple[float, float, int, int, int], packed: np.ndarray) -> Case:
    steps, minus_dice, _, position, image = found
    label = np.asarray(task.labels[image], bool)
    mask = np.unpackbits(packed, axis=-1)[:, : label.shape[1]].astype(bool)
    title = f"{task.name}, image {position}: {steps:.0f} steps, Dice {-minus_dice:.2f}"
    return Case(rank, title, task.licence, task.images[image], label, mask)


def case_png(case: Case) -> bytes:
    """The image with reference (green) and result (orange)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2, 2.2), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(case.image, cmap="gray", vmin=0, vmax=1)
    for mask, colour in ((case.label, "#20c060"), (case.mask, "#ff8c00")):
        if mask.any() and not mask.all():
            axes.contour(mask, [0.5], colors=colour, linewidths=1)
    axes.set_axis_off()
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def page(facts: dict[str, Any], sheets: Sequence[PageTable], figures: Sequence[tuple[str, bytes]], cases: Sequence[Case]) -> str:
    """One HTML page that refers to no other file; ``figures``: captions and the content of SVG files.

    Raises:
        MultiverSegError: jinja2 is missing.
    """
    from ..core.errors import MultiverSegError

    try:
        import jinja2
    except ImportError as error:
        raise MultiverSegError("The report needs the Python package jinja2: install it (pip install jinja2).") from error
    text = resource_path("Report", "evaluation.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True).from_string(text)
    pictures = [(case, base64.b64encode(case_png(case)).decode()) for case in cases]
    drawn = [(caption, base64.b64encode(svg).decode()) for caption, svg in figures]
    return template.render(facts=facts, sheets=sheets, figures=drawn, cases=pictures, ranks=_RANKS)


def _figure(values: measures.Figure) -> str:
    mean, low, high, deviation = values
    if math.isnan(mean) or math.isnan(low):
        return _number(mean)
    return f"{mean:.4g} ± {deviation:.2g} ({low:.4g} to {high:.4g})"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"
