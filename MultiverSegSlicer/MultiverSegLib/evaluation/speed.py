"""How many simulations a second: one image at a time, as ``evaluate quick`` works, and many together, on the same cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .methods import MethodSpec
from .plan import SEQUENCE, EvaluationJob, TaskData
from .run import EvaluationAnswer, work
from .sequence import Setting, draw_walks, person_seed
from .users import USERS

if TYPE_CHECKING:
    from .quick import EvaluationTask


@dataclass(frozen=True)
class Speed:
    """Simulations per second of all workers, and the mean steps of a sequence, which shows that the same work was done."""

    per_second: float
    steps: float


def jobs_for_speed(
    task: EvaluationTask, spec: MethodSpec, workers: int, size: int, images: int, user: str, seed: int = 0
) -> list[EvaluationJob]:
    """A job of ``size`` simulations of one task for each worker."""
    setting = Setting(user, "binary", USERS[user].max_steps, seed=seed)
    walks = draw_walks(0, np.asarray(task.subjects), workers * size, images, seed)
    data = {0: TaskData(task.images, task.labels)}
    parts = [tuple(walks[i * size : (i + 1) * size]) for i in range(workers)]
    return [EvaluationJob(SEQUENCE, spec, spec, setting, part, data=data, salt="speed") for part in parts]


def alone(job: EvaluationJob) -> EvaluationAnswer:
    """The simulations of ``job`` one after the other, one image and one step at a time, on one thread."""
    import torch

    torch.set_num_threads(1)
    return one_at_a_time(job)


def together(job: EvaluationJob) -> EvaluationAnswer:
    """The simulations of ``job`` in step, on one thread; what is loaded once in a worker's life is not timed."""
    work(_short(job))
    return work(job)


def one_at_a_time(job: EvaluationJob) -> EvaluationAnswer:
    """One after the other on as many threads as torch has; what is loaded once is not timed."""
    _one_at_a_time(_short(job))
    return _one_at_a_time(job)


def _short(job: EvaluationJob) -> EvaluationJob:
    return replace(job, walks=(replace(job.walks[0], images=job.walks[0].images[:2]),))


def _one_at_a_time(job: EvaluationJob) -> EvaluationAnswer:
    """Rows hold an image's number of steps alone."""
    from ..core.context.showing import shown_example
    from .simulate import segment_image

    runner = _runner(job.method.model, job.device)
    rows: list[dict[str, Any]] = []
    began = time.perf_counter()
    for walk in job.walks:
        data, context = job.data[walk.task], []
        for position, index in enumerate(walk.images):
            image, label = data.images[index], np.array(data.labels[index])
            user = USERS[job.setting.user](seed=person_seed(job.setting, walk, position))
            result = segment_image(runner, image, label, user, context[-job.setting.max_context :], with_hd95=position > 0)
            context.append(shown_example(image, result.mask))
            if position:
                rows.append({"step": result.steps, "last": 1})
    return EvaluationAnswer(job.key, rows, {}, time.perf_counter() - began)


@lru_cache(maxsize=1)
def _runner(model: str, device: str) -> Any:
    from ..core.predictors import open_predictor

    return open_predictor(model, device)


def measure(jobs: Sequence[EvaluationJob], run: Callable[[Sequence[EvaluationJob]], Iterator[EvaluationAnswer]]) -> Speed:
    """Runs ``jobs``, one for each worker; the start of the workers, which does not grow with the work, is left out."""
    sizes = {job.key: len(job.walks) for job in jobs}
    answers = list(run(jobs))
    steps = sum(row["step"] for answer in answers for row in answer.rows if row["last"])
    return Speed(sum(sizes.values()) / max(answer.seconds for answer in answers), steps / sum(sizes.values()))
