"""``multiverseg demo``: a simulated radiologist goes through a cohort of real volumes, with context and without.

The protocol is the paper's (MultiverSeg, sections 5.3 and 6.1): clicks in the centre of the largest error, until 90 % Dice or 20 clicks; the
accepted prediction, thresholded, enters the context. Everything between click and voxel is what the module in Slicer does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..cli.console import NOTICE, say, written
from ..cli.options import Device, Model, Strategy
from ..core.counting import counted
from ..core.errors import VolumeError
from ..core.sample_cohorts import SAMPLE_COHORTS

if TYPE_CHECKING:
    import numpy as np

    from ..cohort.results.html_report import MarkedPicture

TARGET_DICE = 0.9
MAX_CLICKS = 20
_VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    cohort: Annotated[
        Path | None, typer.Option(help="Folder with images/ and labels/ of the same file names. Default: a sample cohort.")
    ] = None,
    sample: Annotated[str, typer.Option(help=f"Which sample cohort: {' or '.join(SAMPLE_COHORTS)}.")] = "hippocampus",
    out: Annotated[Path, typer.Option(help="Where the results and report.html go.")] = Path("demo-output"),
    cases: Annotated[int, typer.Option(min=1, help="At most so many cases.")] = 100,
    axis: Annotated[str, typer.Option(help="auto, or the array axis the slices follow: i, j or k.")] = "auto",
    label: Annotated[int | None, typer.Option(help="Value of the structure in the labels. Default: everything that is not 0.")] = None,
    structure: Annotated[str | None, typer.Option(help="Name of the structure. Default: the sample cohort's.")] = None,
    model: Model = "compact",
    device: Device = "auto",
    strategy: Strategy = "most_similar",
    cap: Annotated[int, typer.Option(min=1, help="At most so many examples per prediction.")] = 16,
    seed: Annotated[int, typer.Option(help="Order of the cases (as stored: 0) and the clicks' ties.")] = 0,
    orders: Annotated[int, typer.Option(min=1, help="Go through the cases in so many orders: how much is saved depends on it.")] = 7,
) -> None:
    """Segment a cohort case by case with simulated clicks, with context and without.

    Writes one .seg.nrrd per case (of the first order) and report.html into --out. The further orders, --seed and the numbers after it, say how
    far the saving is a matter of luck.

    Example: [bold]multiverseg demo --out demo-output[/bold]
    """
    from .page import write_demo_report

    if axis not in ("auto", "i", "j", "k"):
        raise typer.BadParameter("must be auto, i, j or k.", param_hint="--axis")
    if sample not in SAMPLE_COHORTS:
        raise typer.BadParameter(f"must be {' or '.join(SAMPLE_COHORTS)}.", param_hint="--sample")
    folder = SAMPLE_COHORTS[sample].path if cohort is None else cohort
    structure = structure or (SAMPLE_COHORTS[sample].structure if cohort is None else "structure")
    run = DemoRun(find_cases(folder)[:cases], Path(out), axis, label, structure, model, device, strategy, cap, seed)
    run.start()
    say(f"{len(run.cases)} cases, structure {structure}, slices along {run.axis}, {run.predictor.description}")
    say(f"{'case':<20}{'clicks':>7}{'without context':>17}{'first Dice':>12}{'final Dice':>12}{'seconds':>9}")
    for result in run.results():
        written.add(run.out / f"{result.with_context.case}.seg.nrrd")
        say(result.line())
    say(f"order 1: {run.walks[0]}")
    for walk in run.further_orders(orders):
        say(f"order {len(run.walks)}: {walk}")
    report = write_demo_report(run)
    written.add(report)
    say(f"clicks saved by context: {run.saving()}")
    say(f"report: {report}")
    say(NOTICE)


@dataclass(frozen=True)
class DemoCase:
    name: str
    image: Path
    label: Path


@dataclass
class SliceOutcome:
    """How one case went. ``first_dice`` is the Dice before any click (NaN without context); pictures on the grid."""

    case: str
    clicks: int
    first_dice: float
    dice: float
    seconds: float
    n_context: int
    overlay: MarkedPicture | None = None

    @property
    def reached(self) -> bool:
        return self.dice >= TARGET_DICE


@dataclass
class Walk:
    """One way through the cohort: the outcomes in the order of the cases, with context and without."""

    with_context: list[SliceOutcome] = field(default_factory=list)
    without_context: list[SliceOutcome] = field(default_factory=list)

    @property
    def clicks(self) -> tuple[int, int]:
        """In all, with context and without."""
        return sum(o.clicks for o in self.with_context), sum(o.clicks for o in self.without_context)

    @property
    def saved(self) -> float | None:
        """Share of the clicks that the context spared; None if there was none to spare."""
        ours, plain = self.clicks
        return 1 - ours / plain if plain else None

    def __str__(self) -> str:
        ours, plain = self.clicks
        saved = "" if self.saved is None else f" ({self.saved:.0%} saved)"
        return f"{ours} clicks with context, {plain} without{saved}"


@dataclass
class Pair:
    """A case with context and without."""

    with_context: SliceOutcome
    without: SliceOutcome

    def line(self) -> str:
        a, b = self.with_context, self.without
        first = f"{a.first_dice:.2f}" if a.first_dice == a.first_dice else "-"
        clicks, others = (f"{o.clicks}{'' if o.reached else '*'}" for o in (a, b))
        return f"{a.case:<20}{clicks:>7}{others:>17}{first:>12}{a.dice:>12.2f}{a.seconds:>9.1f}"


def find_cases(folder: Path) -> list[DemoCase]:
    """The image and label pairs of a cohort folder, in the order of their names.

    Raises:
        VolumeError: no pair is there.
    """
    folder = Path(folder)
    images = sorted(p for p in (folder / "images").glob("*") if p.name.lower().endswith(_VOLUME_ENDINGS))
    cases = [DemoCase(p.name.split(".")[0], p, folder / "labels" / p.name) for p in images if (folder / "labels" / p.name).is_file()]
    if not cases:
        raise VolumeError(f"{folder} has no images/ and labels/ with volumes of the same file names.")
    return cases


@dataclass
class DemoRun:
    """The run of a whole cohort; ``results`` does the work, case by case, ``further_orders`` does it again in other orders.

    ``walks``: what came of each order; the first is the one that is written and pictured.
    """

    cases: list[DemoCase]
    out: Path
    axis: str
    label: int | None
    structure: str
    model: str
    device: str
    strategy: str
    cap: int
    seed: int
    max_clicks: int = MAX_CLICKS
    walks: list[Walk] = field(default_factory=list)

    @property
    def with_context(self) -> list[SliceOutcome]:
        return self.walks[0].with_context

    @property
    def without_context(self) -> list[SliceOutcome]:
        return self.walks[0].without_context

    def start(self) -> None:
        """Everything that comes before the first case."""
        from ..cli.console import step
        from ..core.files import remove_leftovers
        from ..core.predictors import open_predictor, warm_up
        from ..mrml.headless import start

        self.out.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.out)
        with step("Starting MRML"):
            start()
        with step("Loading the model"):
            self.predictor = open_predictor(self.model, self.device)
            warm_up(self.predictor)
        if self.axis == "auto":
            self.axis = self._largest_axis(self.cases[0])

    def results(self) -> Iterator[Pair]:
        """Segment case after case; the context grows in between."""
        walk = Walk()
        self.walks = [walk]
        yield from self._through(walk, self.seed, keep=True)

    def further_orders(self, count: int) -> Iterator[Walk]:
        """Do it again in other orders, up to ``count`` in all; nothing of them is written. Few cases have fewer orders."""
        tried = {tuple(self._permutation(self.seed))}
        for seed in range(self.seed + 1, self.seed + count):
            order = tuple(self._permutation(seed))
            if order in tried:
                continue
            tried.add(order)
            walk = Walk()
            for _ in self._through(walk, seed, keep=False):
                pass
            self.walks.append(walk)
            yield walk

    def saving(self) -> str:
        """The clicks saved, over the orders."""
        shares = [walk.saved for walk in self.walks if walk.saved is not None]
        if not shares:
            return "there were none to save"
        mean = sum(shares) / len(shares)
        return f"{mean:.0%}" + (
            f" on average over {len(shares)} orders ({min(shares):.0%} to {max(shares):.0%})" if len(shares) > 1 else ""
        )

    def _through(self, walk: Walk, seed: int, keep: bool) -> Iterator[Pair]:
        from ..core.context.context_set import ContextSet

        context = ContextSet()
        for number, index in enumerate(self._permutation(seed)):
            pair = self._segment(self.cases[index], seed + number, context, keep)
            walk.with_context.append(pair.with_context)
            walk.without_context.append(pair.without)
            yield pair

    def _permutation(self, seed: int) -> list[int]:
        import numpy as np

        count = len(self.cases)
        return list(range(count)) if seed == 0 else [int(n) for n in np.random.default_rng(seed).permutation(count)]

    def _segment(self, case: DemoCase, seed: int, context: Any, keep: bool) -> Pair:
        """A case with context and without; with ``keep`` its result is written and its picture made."""
        from ..cohort.store.files import save_with
        from ..mrml.segments import remove_node, save_segmentation

        volume, reference = self._load(case)
        try:
            without = self._interact(case, seed, volume, reference, None)[0]
            outcome, session = self._interact(case, seed, volume, reference, context, keep)
            if keep:
                save_with(self.out / f"{case.name}.seg.nrrd", lambda path: save_segmentation(session.segmentation_node, path))
            if not session.is_empty():
                session.accept(case.name, self.structure)
            remove_node(session.segmentation_node)
        finally:
            remove_node(volume)
        return Pair(outcome, without)

    def _load(self, case: DemoCase) -> tuple[Any, np.ndarray]:
        """The volume node, and the reference as bool [k, j, i] on its grid."""
        from ..mrml.segments import remove_node
        from ..mrml.volume_files import load_volume
        from ..mrml.volumes import array_of

        volume = load_volume(case.image)
        labels = load_volume(case.label)
        values = array_of(labels)
        reference = values == self.label if self.label is not None else values > 0
        remove_node(labels)
        if reference.shape != array_of(volume).shape:
            raise VolumeError(f"{case.label} has another size than {case.image}: labels must lie on the image's voxel grid.")
        if not reference.any():
            raise VolumeError(f"{case.label} holds nothing of the structure: take the case out of the cohort.")
        return volume, reference

    def _interact(
        self, case: DemoCase, seed: int, volume: Any, reference: np.ndarray, context: Any, picture: bool = False
    ) -> tuple[SliceOutcome, Any]:
        """Click until the slice is right. The segmentation node of a run without context is removed again."""
        import time

        from ..engine.slice_session import SliceSession
        from ..evaluation.protocols import CenterClicks
        from ..mrml.segments import add_segment, new_segmentation, remove_node
        from ..mrml.slice_plane import SlicePlane

        index = _max_index(reference, self.axis)
        truth = _slice(reference, self.axis, index)
        segmentation = new_segmentation(volume, case.name)
        segment_id = add_segment(segmentation, self.structure)
        plane = SlicePlane.from_volume(volume, self.axis, index)
        session = SliceSession(volume, segmentation, segment_id, plane, None, self.predictor, context, strategy=self.strategy, cap=self.cap)
        user = CenterClicks(seed=seed)
        user.reset()
        n_context = min(len(context.examples), self.cap) if context is not None else 0
        started = time.perf_counter()
        dice, first_dice, clicks = float("nan"), float("nan"), 0
        if n_context:
            dice = first_dice = self._predict(session, truth)
        while not dice >= TARGET_DICE and clicks < self.max_clicks:
            result = _slice(session.voxels(), self.axis, index)
            if session.prediction is None:
                user.first(truth)
            else:
                user.correct(truth, result)
            session.add(*[_to_point(click, volume, self.axis, index) for click in user.last])
            dice = self._predict(session, truth)
            clicks += 1
        outcome = SliceOutcome(case.name, clicks, first_dice, dice, time.perf_counter() - started, n_context)
        if context is None:
            remove_node(segmentation)
        elif picture:
            outcome.overlay = _overlay(session, truth, outcome)
        return outcome, session

    def _predict(self, session: Any, truth: np.ndarray) -> float:
        from ..evaluation.simulate import fast_dice

        session.predict()
        return fast_dice(_slice(session.voxels(), self.axis, session.plane.index), truth)

    def _largest_axis(self, case: DemoCase) -> str:
        """The axis along which the structure shows the largest area on one slice."""
        from ..mrml.segments import remove_node

        volume, reference = self._load(case)
        remove_node(volume)
        return max("ijk", key=lambda axis: _slice(reference, axis, _max_index(reference, axis)).sum())


def _slice(array: np.ndarray, axis: str, index: int) -> np.ndarray:
    """Slice of a [k, j, i] array: the two other axes, in order."""
    from ..mrml.axes import on_slice

    return array[on_slice(axis, index)].astype(bool)


def _max_index(mask: np.ndarray, axis: str) -> int:
    import numpy as np

    from ..mrml.axes import array_axis

    return int(np.moveaxis(mask, array_axis(axis), 0).sum(axis=(1, 2)).argmax())


def _to_point(click: Any, volume: Any, axis: str, index: int) -> Any:
    """A click on a pixel (row, col) of the slice becomes a point in patient space."""
    import numpy as np

    from ..core.prompts import Point
    from ..mrml.axes import array_axis
    from ..mrml.volumes import ijk_to_ras

    place = [int(v) for v in click.points[0]]
    place.insert(array_axis(axis), index)  # k, j, i
    return Point(tuple((ijk_to_ras(volume) @ np.array([*place[::-1], 1.0]))[:3]), click.positive)


def _overlay(session: Any, truth: np.ndarray, outcome: SliceOutcome) -> MarkedPicture:
    """Image, result, reference and clicks on the grid, cut to what the image covers."""
    import numpy as np

    from ..cohort.results.html_report import MarkedPicture
    from ..mrml.axes import on_slice

    plane = session.plane
    sheet = plane.sheet_of(session.volume_node)
    seen = sheet.to_grid(np.ones(sheet.shape))[1] > 0.5
    rows, cols = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    window = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    offset = np.array([rows[0], cols[0]])
    clicks = {
        sign: [plane.to_grid(place)[:2] - offset for p in session.prompts if p.positive is sign for place in p.points_ras()]
        for sign in (True, False)
    }
    whole = np.zeros(session.voxels().shape, np.uint8)
    whole[on_slice(plane.axis, plane.index)] = truth
    reference = sheet.to_grid(sheet.take(whole))[0] >= 0.5
    before = "" if outcome.first_dice != outcome.first_dice else f"Dice {outcome.first_dice:.2f} before any click, "
    return MarkedPicture(
        image=session.image()[window],
        outlines={
            "reference": reference[window],
            "result": (plane.sample_segment(session.segmentation_node, session.segment_id) >= 0.5)[window],
        },
        positive=clicks[True],
        negative=clicks[False],
        caption=f"{counted(outcome.n_context, 'example')}: {before}{counted(outcome.clicks, 'click')}, Dice {outcome.dice:.2f}",
    )
