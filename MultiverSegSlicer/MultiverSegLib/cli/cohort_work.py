"""What ``multiverseg cohort predict``, ``accept`` and ``replay`` do, apart from talking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cohort.store.cohort import Cohort
from ..cohort.store.noticing import noting
from ..cohort.store.reviewing import lost_approval
from ..cohort.work.labels_to_context import plane_of_prompts
from ..cohort.work.open_case import OpenCase
from ..cohort.work.replay import Replay, replay
from ..core.counting import counted
from ..core.errors import MultiverSegError, SegmentationError
from ..core.prompts import Prompts
from ..core.selection import select
from ..engine.volume_session import VolumeWork
from ..mrml import markups, segments
from ..mrml.extent import check_inside
from ..mrml.masks import load_mask
from ..mrml.slice_plane import SlicePlane
from ..mrml.volumes import dimensions_of, ijk_to_ras
from .console import step, warn


@dataclass(frozen=True)
class Predicted:
    """What was predicted, and a line about it."""

    structure: str
    line: str


@contextmanager
def opened(folder: Path, case: str, with_model: bool = True, device: str = "auto", wait: float = 0) -> Iterator[OpenCase]:
    """A case, open for work; closed and its cohort saved at the end."""
    with Cohort.open(folder, wait=wait) as cohort:
        cohort.check_writable()
        before = cohort.case(case)
        work = OpenCase(cohort, case, _predictor(cohort, device) if with_model else None)
        try:
            yield work
        finally:
            work.close()
        if lost := lost_approval(before, cohort.case(case)):
            warn(lost)


def predict_case(
    work: OpenCase, structure: str, prompt_files: Sequence[Path], index: int | None, volume: bool, typed: Prompts
) -> Predicted:
    """One prediction on a slice from prompts of files and ``typed`` ones; with ``volume`` propagation through the volume from there.

    Raises:
        PromptError: every prompt lies outside of the volume.
    """
    name = work.cohort.structure(structure).name
    prompts = typed.extended(p for path in prompt_files for p in markups.load_prompts(path))
    node = work.nodes.volume
    check_inside(prompts, ijk_to_ras(node), dimensions_of(node), node.GetName())
    session = work.session(name, _plane(work, name, prompts, index))
    session.add(*prompts)
    with step("Predicting"):
        prediction = session.predict()
    line = f"{work.case_id}: {name} on slice {session.plane.index}, confidence {prediction.confidence:.2f}"
    if volume:
        with step("Going through the volume"):
            count = propagate_volume(work, name, [session.plane.index])
        line += f", {counted(count, 'slice')} through the volume"
    return Predicted(name, line)


def propagate_volume(work: OpenCase, name: str, confirmed: Iterable[int] = ()) -> int:
    """Fills the volume from what is segmented; gives the number of slices written."""
    nodes, settings = work.nodes, work.settings(name)
    stack_axis = nodes.axis(name)
    first = work.plane_for(name)
    image, others = first.sample(nodes.volume, settings), work.contexts.others(name, work.case_id)
    examples = select(work.cohort.setting("strategy"), image, others, work.cohort.setting("cap"))
    volume_work = VolumeWork(nodes.volume, nodes.segmentation, nodes.segment_id(name), stack_axis, settings, work.predictor, examples)
    volume_work.prepare(work.prompts(name), confirmed)
    results = volume_work.compute()
    volume_work.commit(results, work.writer)
    found = [r for r in results.values() if not r.confirmed]
    confidence = min((r.confidence for r in found), default=1.0)
    facts = {"model": work.cohort.setting("model"), "examples": [e.id for e in examples], "confidence": round(confidence, 6)}
    work.propagated(name, {**facts, "confirmed": volume_work.confirmed, "slices": len(found)})
    return len(found)


def bring_in(work: OpenCase, path: Path, names: Sequence[str]) -> None:
    """Puts a segmentation made elsewhere into the case: segments by name; a file with one label serves one structure.

    Raises:
        SegmentationError: the file can't be used, or has neither a segment of such a name nor one label alone.
    """
    problem, brought = None, 0
    for name in names:
        try:
            wanted = {"value": name} if len(names) > 1 else {"structure": name}
            with noting(work.cohort, work.case_id):
                mask = load_mask(work.nodes.volume, path, **wanted)
        except SegmentationError as error:
            problem = error
            continue
        segments.set_segment(work.nodes.segmentation, work.nodes.segment_id(name), work.nodes.volume, mask)
        brought += 1
    if problem is not None and not brought:
        raise problem


def replay_cases(cohort: Cohort, cases: Sequence[str], device: str) -> Iterator[Replay]:
    """Replays the given cases, or all that were worked on."""
    predictor = _predictor(cohort, device)
    chosen = cases or [c.id for c in cohort.cases if any(w.touched for w in c.works.values())]
    if not chosen:
        raise MultiverSegError("No case was worked on yet: there is nothing to replay.")
    for case in chosen:
        yield replay(cohort, case, predictor)


def _plane(work: OpenCase, name: str, prompts: Prompts, index: int | None) -> SlicePlane:
    settings, nodes = work.settings(name), work.nodes
    if index is not None:
        return SlicePlane.from_volume(nodes.volume, nodes.axis(name), index, settings)
    if not len(prompts):
        return work.plane_for(name)
    return plane_of_prompts(nodes.volume, nodes.axis(name), settings, prompts)


def _predictor(cohort: Cohort, device: str = "auto") -> Any:
    from ..core.predictors import open_predictor

    return open_predictor(cohort.setting("model"), device)
