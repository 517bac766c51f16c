"""The figures of an evaluation, from its table alone, each as SVG and PNG with a sentence that says what it shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.files import replacing
from . import measures
from .measures import Line
from .plan import CONTEXT_ONLY, CORRECTED, SEQUENCE, YARDSTICKS
from .table import Table

COLOURS = ("#d95f02", "#4c72b0", "#1b9e77", "#7570b3", "#a6761d", "#e7298a", "#666666", "#66a61e")
#: With more labels than this the legend of a single panel stands beside it.
_LABELS_INSIDE = 6
TITLES = {
    "clicks": "centre clicks",
    "scribbles": "centerline scribbles",
    "realistic clicks": "clicks by an unsteady hand",
    "realistic scribbles": "scribbles by an unsteady hand",
}


@dataclass(frozen=True)
class Drawing:
    """A figure: its file's ``name``, what it shows, and the matplotlib figure."""

    name: str
    caption: str
    figure: Any


def draw_all(table: Table) -> Iterator[Drawing]:
    """Every figure for which the table has rows."""
    shading = f"Shaded: 95 % bootstrap intervals over the {measures.unit_of(table)}s."
    sequences = table.where(experiment=SEQUENCE)
    users = sequences.values("user")
    if users:
        yield Drawing("steps", f"Interactions to 90 % Dice for the n-th image of a sequence (figure 3). {shading}", _by_user(table, users))
        yield Drawing("totals", "Interactions for a whole sequence, by dataset (figure 16).", _bars(table, users, _totals_of))
        yield from _steps_by(table, users, "dataset", "figure 11", shading)
        yield from _steps_by(table, users, "label", "figures 12 and 13", shading)
    for user in users:
        if figure := _contexts(table, user):
            caption = (
                f"{TITLES[user]}: what enters the context (figure 14): thresholded predictions, probabilities, or the reference. {shading}"
            )
            yield Drawing(f"contexts-{user.replace(' ', '-')}", caption, figure)
        if figure := _saved(table, user):
            yield Drawing(
                f"saved-{user.replace(' ', '-')}", f"{TITLES[user]}: steps saved against each other method, by task (figure 4).", figure
            )
    if lines := [measures.along(t, f"{m}, {c}", "dice") for m, c, t in measures.bootstrapped(table)]:
        caption = (
            f"Nobody corrects: Dice of the n-th image when predictions become the context (figure 17); truth: the references do. {shading}"
        )
        yield Drawing("bootstrapped", caption, draw_panels([("", lines)], "number of the image", "Dice", top=1))
    if sizes := measures.context_sizes(table):
        unit = f"Shaded: 95 % bootstrap intervals over the {measures.unit_of(table.where(experiment=CONTEXT_ONLY))}s."
        lines = [measures.against_size(t, m) for m, t in sizes.items()]
        caption = f"Dice from examples alone against their number (figure 6), reference masks as context. {unit}"
        yield Drawing("context-size", caption, draw_panels([("", lines)], "examples", "Dice", top=1, log=True))
        panels = draw_panels(_split(sizes, measures.against_size), "examples", "Dice", top=1, log=True)
        yield Drawing("context-size-by-dataset", f"The same by dataset (figure 19). {unit}", panels)
    for user in table.where(experiment=CORRECTED).values("user"):
        yield from _corrected(table, user)
    yardsticks = table.where(experiment=YARDSTICKS)
    if len(yardsticks):
        caption = "Dice after each number of interactions, from images worked to 95 % Dice; ideal prompts beside those of an unsteady hand."
        yield Drawing("dice-by-steps", caption, _dice_by_steps(yardsticks))


def save_drawing(drawing: Drawing, folder: Path) -> list[Path]:
    """Writes NAME.svg and NAME.png."""
    paths = [folder / f"{drawing.name}.{ending}" for ending in ("svg", "png")]
    for path in paths:
        with replacing(path) as temporary:
            metadata = {"Date": None} if path.suffix == ".svg" else None
            drawing.figure.savefig(temporary, dpi=110, metadata=metadata)
    return paths


