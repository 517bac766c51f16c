"""What a cohort costs on this machine: choosing among ten thousand examples, storing an event, opening a CT, five hundred cases in a row."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..cohort.store.cohort import Cohort
from ..cohort.store.records import Case, Source, Structure
from ..cohort.work.workflow import Desk
from ..core.prompts import Prompts

CT = (300, 512, 512)  # [k, j, i]
_SMALL = (12, 40, 36)


def selection(folder: Path, count: int = 10_000, repeats: int = 5) -> dict[str, Any]:
    """Median milliseconds of each strategy (cap 16) among ``count`` stored examples in a fresh ContextSet, and the memory it takes."""
    from ..core.context.context_set import ContextSet, Example
    from ..core.selection import STRATEGIES

    rng = np.random.default_rng(0)
    blurred = rng.random((count, 16, 16), np.float32)
    mask = np.zeros((128, 128), np.uint8)
    mask[40:80, 50:90] = 1
    made = ContextSet(folder / "context")
    for start in range(0, count, 500):
        images = np.kron(blurred[start : start + 500], np.ones((1, 8, 8), np.float32))
        made.extend([Example(image, mask, case=f"c{start + n}", structure="x") for n, image in enumerate(images)])
    made.features()
    del made
    gc.collect()
    before = _resident()
    context = ContextSet(folder / "context")
    target = rng.random((128, 128), np.float32)
    times = {}
    for strategy in STRATEGIES.names:
        chosen = context.selection(target, strategy, 16)
        _ = [example.image for example in chosen]
        times[strategy] = _median_ms(lambda s=strategy: context.selection(target, s, 16), repeats)
    return {"examples": count, "milliseconds": times, "memory_mb": round(_resident() - before, 1)}


def files(folder: Path, cases: int = 500, repeats: int = 20) -> dict[str, Any]:
    """Milliseconds of a stroke (journal only), of a status change (journal and cohort.json) and of opening, with ``cases`` cases."""
    entries = [Case(f"case{n:03d}", Source("file", f"../scans/{n}.nrrd")) for n in range(cases)]
    with Cohort.create(folder / "files", entries, [Structure("x")]) as cohort:
        prompt = {"structure": "x", "op": "set", "prompts": [], "counts": {"positive point": 1}}
        for case in entries:
            cohort.record("prompt", case=case.id, **prompt)
            cohort.record("accepted", case=case.id, structure="x", example="e")
        stroke = _median_ms(lambda: cohort.record("prompt", case=entries[0].id, **prompt), repeats)
        change = _median_ms(lambda: cohort.record("status", case=entries[-1].id, status="needs review"), repeats)
    size = (folder / "files" / "cohort.json").stat().st_size
    opening = _median_ms(lambda: Cohort.open(folder / "files").close(), 3)
    return {"cases": cases, "stroke_ms": stroke, "status_ms": change, "open_ms": opening, "cohort_json_kb": round(size / 1024, 1)}


def opening(folder: Path) -> dict[str, Any]:
    """Milliseconds from asking for a 512 x 512 x 300 case to its nodes, proposal and context being there; with and without loading it ahead."""
    volume = np.random.default_rng(0).normal(0, 200, CT).astype(np.int16)
    for n in range(3):
        _write(folder / "ct" / f"c{n}.nrrd", volume, compress=False)
    entries = [Case(f"c{n}", Source("file", f"../ct/c{n}.nrrd")) for n in range(3)]
    Cohort.create(folder / "opening", entries, [Structure("x")]).close()
    desk = Desk()
    desk.open(folder / "opening")
    cold = _ms(lambda: desk.go_to("c0"))
    ahead = _ms(desk.load_ahead)
    warm = _ms(lambda: desk.next())
    desk.close()
    return {"volume": list(CT[::-1]), "cold_ms": cold, "load_ahead_ms": ahead, "loaded_ahead_ms": warm, "goal_ms": 1000}


def loop(folder: Path, cases: int = 500, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """``cases`` generated cases worked through at the desk (a mask painted, accepted, next): seconds a case, memory and nodes left behind."""
    import slicer

    from ..mrml.segments import set_segment

    mask, entries = _ball(), []
    for n, volume in enumerate(_small_volumes(cases)):
        _write(folder / "small" / f"s{n:03d}.nrrd", volume, compress=True)
        entries.append(Case(f"s{n:03d}", Source("file", f"../small/s{n:03d}.nrrd")))
    Cohort.create(folder / "loop", entries, [Structure("x")]).close()
    desk = Desk()
    desk.open(folder / "loop")
    work, memory, nodes, started, done = desk.next(), [], [], time.perf_counter(), 0
    while work is not None:
        set_segment(work.nodes.segmentation, work.nodes.segment_id("x"), work.nodes.volume, mask)
        desk.load_ahead()
        work = desk.accept_and_next()
        done += 1
        progress(done)
        if done % 50 == 0 or done == 20:
            gc.collect()
            memory.append(round(_resident(), 1))
            nodes.append(slicer.mrmlScene.GetNumberOfNodes())
    seconds = time.perf_counter() - started
    desk.close()
    left = slicer.mrmlScene.GetNumberOfNodes()
    return {"cases": done, "seconds_per_case": round(seconds / done, 3), "memory_mb": memory, "nodes": nodes, "nodes_after_closing": left}


def commands(folder: Path, cases: int = 500, known: int = 3, device: str = "cpu") -> dict[str, Any]:
    """``cases`` generated cases through what the commands do, each opening the cohort anew as a command would (its start is not counted):
    init, labels of ``known`` cases, propagate, then next and accept of each proposal, status, predict, report, replay. Seconds a case at the
    beginning and at the end, and how much memory grew in between, so that anything that grows with the cohort shows."""
    from ..cli import cohort_work
    from ..cli.cohort_results import rows
    from ..cohort.batch.jobs import propagate, run_job
    from ..cohort.results.report import write_cohort_report
    from ..cohort.sources.files import cases_from_folder
    from ..cohort.store.order import next_case
    from ..cohort.work.labels_to_context import labels_to_context
    from ..core.predictors import open_predictor

    predictor, study = open_predictor(device=device), folder / "commands" / "study"
    mask, volumes = _ball(), _small_volumes(cases)
    for number, volume in enumerate(volumes):
        _write(folder / "commands" / "scans" / "images" / f"s{number:03d}.nrrd", volume, compress=True)
        if number < known:
            _write(folder / "commands" / "scans" / "labels" / f"s{number:03d}.nrrd", mask.astype(np.uint8), compress=True)

    def begin() -> None:
        found = cases_from_folder(folder / "commands" / "scans", study, ["x"])
        with Cohort.create(study, found, [Structure("x")], settings={"cap": 4}) as cohort:
            labels_to_context(cohort, "x")

    class Here:
        """Runs jobs in this process, so that their memory counts."""

        def run(self, jobs: Any) -> Any:
            return (run_job(job, predictor) for job in jobs)

    def proposals() -> None:
        with Cohort.open(study) as cohort:
            propagate(cohort, Here(), ["x"])

    def accept() -> None:
        case = next_case(Cohort.open(study, read_only=True).state)
        with cohort_work.opened(study, case.id, with_model=False) as work:
            work.show_proposal("x")
            work.accept(["x"])

    def predict() -> None:
        with cohort_work.opened(study, f"s{cases - 1:03d}") as work:
            cohort_work.predict_case(work, "x", [], None, True, Prompts())
            work.accept(["x"])

    result: dict[str, Any] = {"cases": cases, "init_s": _ms(begin) / 1000, "propagate_s_a_case": _ms(proposals) / 1000 / cases}
    part = max(1, min(25, cases // 4))
    accepts = [_ms(accept) / 1000 for _ in range(part)]
    memory = _resident()
    accepts += [_ms(accept) / 1000 for _ in range(cases - 1 - part)]
    memory = _resident() - memory
    result |= {"accept_s_first": float(np.median(accepts[:part])), "accept_s_last": float(np.median(accepts[-part:]))}
    result["predict_volume_s"] = _ms(predict) / 1000
    result["status_s"] = _ms(lambda: rows(Cohort.open(study, read_only=True))) / 1000
    result["report_s"] = _ms(lambda: write_cohort_report(Cohort.open(study, read_only=True), folder / "commands" / "report")) / 1000
    result["replay_s"] = _ms(lambda: list(cohort_work.replay_cases(Cohort.open(study, read_only=True), ["s000"], device))) / 1000
    sizes = {name: study / name for name in ("cohort.json", "journal.jsonl")} | {
        "report.html": folder / "commands" / "report" / "report.html"
    }
    result |= {f"{name} MB": path.stat().st_size / 2**20 for name, path in sizes.items()}
    result["memory_grew_mb"] = memory
    return {name: round(value, 3) for name, value in result.items()}


def _ball() -> np.ndarray:
    k, j, i = np.indices(_SMALL)
    return ((k - 6) / 4) ** 2 + ((j - 20) / 9) ** 2 + ((i - 18) / 8) ** 2 <= 1


def _small_volumes(count: int) -> Iterator[np.ndarray]:
    """A bright ball in noise, int16 [k, j, i]."""
    mask, rng = _ball(), np.random.default_rng(0)
    for _ in range(count):
        yield (mask * 300 + rng.normal(100, 12, _SMALL)).astype(np.int16)


def _write(path: Path, array: np.ndarray, compress: bool) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.8, 0.8, 1.5))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), compress)


def _resident() -> float:
    """Resident memory of this process in MB."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def _ms(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return round(1000 * (time.perf_counter() - started), 2)


def _median_ms(function: Callable[[], Any], repeats: int) -> float:
    return round(float(np.median([_ms(function) for _ in range(repeats)])), 3)
