"""Where jobs run: in this process, in several processes of this computer, or on a Ray cluster."""

from __future__ import annotations

import io
import multiprocessing
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.errors import CohortError
from .jobs import Job, JobResult, run_job

_RETRIES = 3
_predictors: dict[tuple[str, str], Any] = {}


def work(job: Job) -> JobResult:
    """A job in a worker process: starts the host and the predictor once, computes on one thread so that every worker's numbers are equal."""
    from ...core.devices import compute_on_threads
    from ...core.predictors import open_predictor
    from ...mrml.headless import start

    compute_on_threads(1)
    start()
    key = (job.model, job.device)
    if key not in _predictors:
        _predictors[key] = open_predictor(job.model, job.device)
    return run_job(job, _predictors[key])


class LocalEngine:
    """``workers`` processes on this computer. A worker that dies is replaced and its jobs are run again (three times at most).

    Args:
        work: what is done with a job, a function that other processes can import.
    """

    def __init__(self, workers: int = 1, work: Callable[[Any], Any] = work) -> None:
        self.workers, self._work = max(1, workers), work

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Yields the answers as they come.

        Raises:
            CohortError: workers keep dying.
        """
        left, deaths = list(jobs), 0
        while left:
            try:
                for job, answer in self._once(left):
                    left.remove(job)
                    yield answer
            except BrokenProcessPool as error:
                deaths += 1
                if deaths > _RETRIES:
                    raise CohortError("The workers keep dying, possibly because memory runs out: use fewer (--workers 1).") from error

    def _once(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, JobResult]]:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(self.workers, len(jobs)), mp_context=context, initializer=_start_worker) as pool:
            futures = {pool.submit(self._work, job): job for job in jobs}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends a worker without a word; the command says what was done


class RayEngine:
    """A Ray cluster (the extra ``cluster``). Contexts travel with the jobs; volumes are read from a folder that all nodes see.

    Args:
        address: of the cluster ("auto": the running one); empty: a cluster of this computer alone.
        cpus: processors per job.
        work: see ``LocalEngine``; None: the cohort's jobs, whose contexts are packed for the journey.
    """

    def __init__(self, address: str = "", cpus: float = 1.0, work: Callable[[Any], Any] | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise CohortError("--engine ray needs the extra 'cluster': pip install 'multiverseg-slicer[cluster]'.") from error
        self._ray, self._address, self._cpus, self._work = ray, address, cpus, work

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Yields the answers as they come; tasks of lost workers and nodes are run again."""
        ray = self._ray
        if not ray.is_initialized():
            ray.init(address=self._address or None, include_dashboard=False, log_to_driver=False)
        task = ray.remote(max_retries=-1, num_cpus=self._cpus)(self._work or work_remotely)
        if self._work:
            waiting = {task.remote(job) for job in jobs}
        else:
            archives = {folder: ray.put(_packed(Path(folder))) for folder in {job.context_folder for job in jobs}}
            waiting = {task.remote(job, archives[job.context_folder]) for job in jobs}
        while waiting:
            ready, rest = ray.wait(list(waiting), num_returns=1)
            waiting = set(rest)
            for reference in ready:
                yield ray.get(reference)


def work_remotely(job: Job, archive: bytes) -> JobResult:
    """A job on another computer: the context comes along, packed."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            packed.extractall(folder)
        return work(replace(job, context_folder=folder))


def _packed(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return content.getvalue()
