"""A report that is one HTML file: figures, curves, a picture and a row per case. Needs jinja2 and matplotlib, which Slicer does not bring.

The demo and the cohort fill in a ``Report`` and call ``write_report``; nothing here knows where the numbers come from.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import MultiverSegError
from ...core.resources import resource_path
from ..store.files import write_atomically

POSITIVE, NEGATIVE, BOX = "#2ecc40", "#ff3b30", "#ffd60a"
OUTLINES = {"result": "#ffb000", "reference": "#4cc9f0", "proposal": "#ff7bd5"}
LINES = ("#0b6bcb", "#d9822b", "#2a9d5c", "#8e44ad")
_PICTURE_INCHES, _PICTURE_DPI = 3.0, 110
_FINE = 8  # outlines follow pixel borders: masks are enlarged by this factor before they are traced


@dataclass(frozen=True)
class MarkedPicture:
    """A slice and what lies on it; all arrays [row, col] on one grid, coordinates (row, col) with pixel centres at integers.

    ``outlines`` are masks by name ("result", "reference"); ``positive`` and ``negative`` are clicks, shape (n, 2); ``scribbles`` are
    (points (n, 2), is positive); ``boxes`` are (top, left, bottom, right). ``pixel_mm`` is the size of a pixel (row, col). ``png``: the picture,
    where it is drawn already.
    """

    image: np.ndarray
    outlines: Mapping[str, np.ndarray] = field(default_factory=dict)
    positive: Sequence[tuple[float, float]] = ()
    negative: Sequence[tuple[float, float]] = ()
    scribbles: Sequence[tuple[Any, bool]] = ()
    boxes: Sequence[tuple[float, float, float, float]] = ()
    pixel_mm: tuple[float, float] = (1.0, 1.0)
    caption: str = ""
    png: bytes = b""

    def drawn(self) -> MarkedPicture:
        """With its picture, where that is to be made earlier than the page."""
        return replace(self, png=overlay_png(self))


@dataclass(frozen=True)
class ReportCase:
    """A row of the table (column name -> text or number) and the pictures of the case."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    overlays: Sequence[MarkedPicture] = ()


@dataclass(frozen=True)
class Curve:
    """One line of a plot; ``low`` and ``high`` shade an interval around it. With ``dots`` (the single values) the line itself has no markers."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dots: Sequence[float] | None = None


@dataclass(frozen=True)
class Plot:
    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    note: str = ""
    top: float | None = None


@dataclass(frozen=True)
class ProposalCard:
    """A picture of a proposal and what is said below it.

    ``key`` names it for the command line; ``picture`` is a PNG in base64, or empty, then ``problem`` says why; ``acceptable``: as it is.
    """

    key: str
    case: str
    title: str = ""
    picture: str = ""
    problem: str = ""
    confidence: float | None = None
    size: str = ""
    remarks: Sequence[str] = ()
    acceptable: bool = True

    @property
    def confidence_text(self) -> str:
        return "unknown" if self.confidence is None else f"{self.confidence:.2f}"


@dataclass(frozen=True)
class Report:
    """What the page says, from top to bottom; texts are plain (HTML in them is escaped). ``proposals``: the first of ``proposal_count``."""

    title: str
    lead: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    plots: Sequence[Plot] = ()
    cases: Sequence[ReportCase] = ()
    notes: Sequence[str] = ()
    footer: str = ""
    proposals: Sequence[ProposalCard] = ()
    proposal_count: int = 0


def write_report(path: str | Path, report: Report) -> Path:
    """Write ``report`` to ``path``, complete or not at all; the file refers to no other file and no address.

    Raises:
        MultiverSegError: jinja2 or matplotlib is not installed, or the file can't be written.
    """
    write_atomically(path, render_report(report))
    return Path(path)


def render_report(report: Report) -> str:
    """The page as text. Raises MultiverSegError when jinja2 or matplotlib is missing."""
    template = page_template("report.html")
    cases = [
        (case, [(overlay, base64.b64encode(overlay.png or overlay_png(overlay)).decode()) for overlay in case.overlays])
        for case in report.cases
    ]
    return template.render(
        report=report,
        plots=[(plot, plot_svg(plot)) for plot in report.plots],
        cases=cases,
        columns=list(dict.fromkeys(column for case in report.cases for column in case.values)),
        legend=_legend(report.cases),
        footer=report.footer or made_now(),
        proposals=report.proposals,
        proposal_count=report.proposal_count,
        marking=False,
    )


def page_template(name: str) -> Any:
    """One of the pages in Resources/Report, to be rendered. Raises MultiverSegError when jinja2 or matplotlib is missing."""
    try:
        import jinja2
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MultiverSegError(f"A report needs the Python package {error.name}: install it (pip install {error.name}).") from error
    pages = jinja2.FileSystemLoader(resource_path("Report"))
    return jinja2.Environment(loader=pages, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True).get_template(name)


def made_now() -> str:
    """The line at a page's end."""
    return f"Made by MultiverSeg for 3D Slicer on {datetime.now():%Y-%m-%d %H:%M}."


