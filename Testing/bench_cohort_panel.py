"""Measures the cohort in the panel on the test host: ``python Testing/bench_cohort_panel.py [--part loop] [--part opening] [--cases 500]``.

loop: small generated volumes worked through with the panel's own button, proposals made in the background all the while: seconds a case, memory
and nodes. opening: cases of 512 x 512 x 300 voxels, not read before (cold) and read ahead with their proposal (warm), and how long working ahead
ever keeps the main thread. work: report, export and existing labels of cases of 256 x 256 x 120 voxels, and accepting their proposals from the page:
how long each of them ever keeps the main thread.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Testing at the end: its packaging.py must not hide the library of that name
sys.path[:] = [str(ROOT / "MultiverSegSlicer"), *(p for p in sys.path if Path(p).resolve() != ROOT / "Testing"), str(ROOT / "Testing")]

import numpy as np  # noqa: E402

# PySide6 takes a reference too many of these in some calls; before Python 3.12, where they are not counted, a long run would end by that.
_COUNTED = [None, True, False] * 4_000_000


def _write(path: Path, array: np.ndarray, spacing: tuple[float, float, float], compress: bool) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), compress)


def _ball(shape: tuple[int, int, int], centre: np.ndarray, radii: tuple[float, float, float]) -> np.ndarray:
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    return sum(((axis - c) / r) ** 2 for axis, c, r in zip((k, j, i), centre, radii, strict=True)) <= 1


class PanelBench:
    """The test host with our module open on a cohort of generated volumes."""

    def __init__(self, folder: Path, count: int, shape: tuple[int, int, int], spacing: tuple[float, float, float], model: str) -> None:
        from Host import start_host

        self.host = start_host(size=(1280, 900), segment_editor=True)
        import qt

        qt.QSettings.setPath(qt.QSettings.NativeFormat, qt.QSettings.UserScope, str(folder / "settings"))
        self.host.load_module(ROOT / "MultiverSegSlicer" / "MultiverSegSlicer.py")
        from MultiverSegLib.cohort.store.cohort import Cohort
        from MultiverSegLib.cohort.store.records import Case, Source, Structure
        from MultiverSegLib.ui.shared import settings

        settings.set_value("ContextsFolder", str(folder / "contexts"))
        settings.set_value("Model", model)
        rng, cases, self.masks = np.random.default_rng(0), [], []
        large = np.prod(shape) > 10**6
        noise = rng.normal(0, 15, shape).astype(np.int16)
        for n in range(count):
            centre = np.array(shape) / 2 + rng.uniform(-0.05, 0.05, 3) * shape
            mask = _ball(shape, centre, tuple(np.array(shape) / 5))
            noise = noise if large else rng.normal(0, 15, shape).astype(np.int16)
            _write(folder / "scans" / f"c{n:03d}.nrrd", (mask * 300 + noise + 100).astype(np.int16), spacing, not large)
            cases.append(Case(f"c{n:03d}", Source("file", f"../scans/c{n:03d}.nrrd")))
            self.masks.append(mask if not large or not n else None)
        Cohort.create(folder / "cohort", cases, [Structure("ball")], settings={"model": model}).close()
        self.panel = self.host.open_module("MultiverSegSlicer").panel
        self.cohort = self.panel.cohort
        self.folder = folder

    def open(self) -> None:
        from MultiverSegLib.cohort.store.cohort import Cohort

        self.cohort.take(Cohort.open(self.folder / "cohort"))

    def paint(self, number: int) -> None:
        """Does a user's work: the whole structure."""
        from MultiverSegLib.mrml.segments import set_segment

        nodes = self.cohort.desk.work.nodes
        set_segment(nodes.segmentation, nodes.segment_id("ball"), nodes.volume, self.masks[number])

    def shown(self, action) -> float:
        """Milliseconds of ``action`` until all views are drawn."""
        started = time.perf_counter()
        action()
        self.host.app.processEvents()
        self.host.render()
        return round(1000 * (time.perf_counter() - started))

    def heartbeat(self, done, seconds: float) -> list[float]:
        """Waits for ``done()`` with the event loop running; the gaps in ms between its rounds, largest first."""
        gaps, end, last = [], time.monotonic() + seconds, time.perf_counter()
        while not done():
            assert time.monotonic() < end, "not in time"
            self.host.app.processEvents()
            time.sleep(0.001)
            now = time.perf_counter()
            gaps.append(1000 * (now - last))
            last = now
        return sorted(gaps, reverse=True)

    def close(self) -> None:
        self.cohort.put_away()
        self.host.check()
        self.host.close()