def _canvas(panels: int, width: float = 4.2, height: float = 3.0) -> tuple[Any, list[Any]]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "multiverseg"  # equal tables give equal files
    columns = min(3, panels)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes[panels:]:
        axis.set_axis_off()
    return figure, axes[:panels]


def draw_panels(panels: Sequence[tuple[str, list[Line]]], x: str, y: str, top: float | None = None, log: bool = False) -> Any:
    """A panel of lines for each (title, lines); a label has one colour in all of them."""
    figure, axes = _canvas(len(panels))
    labels = list(dict.fromkeys(line.label for _, lines in panels for line in lines))
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for line in lines:
            number = labels.index(line.label)
            colour, style = COLOURS[number % len(COLOURS)], ("-", "--", ":")[number // len(COLOURS) % 3]
            axis.plot(line.x, line.y, style, color=colour, marker=".", label=line.label)
            axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, lw=0)
        axis.set(title=title, xlabel=x, ylabel=y)
        axis.set_ylim(0, top)
        if log:
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    if len(labels) > _LABELS_INSIDE and len(panels) == 1:
        figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=7, loc="outside right center")
        figure.set_size_inches(6.6, 3.6)
    elif len(labels) > 1:
        axes[0].legend(frameon=False, fontsize=7)
    return figure


def _by_user(table: Table, users: Sequence[str]) -> Any:
    panels = []
    for user in users:
        methods = table.where(experiment=SEQUENCE, user=user).values("method")
        panels.append((TITLES[user], [measures.along(measures.sequence(table, user, m), m) for m in methods]))
    return draw_panels(panels, "number of the image", "interactions")


def _steps_by(table: Table, users: Sequence[str], level: str, which: str, shading: str) -> Iterator[Drawing]:
    for user in users:
        rows = table.where(experiment=SEQUENCE, user=user)
        parts = {m: measures.sequence(table, user, m) for m in rows.values("method")}
        names = ["dataset"] if level == "dataset" else ["dataset", "label", "axis"]
        groups = _names(rows, names)
        if level != "dataset" and len(groups) == len(_names(rows, ["dataset"])):
            continue
        panels = []
        for key in groups:
            chosen = {m: t.where(**dict(zip(names, key, strict=True))) for m, t in parts.items()}
            panels.append((", ".join(key), [measures.along(t, m) for m, t in chosen.items() if len(t)]))
        name = f"steps-by-{'dataset' if level == 'dataset' else 'task'}-{user.replace(' ', '-')}"
        caption = f"{TITLES[user]}: interactions to 90 % Dice for the n-th image, by {'dataset' if level == 'dataset' else 'task'} ({which}). {shading}"
        yield Drawing(name, caption, draw_panels(panels, "number of the image", "interactions"))


def _names(table: Table, names: Sequence[str]) -> list[tuple[str, ...]]:
    return sorted(set(zip(*(table[name].tolist() for name in names), strict=True)))


def _split(parts: dict[str, Table], line: Callable[[Table, str], Line]) -> list[tuple[str, list[Line]]]:
    datasets = sorted({d for t in parts.values() for d in t.values("dataset")})
    return [(d, [line(t.where(dataset=d), m) for m, t in parts.items() if d in t.values("dataset")]) for d in datasets]


def _totals_of(part: Table) -> measures.Figure:
    return measures.summary_row(part)["total steps"]


