"""Runs the jobs of an evaluation on an engine and gathers their rows in a folder. Killed and started again it goes on where it was."""

from __future__ import annotations

import csv
import io
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..core.errors import MultiverSegError
from ..core.files import remove_leftovers, replacing, write_text
from .cycle import verify
from .in_context import segment_in_context
from .methods import MethodSpec, open_method
from .plan import CYCLE, SEQUENCE, YARDSTICKS, Config, EvaluationJob
from .queries import Method
from .sequence import Block, pack, unpack, walk_all

if TYPE_CHECKING:
    from .quick import EvaluationTask

CONFIGURATION, ROWS, TIMES, PARTS, STATES = "configuration.json", "steps.csv", "times.csv", "parts", "states"
COLUMNS = (
    "experiment", "method", "user", "context", "dataset", "modality", "axis", "label", "subject", "simulation", "order", "position", "image",
    "context_size", "step", "last", "dice", "hd95", "expected", "cycle", "found_damaged", "predictions",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class EvaluationAnswer:
    """What a job gave: ``rows`` as simulated (tasks by number), final ``masks`` of the first draw's images for the pictures, by
    "task-position", and the seconds that it took."""

    key: str
    rows: list[dict[str, Any]]
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0


class Engine(Protocol):
    """Runs jobs somewhere and yields the answers as they come, in any order, one per job."""

    def run(self, jobs: Sequence[EvaluationJob]) -> Iterator[EvaluationAnswer]: ...


class Here:
    """An engine that works in this process, one job after the other."""

    def run(self, jobs: Sequence[EvaluationJob]) -> Iterator[EvaluationAnswer]:
        """See ``Engine``."""
        return map(work, jobs)


def work(job: EvaluationJob) -> EvaluationAnswer:
    """A job, in any process: on one thread, so that every worker's numbers are equal."""
    import torch

    torch.set_num_threads(1)
    return work_with(job, _opened(job.method, job.device), _opened(job.seed_method, job.device))


def work_with(job: EvaluationJob, method: Method, seed_method: Method) -> EvaluationAnswer:
    """A job with its methods at hand."""
    began = time.perf_counter()
    images = {i: d.images for i, d in job.data.items()}
    labels = {i: d.labels for i, d in job.data.items()}
    if job.draws:
        if job.experiment == CYCLE:
            rows = verify(method, job.draws, images, labels)
        else:
            setting, target = job.setting, job.setting.target if job.experiment == YARDSTICKS else None
            rows = segment_in_context(method, job.draws, images, labels, setting.user, setting.cap, setting.seed, target)
        return EvaluationAnswer(job.key, rows, {}, time.perf_counter() - began)
    block = Block(job.walks, images, labels, job.setting)
    state = Path(job.folder) / STATES / f"{job.key}.npz" if job.folder else None
    if state is not None and state.is_file():
        try:
            block = unpack(block, state.read_bytes())
        except ValueError:
            state.unlink(missing_ok=True)
    rows = walk_all(block, method, seed_method, stored=lambda b: _store(state, b))
    return EvaluationAnswer(job.key, rows, _pictures(job, block), time.perf_counter() - began)


def _store(state: Path | None, block: Block) -> None:
    if state is not None:
        with replacing(state) as temporary:
            temporary.write_bytes(pack(block))


def _pictures(job: EvaluationJob, block: Block) -> dict[str, np.ndarray]:
    """Packed masks of the images of the first draw, where the context holds them as they were accepted."""
    if job.experiment != SEQUENCE or job.setting.context not in ("binary", "none"):
        return {}
    first = [(w, a) for w, a in zip(block.walks, block.accepted, strict=True) if (w.draw, w.order) == (0, 0)]
    return {f"{w.task}-{p}": np.packbits(mask > 0.5, axis=-1) for w, accepted in first for p, mask in enumerate(accepted) if p}


@lru_cache(maxsize=4)
def _opened(spec: MethodSpec, device: str) -> Method:
    return open_method(spec, device)


def run(
    folder: Path,
    jobs: Sequence[EvaluationJob],
    tasks: Sequence[EvaluationTask],
    config: Config,
    engine: Engine,
    facts: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Runs the jobs that are missing in ``folder`` and writes configuration, rows and times there. Returns the file of the rows.

    Raises:
        MultiverSegError: the folder holds another evaluation, or can't be written.
    """
    _claim(folder, config, jobs, tasks, facts or {})
    missing = [job for job in jobs if not _part(folder, job.key).is_file()]
    progress(len(jobs) - len(missing), len(jobs))
    by_key = {job.key: job for job in jobs}
    for done, answer in enumerate(engine.run(missing) if missing else (), start=len(jobs) - len(missing) + 1):
        _keep(folder, by_key[answer.key], answer, tasks)
        progress(done, len(jobs))
    return _gather(folder, jobs)


def _claim(folder: Path, config: Config, jobs: Sequence[EvaluationJob], tasks: Sequence[EvaluationTask], facts: Mapping[str, Any]) -> None:
    resolved = {
        "config": json.loads(json.dumps(asdict(config))),
        "methods": list({job.method.name: json.loads(json.dumps(asdict(job.method))) for job in jobs}.values()),
        "seed_method": jobs[0].seed_method.name if jobs else "",
        "tasks": [task.name for task in tasks],
        "data": jobs[0].salt if jobs else "",
    }
    path = folder / CONFIGURATION
    try:
        if path.is_file():
            known = json.loads(path.read_text(encoding="utf-8"))
            if any(known.get(key) != value for key, value in resolved.items()):
                raise MultiverSegError(f"{folder} holds another evaluation: give an empty folder, or the same options to go on with it.")
            for place in (folder, folder / PARTS, folder / STATES):
                remove_leftovers(place)
            return
        write_text(path, json.dumps({**resolved, "versions": versions(), **facts}, indent=1))
    except (OSError, ValueError) as error:
        raise MultiverSegError(f"{path} can't be read or written: {error}.") from error


def versions() -> dict[str, str]:
    """Of Python, of the packages that the numbers depend on, and of this package; the processor."""
    from importlib.metadata import PackageNotFoundError, version

    from .. import __version__

    found = {"multiverseg": __version__, "python": platform.python_version(), "processor": platform.processor() or platform.machine()}
    for package in ("numpy", "scipy", "scikit-image", "torch", "monai"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def _part(folder: Path, key: str) -> Path:
    return folder / PARTS / f"{key}.csv"


def _keep(folder: Path, job: EvaluationJob, answer: EvaluationAnswer, tasks: Sequence[EvaluationTask]) -> None:
    """Masks first, rows second: the rows' file says that the job is done."""
    if answer.masks:
        with replacing(folder / PARTS / f"{job.key}.npz") as temporary:
            np.savez_compressed(temporary, **answer.masks)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    for row in answer.rows:
        writer.writerow(_described(row, job, tasks[row["task"]]))
    write_text(folder / PARTS / f"{job.key}.seconds", f"{answer.seconds:.3f}")
    write_text(_part(folder, job.key), stream.getvalue())
    (folder / STATES / f"{job.key}.npz").unlink(missing_ok=True)


def _described(row: Mapping[str, Any], job: EvaluationJob, task: EvaluationTask) -> dict[str, Any]:
    dataset, _, rest = task.name.partition(" / ")
    label, _, axis = rest.rpartition(" / ")
    about = {"experiment": job.experiment, "method": job.method.name, "user": job.setting.user, "context": job.setting.context}
    about |= {"dataset": task.dataset or dataset, "modality": task.modality, "axis": axis, "label": label or rest}
    return {**about, "subject": str(task.subjects[row["image"]]), **{k: v for k, v in row.items() if k in COLUMNS}}


def _gather(folder: Path, jobs: Sequence[EvaluationJob]) -> Path:
    """All rows in the order of the plan, and what they took."""
    path = folder / ROWS
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(",".join(COLUMNS) + "\n")
        for job in jobs:
            stream.write(_part(folder, job.key).read_text(encoding="utf-8"))
    lines = ["experiment,method,user,context,simulations,predictions_asked,seconds"]
    for job in jobs:
        seconds = (folder / PARTS / f"{job.key}.seconds").read_text(encoding="utf-8")
        asked = len(job.draws) or sum(len(w.images) - 1 for w in job.walks)
        name = '"' + job.method.name.replace('"', "'") + '"'
        lines.append(f"{job.experiment},{name},{job.setting.user},{job.setting.context},{len(job.walks)},{asked},{seconds}")
    write_text(folder / TIMES, "\n".join(lines) + "\n")
    _parquet(path)
    return path


def _parquet(path: Path) -> None:
    """The same table as Parquet, where pyarrow is installed."""
    try:
        from pyarrow import csv as arrow_csv
        from pyarrow import parquet
    except ImportError:
        return
    with replacing(path.with_suffix(".parquet")) as temporary:
        parquet.write_table(arrow_csv.read_csv(path), temporary)