def _resident() -> float:
    """Resident memory of this process in MB."""
    import psutil

    gc.collect()
    return round(psutil.Process().memory_info().rss / 2**20, 1)


def _timed(owner, name: str, times: list[float]) -> None:
    function = getattr(owner, name)

    def timed(*arguments):
        started = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            times.append(1000 * (time.perf_counter() - started))

    setattr(owner, name, timed)


def loop(folder: Path, cases: int, model: str, ahead: str) -> dict:
    """Every case accepted with the panel's button; only what the proposals left empty is painted."""
    import slicer

    bench = PanelBench(folder, cases, (12, 40, 36), (0.9, 0.8, 2.5), model)
    steps: list[float] = []
    _timed(bench.cohort.ahead.background, "step", steps)
    box = bench.cohort.ahead.kind
    box.setCurrentIndex(box.findData(ahead))
    bench.open()
    clicks, memory, nodes, painted, started, processor = [], {}, {}, 0, time.perf_counter(), time.thread_time()
    for done in range(1, cases + 1):
        work = bench.cohort.desk.work
        if not work.nodes.mask("ball").any():
            painted += 1
            bench.paint(done - 1)
        begun = time.perf_counter()
        bench.cohort.accept_button.click()
        clicks.append(1000 * (time.perf_counter() - begun))
        bench.host.process_events(0.15)  # a person takes longer; the background gets a turn
        if done in (1, 20, 50) or done % 100 == 0:
            memory[done], nodes[done] = _resident(), slicer.mrmlScene.GetNumberOfNodes()
            print(f"{done}: {memory[done]} MB, {nodes[done]} nodes", file=sys.stderr, flush=True)
    seconds, processor = time.perf_counter() - started, time.thread_time() - processor
    assert all(case.status == "accepted" for case in bench.cohort.desk.cohort.cases), bench.cohort.message.text
    bench.close()
    early, late = clicks[20:70], clicks[-50:]
    return {
        "cases": cases,
        "predicted_ahead": ahead,
        "main_thread_processor_seconds_per_case": round(processor / cases, 3),
        "seconds_per_case": round(seconds / cases, 3),
        "accept_and_next_ms": {"cases 20-70": round(float(np.median(early))), "last 50": round(float(np.median(late)))},
        "painted_by_hand": painted,
        "background_step_ms": {"median": round(float(np.median(steps)), 2), "longest": round(max(steps), 1)},
        "memory_mb": memory,
        "nodes": nodes,
    }


