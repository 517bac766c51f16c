"""Measures a click in the Segment Editor stage by stage, on the test host or in Slicer:

python Testing/bench_ui.py [--model compact] [--examples 8] [--proposals 10]
Slicer --testing --no-splash --additional-module-paths MultiverSegSlicer --python-script Testing/bench_ui.py [the same options]

Prints, for a 512 x 512 x 300 volume: from the release of the mouse button to the updated segment, and how long each piece of work blocks
the main thread. The pieces are those of this extension; drawing the views is Slicer's and is not counted. The host's event loop keeps
Python's lock, as Slicer's does; the time in which the main thread waits for the network is not a piece of work.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from functools import wraps
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Testing at the end: its packaging.py must not hide the library of that name
sys.path[:] = [str(ROOT / "MultiverSegSlicer"), *(p for p in sys.path if Path(p).resolve() != ROOT / "Testing"), str(ROOT / "Testing")]

import numpy as np  # noqa: E402


class Stopwatch:
    """Time spent in functions, by label: on the clock, and of the processor (which a busy computer does not lengthen)."""

    def __init__(self) -> None:
        self.times: dict[str, list[tuple[float, float]]] = {}

    def watch(self, owner, name: str, label: str) -> None:
        function = getattr(owner, name)

        @wraps(function)
        def timed(*arguments, **options):
            start, cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                spent = 1000 * (time.perf_counter() - start), 1000 * (time.thread_time() - cpu)
                self.times.setdefault(label, []).append(spent)

        setattr(owner, name, timed)

    def take(self) -> dict[str, float]:
        """Longest single call by label, in ms; begins anew."""
        longest = {label: max(values) for label, values in self.times.items()}
        self.times.clear()
        return {name: value for label, (wall, cpu) in longest.items() for name, value in ((label, wall), (f"{label} [cpu]", cpu))}


def scene(host, segment_voxels: int):
    """A CT-like volume and, in its segment, a ball of about ``segment_voxels`` voxels away from where is clicked."""
    import slicer

    random = np.random.default_rng(0)
    array = random.integers(-200, 200, (300, 512, 512), dtype=np.int16)
    array[100:200, 150:350, 150:350] += 300
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    volume.CreateDefaultDisplayNodes()
    slicer.util.updateVolumeFromArray(volume, array)
    volume.SetIJKToRASMatrix(
        slicer.util.vtkMatrixFromArray(np.array([[-0.7, 0, 0, 179], [0, -0.7, 0, 179], [0, 0, 1, -150], [0, 0, 0, 1.0]]))
    )
    host.show(volume)
    return volume


def fill(segmentation, segment_id, volume, count: int) -> None:
    """A ball of ``count`` voxels in the segment."""
    from MultiverSegLib.mrml import segments

    radius = round((3 * count / (4 * np.pi)) ** (1 / 3))
    if not radius:
        return
    k, j, i = np.mgrid[-radius : radius + 1, -radius : radius + 1, -radius : radius + 1]
    mask = np.zeros((300, 512, 512), np.uint8)
    mask[150 - radius : 151 + radius, 256 - radius : 257 + radius, 256 - radius : 257 + radius] = k**2 + j**2 + i**2 <= radius**2
    segments.set_segment(segmentation, segment_id, volume, mask)


def examples(context, count: int) -> None:
    from MultiverSegLib.core.context.context_set import Example

    random = np.random.default_rng(1)
    rows, cols = np.mgrid[:128, :128]
    for number in range(count):
        mask = (rows - 64) ** 2 + (cols - 60 - number) ** 2 < 400
        image = np.clip(0.3 + 0.4 * mask + random.normal(0, 0.1, mask.shape), 0, 1).astype(np.float32)
        context.add(Example(image, mask.astype(np.uint8), case=f"case {number}", structure="ball"))


def in_slicer() -> bool:
    import InSlicer

    return not InSlicer.missing_requirements()


def measure(model: str, number: int, voxels: int, clicks: int, proposals: int = 0) -> dict:
    if in_slicer():
        from InSlicer import start_host
    else:
        from Host import start_host

    host = start_host(size=(1280, 900))
    import qt

    scratch = tempfile.mkdtemp()
    qt.QSettings.setPath(qt.QSettings.NativeFormat, qt.QSettings.UserScope, scratch)
    host.load_module(ROOT / "MultiverSegSlicer" / "MultiverSegSlicer.py")
    from MultiverSegLib.ui.shared import contexts, settings

    settings.set_value("ContextsFolder", scratch)
    settings.set_value("Model", model)
    volume = scene(host, voxels)
    panel = host.open_module("MultiverSegSlicer").panel
    panel.parameters.structure = "ball"
    examples(contexts.shared().provider.context("ball"), number)
    effect = panel.editor.activeEffect().self()
    presenter = effect.presenter
    panel.editor.activeEffect().setParameter("Cap", number)
    fill(panel.editor.segmentationNode(), panel.segment_id(), volume, voxels)
    watch = Stopwatch()
    for owner, name, label in (
        (effect, "_press", "press"),
        (effect, "_move", "move"),
        (effect, "_release", "release"),
        (presenter.queue, "_finished", "result"),
        (presenter.editor, "saveUndo", "  save undo"),
        (presenter.display, "show", "  draw prompts"),
        (presenter.queue, "_start", "  gather and submit"),
        (presenter, "write", "  write"),
    ):
        watch.watch(owner, name, label)
    about = {}
    red = host.view("Red")
    red.jump_to((0.0, 0.0, 0.0))
    rounds = []
    for click in range(clicks + 2):
        where = red.to_xy((5.0 * (click % 5), 7.0 * (click // 5), 0.0))
        red.move(where, xy=True)
        red.press(where, xy=True)
        host.process_events(0.5)
        watch.take()
        finished: list[float] = []
        start = time.perf_counter()
        red.release(where, xy=True)
        presenter.when_answered(lambda problem, finished=finished: finished.append(time.perf_counter()))
        host.wait_until(lambda finished=finished: finished, 120, step=0.05)
        stages = watch.take()
        if click >= 2:  # the first ones load PyTorch and the weights
            rounds.append({"event to updated segment": 1000 * (finished[0] - start), "network": 1000 * last_seconds(presenter), **stages})
        host.process_events(0.05)
    if proposals:
        about = background(host, presenter, proposals)
    host.check()
    host.close()
    names = sorted({name for entry in rounds for name in entry}, key=lambda n: (n not in rounds[0], n))
    found = {name: round(float(np.median([entry.get(name, 0.0) for entry in rounds])), 1) for name in names}
    return {**found, **about}


def background(host, presenter, count: int) -> dict:
    """``count`` predictions in the background: in a thread that the main thread waits for, and while the event loop runs; three times each."""
    from MultiverSegLib.core.asking import ask
    from MultiverSegLib.core.worker import InferenceWorker

    service, request = presenter.service, presenter._session.request()

    def work():
        for _ in range(count):
            ask(service.predictor, request.image, examples=request.examples)

    worker, outside, inside = InferenceWorker(), [], []
    service.pulse.follow(lambda: (worker,), worker.poll)
    for _ in range(3):
        start, thread = time.perf_counter(), threading.Thread(target=work)
        thread.start()
        thread.join()
        outside.append(time.perf_counter() - start)
        start, done = time.perf_counter(), []
        worker.submit(work, done.append)
        service.pulse.start()
        while not done:
            host.process_events(0.02)
        inside.append(time.perf_counter() - start)
    service.pulse.leave(worker.poll)
    worker.close()
    return {"background outside": round(1000 * min(outside), 1), "background inside": round(1000 * min(inside), 1)}


def last_seconds(presenter) -> float:
    session = presenter._session
    return session.prediction.seconds if session is not None and session.prediction is not None else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--voxels", type=int, default=0, help="size of what the segment holds already")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--proposals", type=int, default=0, help="time so many predictions in the background too")
    arguments = parser.parse_args(sys.argv[1:])
    result = measure(arguments.model, arguments.examples, arguments.voxels, arguments.clicks, arguments.proposals)
    print(json.dumps({"model": arguments.model, "examples": arguments.examples, "voxels": arguments.voxels, "median ms": result}, indent=1))


if __name__ == "__main__":
    main()
    if in_slicer():
        import slicer

        slicer.util.exit(0)