def overlay_png(overlay: MarkedPicture) -> bytes:
    """The picture as PNG, about 330 pixels wide: grey image, outlines of the masks, prompts on top."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, cols = overlay.image.shape
    height_mm, width_mm = rows * overlay.pixel_mm[0], cols * overlay.pixel_mm[1]
    figure = Figure(figsize=(_PICTURE_INCHES, _PICTURE_INCHES * height_mm / width_mm), dpi=_PICTURE_DPI, facecolor="black")
    FigureCanvasAgg(figure)
    draw_overlay(figure.add_axes((0, 0, 1, 1)), overlay)
    return _saved(figure, "png")


def draw_overlay(axes: Any, overlay: MarkedPicture) -> None:
    """The picture on matplotlib's axes, which it fills."""
    rows, cols = overlay.image.shape
    axes.set_axis_off()
    axes.imshow(overlay.image, cmap="gray", interpolation="nearest", aspect="auto")
    for name, mask in overlay.outlines.items():
        _draw_outline(axes, np.asarray(mask, bool), OUTLINES.get(name, LINES[0]), dashed=name == "reference")
    _draw_prompts(axes, overlay)
    axes.set_xlim(-0.5, cols - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)


def plot_svg(plot: Plot) -> str:
    """The plot as an inline ``<svg>`` element. Texts are plain: a dollar sign in a structure's name begins no formula."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False}):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        FigureCanvasSVG(figure)
        draw_plot(figure.add_subplot(), plot)
        svg = _saved(figure, "svg").decode("utf-8")
    return svg[svg.index("<svg") :]


def draw_plot(axes: Any, plot: Plot) -> None:
    """The plot on matplotlib's axes."""
    from matplotlib.ticker import MaxNLocator

    for curve, colour in zip(plot.curves, LINES * (1 + len(plot.curves) // len(LINES)), strict=False):
        marker = "o" if curve.dots is None else None
        axes.plot(curve.x, curve.y, color=colour, label=curve.label, linewidth=1.8, marker=marker, markersize=3.5)
        if curve.dots is not None:
            axes.plot(curve.x, curve.dots, "o", color=colour, markersize=3, alpha=0.4)
        if curve.low is not None and curve.high is not None:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
    axes.set(title=plot.title, xlabel=plot.x_label, ylabel=plot.y_label)
    flat = not any(value for curve in plot.curves for value in (*curve.y, *(curve.dots or ())))
    axes.set_ylim(0, plot.top if plot.top is not None or not flat else 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if all(float(value).is_integer() for curve in plot.curves for value in (curve.y if curve.dots is None else curve.dots)):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(plot.curves) > 1:
        axes.legend(frameon=False)


def _saved(figure: Any, kind: str) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, facecolor=figure.get_facecolor(), metadata={"Date": None} if kind == "svg" else None)
    return stream.getvalue()


def _draw_outline(axes: Any, mask: np.ndarray, colour: str, dashed: bool) -> None:
    if not mask.any():
        return
    # only around the structure: tracing takes most of a report's time
    first, last = np.argwhere(mask).min(0), np.argwhere(mask).max(0)
    fine = np.kron(np.pad(mask[first[0] : last[0] + 1, first[1] : last[1] + 1], 1), np.ones((_FINE, _FINE)))
    rows, cols = ((np.arange(n) + 0.5) / _FINE - 1.5 + start for n, start in zip(fine.shape, first, strict=True))
    axes.contour(cols, rows, fine, [0.5], colors=[colour], linewidths=1.2 if dashed else 1.8, linestyles="dashed" if dashed else "solid")


def _draw_prompts(axes: Any, overlay: MarkedPicture) -> None:
    from matplotlib.patches import Rectangle

    for top, left, bottom, right in overlay.boxes:
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=BOX, linewidth=1.5))
    for points, positive in overlay.scribbles:
        rows, cols = np.asarray(points, float).reshape(-1, 2).T
        axes.plot(cols, rows, color=POSITIVE if positive else NEGATIVE, linewidth=2, solid_capstyle="round")
    for points, colour, marker in ((overlay.positive, POSITIVE, "o"), (overlay.negative, NEGATIVE, "X")):
        if len(points):
            rows, cols = np.asarray(points, float).reshape(-1, 2).T
            axes.scatter(cols, rows, s=44, color=colour, marker=marker, edgecolors="black", linewidths=0.7, zorder=3)


def _legend(cases: Sequence[ReportCase]) -> list[tuple[str, str]]:
    """Only what is in at least one picture."""
    overlays = [overlay for case in cases for overlay in case.overlays]
    names = dict.fromkeys(name for overlay in overlays for name in overlay.outlines)
    entries = [(name, OUTLINES.get(name, LINES[0])) for name in names]
    if any(_has_sign(overlay, True) for overlay in overlays):
        entries.append(("positive prompt", POSITIVE))
    if any(_has_sign(overlay, False) for overlay in overlays):
        entries.append(("negative prompt", NEGATIVE))
    if any(len(overlay.boxes) for overlay in overlays):
        entries.append(("box", BOX))
    return entries


def _has_sign(overlay: MarkedPicture, positive: bool) -> bool:
    clicks = overlay.positive if positive else overlay.negative
    return len(clicks) > 0 or any(sign is positive for _, sign in overlay.scribbles)
