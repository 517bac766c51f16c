"""What an evaluation consists of: a configuration, resolved into jobs that can run anywhere and in any order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import MultiverSegError
from .in_context import Draw, draw_contexts
from .methods import MethodSpec
from .sequence import CONTEXTS, Setting, Walk, draw_walks
from .users import USERS

if TYPE_CHECKING:
    from .quick import EvaluationTask

#: The experiments, by the name they have in the tables.
SEQUENCE, BOOTSTRAPPED, ORDERS = "sequence", "bootstrapped", "orders"
CONTEXT_ONLY, CORRECTED, YARDSTICKS, CYCLE = "context only", "corrected", "yardsticks", "cycle"
EXPERIMENTS = (SEQUENCE, BOOTSTRAPPED, ORDERS, CONTEXT_ONLY, CORRECTED, YARDSTICKS, CYCLE)
#: The Dice that images of the yardsticks are worked to: far enough for NoC95.
YARDSTICK_DICE = 0.95


@dataclass(frozen=True)
class Config:
    """Everything the numbers depend on, besides the tasks' data and the weights.

    Attributes:
        images: of a sequence, after the seed image.
        simulations: of each task.
        block: simulations that walk in step; a killed run loses at most one image of each.
        users: see ``users.USERS``; the first two are those of the paper.
        contexts: see ``sequence.CONTEXTS``; "none" need not be asked for: a method without context is a method.
        sizes, targets, draws: experiment 2: context sizes, images of a task, contexts of an image.
        corrected_sizes, corrected_steps: experiment 2 with corrections, always so many steps.
        yardstick_sizes: contexts (0: none) with which images are worked to 95 % Dice or the cap.
        orders: orders of one set of images that are compared.
    """

    images: int = 18
    simulations: int = 200
    block: int = 16
    users: tuple[str, ...] = ("clicks", "scribbles", "realistic clicks", "realistic scribbles")
    contexts: tuple[str, ...] = ("binary", "soft", "truth")
    max_context: int = 64
    experiments: tuple[str, ...] = EXPERIMENTS
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    targets: int = 40
    draws: int = 10
    corrected_sizes: tuple[int, ...] = (1, 4, 16, 64)
    corrected_steps: int = 10
    yardstick_sizes: tuple[int, ...] = (0, 16)
    orders: int = 5
    order_draws: int = 4
    cycle_size: int = 4
    seed: int = 0

    def checked(self) -> Config:
        """Raises MultiverSegError for what can't be simulated."""
        for what, known, asked in (
            ("user", USERS, self.users),
            ("context", CONTEXTS, self.contexts),
            ("experiment", EXPERIMENTS, self.experiments),
        ):
            if unknown := [a for a in asked if a not in known]:
                raise MultiverSegError(f"Unknown {what} {unknown[0]!r}: use {', '.join(known)}.")
        if min(self.images, self.simulations, self.block, self.targets, self.draws, self.orders, self.order_draws) < 1:
            raise MultiverSegError("Images, simulations, block, targets, draws and orders must be at least 1.")
        return self


QUICK = Config(
    simulations=2,
    contexts=("binary",),
    users=("clicks", "scribbles", "realistic clicks"),
    sizes=(1, 4, 16, 64),
    targets=6,
    draws=1,
    corrected_sizes=(1, 16),
    corrected_steps=5,
    orders=3,
    order_draws=1,
)
FULL = Config()