def _bars(table: Table, users: Sequence[str], value: Callable[[Table], measures.Figure]) -> Any:
    """Per user a panel: a bar for each dataset and method, and their mean."""
    figure, axes = _canvas(len(users), 6.0, 3.4)
    for axis, user in zip(axes, users, strict=True):
        rows = table.where(experiment=SEQUENCE, user=user)
        datasets, methods = sorted(rows.values("dataset")), rows.values("method")
        width = 0.8 / max(len(methods), 1)
        for number, method in enumerate(methods):
            part = measures.sequence(table, user, method)
            figures = [value(part.where(dataset=d)) for d in datasets] + [value(part)]
            x = np.arange(len(figures)) + (number - (len(methods) - 1) / 2) * width
            means = np.array([f[0] for f in figures])
            bounds = np.array([[max(f[0] - f[1], 0), max(f[2] - f[0], 0)] for f in figures]).T
            axis.bar(x, means, width, color=COLOURS[number % len(COLOURS)], label=method, yerr=np.nan_to_num(bounds), error_kw={"lw": 0.8})
        axis.set_xticks(range(len(datasets) + 1), [*datasets, "mean"], rotation=60, ha="right", fontsize=7)
        axis.set(title=TITLES[user], ylabel="interactions a sequence")
        axis.margins(y=0.25)  # room for the legend above the bars
        axis.spines[["top", "right"]].set_visible(False)
    if axes:
        axes[0].legend(frameon=False, fontsize=7)
    return figure


def _contexts(table: Table, user: str) -> Any:
    rows = table.where(experiment=SEQUENCE, user=user)
    panels = []
    for method in rows.values("method"):
        part = rows.where(method=method)
        kinds = part.values("context")
        if len(kinds) > 1:
            panels.append((method, [measures.along(part.where(context=c), c) for c in kinds]))
    return draw_panels(panels, "number of the image", "interactions") if panels else None


def _saved(table: Table, user: str) -> Any:
    methods = table.where(experiment=SEQUENCE, user=user).values("method")
    if len(methods) < 2:
        return None
    ours, others = methods[0], methods[1:]
    figures = [measures.changes(table, user, ours, other) for other in others]
    figure, (axis,) = _canvas(1, 4.2, 0.9 + 0.5 * len(others))
    for number, (mean, low, high, _) in enumerate(figures):
        axis.barh(number, mean, 0.6, color=COLOURS[(number + 1) % len(COLOURS)])
        axis.plot([low, high], [number, number], color="black", lw=1)
    axis.set_yticks(range(len(others)), [f"against {other}" for other in others], fontsize=8)
    axis.axvline(0, color="black", lw=0.8)
    axis.set(title=f"{ours}, {TITLES[user]}", xlabel="steps saved (%)")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _corrected(table: Table, user: str) -> Iterator[Drawing]:
    parts = measures.corrected(table, user)
    methods = list(dict.fromkeys(m for m, _ in parts))

    def lines(of: Callable[[Table], Table], method: str) -> list[Line]:
        sizes = {s: of(t) for (m, s), t in parts.items() if m == method}
        return [measures.against_steps(t, f"{s} examples" if s != 1 else "1 example") for s, t in sizes.items() if len(t)]

    overall = draw_panels([(m, lines(lambda t: t, m)) for m in methods], "interactions", "Dice", top=1)
    shading = "Shaded: 95 % bootstrap intervals over the datasets."
    name = user.replace(" ", "-")
    yield Drawing(f"corrected-{name}", f"{TITLES[user]} with reference masks as context, by its size (figure 7). {shading}", overall)
    datasets = sorted({d for t in parts.values() for d in t.values("dataset")})
    for number, method in enumerate(methods):
        panels = [(d, lines(lambda t, d=d: t.where(dataset=d), method)) for d in datasets]
        caption = f"{method}: the same by dataset (figures 20 and 21). {shading}"
        yield Drawing(f"corrected-{name}-by-dataset-{number + 1}", caption, draw_panels(panels, "interactions", "Dice", top=1))


def _dice_by_steps(rows: Table) -> Any:
    panels = []
    for kind in ("clicks", "scribbles"):
        lines = []
        for user in (u for u in rows.values("user") if u.endswith(kind)):
            for method in rows.where(user=user).values("method"):
                part = rows.where(user=user, method=method)
                for size in sorted(part.values("context_size")):
                    label = f"{method}, {size} examples" + (", unsteady" if user != kind else "")
                    lines.append(measures.against_steps(part.where(context_size=size), label))
        if lines:
            panels.append((TITLES[kind], lines))
    return draw_panels(panels, "interactions", "Dice", top=1)
