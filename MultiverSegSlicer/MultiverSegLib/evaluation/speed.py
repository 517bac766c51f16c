"""How many simulations a second: one image at a time, as ``evaluate quick`` works, and many together in one process per core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .methods import MethodSpec
from .plan import SEQUENCE, EvaluationJob, TaskData
from .run import EvaluationAnswer
from .sequence import Setting, draw_walks
from .users import USERS

if TYPE_CHECKING:
    from .quick import EvaluationTask


@dataclass(frozen=True)
class Speed:
    """Simulations per second and the mean steps of a sequence (which shows that both did the same work)."""

    per_second: float
    steps: float


def jobs_for_speed(
    task: EvaluationTask, spec: MethodSpec, blocks: int, size: int, images: int, user: str, seed: int = 0
) -> list[EvaluationJob]:
    """``blocks`` jobs of ``size`` simulations each of one task."""
    setting = Setting(user, "binary", USERS[user].max_steps, seed=seed)
    walks = draw_walks(0, np.asarray(task.subjects), blocks * size, images, seed)
    data = {0: TaskData(task.images, task.labels)}
    return [
        EvaluationJob(SEQUENCE, spec, spec, setting, tuple(walks[i * size : (i + 1) * size]), data=data, salt="speed")
        for i in range(blocks)
    ]


def one_at_a_time(model: str, jobs: Sequence[EvaluationJob], device: str = "cpu") -> Speed:
    """The simulations of ``jobs`` one image and one step after the other, with all threads that torch takes."""
    from ..core.predictor import Predictor
    from .quick import Example, PredictorModel
    from .simulate import simulate_cohort

    runner = PredictorModel(Predictor(model, device))
    steps, count = 0, 0
    began = time.perf_counter()
    for job in jobs:
        for walk in job.walks:
            user = USERS[job.setting.user](seed=walk.draw)
            data = job.data[walk.task]
            pictures, labels = ([array[i] for i in walk.images] for array in (data.images, data.labels))
            cohort = simulate_cohort(
                runner, pictures, labels, user, max_context=job.setting.max_context, make_entry=Example, with_hd95=True
            )
            steps, count = steps + cohort.total_steps, count + 1
    return Speed(count / (time.perf_counter() - began), steps / count)


def together(jobs: Sequence[EvaluationJob], run: Callable[[Sequence[EvaluationJob]], Iterator[EvaluationAnswer]]) -> Speed:
    """The same simulations in blocks, a block per worker; the start of the workers, which does not grow with the work, is left out."""
    sizes = {job.key: len(job.walks) for job in jobs}
    answers: list[Any] = list(run(jobs))
    rate = sum(sizes[a.key] for a in answers) / max(a.seconds for a in answers)
    steps = sum(row["step"] for a in answers for row in a.rows if row["last"])
    return Speed(rate, steps / sum(sizes.values()))