def opening(folder: Path, model: str) -> dict:
    """Four cases of 512 x 512 x 300: the first is painted and accepted, the second gets its proposal while it is open, the others before."""
    bench = PanelBench(folder, 4, (300, 512, 512), (0.7, 0.7, 1.0), model)
    cohort, steps = bench.cohort, []
    _timed(cohort.ahead.background, "step", steps)
    cold = [bench.shown(bench.open)]
    bench.paint(0)
    steps.clear()
    accept = bench.shown(cohort.accept_button.click)
    gaps = bench.heartbeat(lambda: _all_made(cohort.ahead.background) and cohort.desk.ahead is not None, 300)
    assert cohort.desk.work.nodes.mask("ball").any(), "the open case got its proposal"
    ahead = cohort.desk.ahead
    assert ahead is not None and ahead.proposals
    warm = [bench.shown(lambda: cohort.go_to(ahead.case_id))]
    assert cohort.desk.work.nodes.mask("ball").any()
    bench.heartbeat(lambda: cohort.desk.ahead is not None, 60)
    warm.append(bench.shown(lambda: cohort.go_to(cohort.desk.ahead.case_id)))
    cold.append(bench.shown(lambda: cohort.go_to("c001")))
    result = {
        "volume": [512, 512, 300],
        "cold_ms": cold,
        "accept_ms": accept,
        "loaded_ahead_ms": warm,
        "goal_ms": 1000,
        "main_thread_gaps_ms": [round(gap) for gap in gaps[:5]],
        "rounds": len(gaps),
        "background_step_ms": [round(step) for step in sorted(steps, reverse=True)[:5]],
        "memory_mb": _resident(),
    }
    bench.close()
    return result


def work(folder: Path, model: str) -> dict:
    """Six cases: two are painted and accepted, four get proposals that are accepted from the page."""
    bench = PanelBench(folder, 6, (120, 256, 256), (0.9, 0.9, 1.5), model)
    cohort, tasks = bench.cohort, bench.cohort.tasks
    bench.open()
    for number in range(2):
        bench.masks[number] = _ball((120, 256, 256), np.array((60, 128, 128)), (24.0, 51.0, 51.0))
        bench.paint(number)
        cohort.accept_button.click()
    bench.heartbeat(lambda: _all_made(cohort.ahead.background), 300)
    cohort.ahead.background.kind = ""
    record = cohort.desk.cohort
    for case in record.cases[:2]:
        record.record("labels", case=case.id, labels=[{"structure": "ball", "path": f"segmentations/{case.id}.seg.nrrd"}])
    import qt

    steps: list[float] = []
    _timed(tasks, "_go_on", steps)
    cohort.proposals.button.click()
    bench.heartbeat(lambda: cohort.proposals._making is None, 60)
    cohort.proposals.list.selectAll()
    actions, export = cohort.cohort_actions, cohort.cohort_actions.export
    for row in range(export.formats.count):
        export.formats.item(row).setCheckState(qt.Qt.Checked if row != 2 else qt.Qt.Unchecked)
    bench.host.dialogs.answers.append(str(folder / "out"))
    found = {}
    for name, action in (
        ("accepting 4 proposals", cohort.proposals.accept_button.click),
        ("existing labels of 2 cases", actions.labels_button.click),
        ("export in 4 formats", export.write_button.click),
        ("report", actions.report_button.click),
    ):
        steps.clear()
        started = time.perf_counter()
        action()
        assert tasks.busy, cohort.message.text
        gaps = bench.heartbeat(lambda: not tasks.busy, 600)
        found[name] = {
            "seconds": round(time.perf_counter() - started, 1),
            "longest_steps_ms": [round(step, 1) for step in sorted(steps, reverse=True)[:4]],
            "main_thread_gaps_ms": [round(gap) for gap in gaps[:4]],
        }
        print(f"{name}: {found[name]}, {cohort.outcome.label.text}", file=sys.stderr, flush=True)
    bench.close()
    return {"volume": [256, 256, 120], **found}


def _all_made(background) -> bool:
    standing = background.standing()
    return not background.busy and standing.done + len(standing.failed) == standing.total > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=("loop", "opening", "work"))
    parser.add_argument("--cases", type=int, default=500, help="cases of the loop")
    parser.add_argument("--ahead", choices=("slice", "volume", "off"), default="slice", help="what the loop predicts in the background")
    parser.add_argument("--model", default="compact")
    arguments = parser.parse_args()
    for part in arguments.part or ("opening", "loop"):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            if part == "loop":
                result = loop(folder, arguments.cases, arguments.model, arguments.ahead)
            else:
                result = {"opening": opening, "work": work}[part](folder, arguments.model)
        print(json.dumps({part: result}, indent=1), flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # at the interpreter's end the references that were taken too many would be missed