@dataclass(frozen=True, eq=False)
class TaskData:
    """The images float32 [N, H, W] 0..1 and labels bool [N, H, W] of a task."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class EvaluationJob:
    """A piece of work that depends on nothing but itself. ``data`` holds the tasks that it needs, by their number in the plan.

    ``key`` names it: equal keys give equal rows. ``folder``: where it may keep what it has done so far, "" for nowhere.
    """

    experiment: str
    method: MethodSpec
    seed_method: MethodSpec
    setting: Setting
    walks: tuple[Walk, ...] = ()
    draws: tuple[Draw, ...] = ()
    data: Any = None
    device: str = "cpu"
    folder: str = ""
    salt: str = ""

    @property
    def key(self) -> str:
        facts = [self.experiment, asdict(self.method), asdict(self.seed_method), asdict(self.setting), self.salt]
        facts += [[asdict(w) for w in self.walks], [asdict(d) for d in self.draws]]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


def jobs_of(
    config: Config,
    tasks: Sequence[EvaluationTask],
    methods: Sequence[MethodSpec],
    seed_method: MethodSpec,
    reads: dict[str, tuple[bool, bool]],
) -> list[EvaluationJob]:
    """The jobs of an evaluation, those of a method together.

    Args:
        reads: of each method by name, whether it is (interactive, in context).
    """
    config.checked()
    data = {i: TaskData(t.images, t.labels) for i, t in enumerate(tasks)}
    salt = fingerprint(tasks)
    long_enough = [i for i, t in enumerate(tasks) if len(t.images) > config.images]
    walks = _drawn(tasks, long_enough, config.simulations, config)
    jobs: list[EvaluationJob] = []
    for method in methods:
        interactive, in_context = reads[method.name]
        make = _Maker(method, seed_method, config, data, salt)
        if SEQUENCE in config.experiments and interactive:
            for user in config.users:
                ideal = user in ("clicks", "scribbles")
                for context in (config.contexts if ideal else config.contexts[:1]) if in_context else ("none",):
                    jobs += make.blocks(SEQUENCE, walks, user, context)
        if BOOTSTRAPPED in config.experiments and in_context:
            for context in dict.fromkeys((*config.contexts, "truth")):
                jobs += make.blocks(BOOTSTRAPPED, walks, config.users[0], context, truth_seed=True)
        if ORDERS in config.experiments and interactive and in_context:
            drawn = _drawn(tasks, long_enough, config.order_draws, config, config.orders)
            jobs += make.blocks(ORDERS, drawn, config.users[0], config.contexts[0])
        if in_context and CONTEXT_ONLY in config.experiments:
            jobs += make.draws(CONTEXT_ONLY, tasks, config.sizes, 0, config.users[0])
        if in_context and CYCLE in config.experiments:
            jobs += make.draws(CYCLE, tasks, (config.cycle_size,), 0, config.users[0])
        if in_context and interactive and CORRECTED in config.experiments:
            for user in config.users[:2]:
                steps = min(config.corrected_steps, USERS[user].max_steps)
                jobs += make.draws(CORRECTED, tasks, config.corrected_sizes, steps, user)
        if interactive and YARDSTICKS in config.experiments:
            sizes = [size for size in config.yardstick_sizes if in_context or not size]
            for user in config.users if sizes else ():
                jobs += make.draws(YARDSTICKS, tasks, sizes, USERS[user].max_steps, user)
    return jobs


def _drawn(tasks: Sequence[EvaluationTask], numbers: Sequence[int], count: int, config: Config, orders: int = 1) -> list[Walk]:
    """Draw by draw, all tasks of a draw together: the first blocks already say something about every task."""
    per_task = [draw_walks(i, np.asarray(tasks[i].subjects), count, config.images, config.seed, orders) for i in numbers]
    return [walk for same_draw in zip(*per_task, strict=True) for walk in same_draw]


@dataclass(frozen=True)
class _Maker:
    method: MethodSpec
    seed_method: MethodSpec
    config: Config
    data: dict[int, TaskData]
    salt: str

    def blocks(self, experiment: str, walks: Sequence[Walk], user: str, context: str, truth_seed: bool = False) -> list[EvaluationJob]:
        cap = 0 if experiment == BOOTSTRAPPED else USERS[user].max_steps
        setting = Setting(user, context, cap, self.config.max_context, truth_seed, seed=self.config.seed)
        size = self.config.block
        return [self._job(experiment, setting, walks=tuple(walks[i : i + size])) for i in range(0, len(walks), size)]

    def draws(self, experiment: str, tasks: Sequence[EvaluationTask], sizes: Sequence[int], steps: int, user: str) -> list[EvaluationJob]:
        config, drawn = self.config, []
        setting = Setting(user, "truth", steps, max(sizes), target=YARDSTICK_DICE, seed=config.seed)
        for number, task in enumerate(tasks):
            drawn += draw_contexts(number, np.asarray(task.subjects), config.targets, config.draws, sizes, config.seed)
        size = 2 * config.block * len(sizes)
        return [self._job(experiment, setting, draws=tuple(drawn[i : i + size])) for i in range(0, len(drawn), size)]

    def _job(self, experiment: str, setting: Setting, walks: tuple[Walk, ...] = (), draws: tuple[Draw, ...] = ()) -> EvaluationJob:
        needed = {piece.task for piece in (*walks, *draws)}
        data = {i: self.data[i] for i in sorted(needed)}
        return EvaluationJob(experiment, self.method, self.seed_method, setting, walks, draws, data, salt=self.salt)


def fingerprint(tasks: Sequence[EvaluationTask]) -> str:
    """A hash of the tasks' names, images and labels: other data, other evaluation."""
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(task.name.encode())
        digest.update(np.ascontiguousarray(task.images, np.float32).tobytes())
        digest.update(np.packbits(task.labels).tobytes())
    return digest.hexdigest()[:16]


def placed(jobs: Sequence[EvaluationJob], folder: str, device: str) -> list[EvaluationJob]:
    """The jobs with the folder for what they have done so far and the device they run on."""
    return [replace(job, folder=folder, device=device) for job in jobs]
