"""The demo's page: what the simulated radiologist needed along the cohort, with context and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.sample_cohorts import sample_of

if TYPE_CHECKING:
    from ..cohort.results.html_report import Curve, Plot
    from .run import DemoRun

_WINDOW = 5
_METHOD = (
    "A simulated radiologist goes through the cases in order. On the slice with the largest area of the structure it clicks into the centre of the "
    "largest component of the error, until the result reaches a Dice of 0.90 against the reference or after {cap} clicks (marked *). The first click "
    "of the first case goes into the centre of the structure. The accepted result, thresholded at 0.5, becomes an example for the cases after it; the "
    "run without context starts from nothing each time. Dice is measured on the voxels of the slice. Protocol: Wong et al., MultiverSeg, sections 5.3 and 6.1."
)


def write_demo_report(run: DemoRun) -> Path:
    """Write ``report.html`` into the run's folder; its path."""
    from ..cohort.results.html_report import Report, ReportCase, write_report

    cases = []
    for ours, plain in zip(run.with_context, run.without_context, strict=True):
        values = {
            "examples": ours.n_context,
            "first Dice": "" if ours.first_dice != ours.first_dice else f"{ours.first_dice:.3f}",
            "clicks": _clicks(ours),
            "Dice": f"{ours.dice:.3f}",
            "seconds": f"{ours.seconds:.1f}",
            "clicks without context": _clicks(plain),
            "Dice without context": f"{plain.dice:.3f}",
        }
        cases.append(ReportCase(ours.case, values, [ours.overlay] if ours.overlay is not None else []))
    report = Report(
        title=f"{run.structure.capitalize()}: {len(cases)} cases in context",
        lead=f"Slices along {run.axis}, {run.predictor.description}. Each accepted case becomes an example for the next. One slice of each volume is "
        "segmented, the one with the largest area of the structure, not the volume. Cases, pictures and table are of the first order.",
        figures=_figures(run),
        plots=plots(run),
        cases=cases,
        notes=[_METHOD.format(cap=run.max_clicks), *_data_note(run)],
    )
    return write_report(run.out / "report.html", report)


def _figures(run: DemoRun) -> dict[str, str]:
    ours, plain = run.walks[0].clicks
    later = [o.first_dice for o in run.with_context if o.first_dice == o.first_dice]
    reached = sum(o.reached for o in run.with_context)
    figures = {"clicks with context": str(ours), "clicks without context": str(plain)}
    shares = [walk.saved for walk in run.walks if walk.saved is not None]
    if shares:
        figures["clicks saved"] = f"{shares[0]:.0%}"
    if len(shares) > 1:
        figures[f"saved over {len(shares)} orders"] = f"{sum(shares) / len(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"
    figures["cases at 0.90 Dice"] = f"{reached} of {len(run.with_context)}"
    figures["cases without any click"] = str(sum(o.clicks == 0 for o in run.with_context))
    if later:
        figures["mean Dice before any click"] = f"{sum(later) / len(later):.2f}"
    return figures


def plots(run: DemoRun) -> list[Plot]:
    """Clicks a case and clicks in all: means over the orders of the cases, and the range of the single orders."""
    from itertools import accumulate

    from ..cohort.results.html_report import Plot

    number = len(run.walks)
    band = (
        f" Lines: mean of {number} orders of the cases; bands: the orders between the lowest and the highest."
        if number > 1
        else " One order of the cases: another one gives another curve."
    )
    return [
        Plot(
            "Clicks per case",
            "case",
            "clicks to 0.90 Dice",
            _curves(run, _running_mean),
            f"Fewer is better. Means of the last {_WINDOW} cases.{band} Both start alike: the first case has no context.",
        ),
        Plot(
            "Clicks in all",
            "case",
            "clicks so far",
            _curves(run, lambda clicks: list(accumulate(clicks))),
            f"The distance between the curves is the work that the context spared.{band}",
        ),
    ]


def _curves(run: DemoRun, of: Callable[[list[int]], list[float]]) -> list[Curve]:
    """With context and without: the mean over the orders, and where the single ones lie."""
    from ..cohort.results.html_report import Curve

    curves = []
    for label, name in (("with context", "with_context"), ("without context", "without_context")):
        values = [of([o.clicks for o in getattr(walk, name)]) for walk in run.walks]
        places = list(zip(*values, strict=True))
        x, y = list(range(1, len(places) + 1)), [sum(place) / len(place) for place in places]
        several = len(values) > 1
        curves.append(Curve(label, x, y, [min(p) for p in places] if several else None, [max(p) for p in places] if several else None))
    return curves


def _running_mean(values: list[int]) -> list[float]:
    """Mean of each value and the ones before it, ``_WINDOW`` at most."""
    parts = [values[max(0, n - _WINDOW + 1) : n + 1] for n in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def _data_note(run: DemoRun) -> list[str]:
    """Whoever passes pictures of a sample cohort on must name where they are from."""
    sample = sample_of(run.cases[0].image) if run.cases else None
    if sample is None:
        return []
    note = f"Images and reference segmentations: {sample.source} No model of this repository was trained on them."
    return [note, sample.caution] if sample.caution else [note]


def _clicks(outcome) -> str:
    return f"{outcome.clicks}{'' if outcome.reached else '*'}"
