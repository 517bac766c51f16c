"""Experiment 1: people who segment one image after the other, what they accepted becoming the context of the next (sections 6 and D).

A block holds simulations of one or more tasks that walk in step, image by image, so that one pass of the network serves all. After each
image the block can be stored; taken up again it goes on with the same batches and gives the same numbers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .queries import Entry, Method
from .simulate import TARGET_DICE
from .together import Sitting, work_together
from .users import USERS

#: What of a finished image enters the context: the thresholded prediction, the probabilities, the reference, or nothing.
CONTEXTS = ("binary", "soft", "truth", "none")


@dataclass(frozen=True)
class Walk:
    """One simulation: ``images`` are indices into the task's images, the first is the seed image, in the order of the work.

    ``draw`` numbers the drawn set of images, ``order`` the order they come in.
    """

    task: int
    draw: int
    order: int
    images: tuple[int, ...]


@dataclass(frozen=True)
class Setting:
    """How a block is worked: by which ``user`` (see ``users.USERS``), with which ``context``, at most ``cap`` steps an image (0: nobody corrects),
    at most the ``max_context`` last entries; ``truth_seed``: the seed image's reference begins the context instead of its segmentation."""

    user: str = "clicks"
    context: str = "binary"
    cap: int = 20
    max_context: int = 64
    truth_seed: bool = False
    target: float = TARGET_DICE
    seed: int = 0


@dataclass(eq=False)
class Block:
    """Simulations that walk in step; ``done`` images of each are finished, ``accepted`` float32 [done, H, W] per walk, ``rows`` so far."""

    walks: Sequence[Walk]
    images: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    setting: Setting
    done: int = 0
    accepted: list[list[np.ndarray]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    entries: list[list[Entry]] = field(default_factory=list)
    pictures: dict[tuple[int, int, int], np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.accepted = self.accepted or [[] for _ in self.walks]
        self.entries = [
            [Entry(self._image(w, i), mask) for i, mask in enumerate(a)] for w, a in zip(self.walks, self.accepted, strict=True)
        ]

    def _image(self, walk: Walk, position: int) -> np.ndarray:
        """One array object for each image of a position, so that what was computed of it is found again, but not what was computed at an
        earlier position: a block that was taken up again has not that."""
        key = position, walk.task, walk.images[position]
        if key not in self.pictures:
            self.pictures[key] = np.ascontiguousarray(self.images[walk.task][walk.images[position]], np.float32)
        return self.pictures[key]

    def _label(self, walk: Walk, position: int) -> np.ndarray:
        return np.array(
            self.labels[walk.task][walk.images[position]], bool
        )  # a copy: a cluster's arrays are read-only, skimage refuses them


def walk_all(
    block: Block, method: Method, seed_method: Method, distances: bool = True, stored: Callable[[Block], None] = lambda block: None
) -> list[dict[str, Any]]:
    """Finishes ``block``; returns a row per image and step, the seed image left out (it is segmented by ``seed_method``, without examples, for
    every method alike). ``stored`` is called after each position."""
    positions = len(block.walks[0].images)
    while block.done < positions:
        _advance(block, method, seed_method, distances)
        stored(block)
    return block.rows


def _advance(block: Block, method: Method, seed_method: Method, distances: bool) -> None:
    position, setting = block.done, block.setting
    sittings = []
    for walk, entries in zip(block.walks, block.entries, strict=True):
        user = USERS[setting.user](seed=person_seed(setting, walk, position))
        context = () if not position or setting.context == "none" else tuple(entries[-setting.max_context :])
        sittings.append(Sitting(block._image(walk, position), block._label(walk, position), user, context))
    if position:
        work_together(method, sittings, setting.cap, setting.target)
    elif not setting.truth_seed:
        work_together(seed_method, sittings, max(setting.cap, USERS[setting.user].max_steps), setting.target)
    for number, (walk, sitting) in enumerate(zip(block.walks, sittings, strict=True)):
        mask = _accepted(sitting, "truth" if not position and setting.truth_seed else setting.context)
        block.accepted[number].append(mask)
        block.entries[number].append(Entry(sitting.image, mask))
        if position:
            block.rows.extend(_rows(walk, position, sitting, distances))
    block.done += 1


def _accepted(sitting: Sitting, context: str) -> np.ndarray:
    if context == "truth":
        return sitting.label.astype(np.float32)
    return sitting.probability if context == "soft" else sitting.mask.astype(np.float32)


def _rows(walk: Walk, position: int, sitting: Sitting, distances: bool) -> list[dict[str, Any]]:
    rows = []
    for step, dice in enumerate(sitting.dices):
        last = step == sitting.steps
        distance = sitting.distance() if last and distances else float("nan")
        rows.append(
            {
                "task": walk.task,
                "simulation": walk.draw,
                "order": walk.order,
                "position": position,
                "image": walk.images[position],
                "context_size": len(sitting.context),
                "step": step,
                "last": int(last),
                "dice": round(dice, 5),
                "hd95": round(distance, 4),
            }
        )
    return rows


def person_seed(setting: Setting, walk: Walk, position: int) -> Any:
    """What a person draws depends on task, draw and image, never on the method: equal situations get equal prompts."""
    return [setting.seed, walk.task, walk.draw, walk.images[position]]


def pack(block: Block) -> bytes:
    """What a block has done so far, for ``unpack``."""
    stream = io.BytesIO()
    accepted = np.array(block.accepted, np.float32)
    keys = list(block.rows[0]) if block.rows else []
    columns = {f"row_{key}": np.array([row[key] for row in block.rows]) for key in keys}
    np.savez_compressed(stream, accepted=accepted, done=block.done, **columns)
    return stream.getvalue()


def unpack(block: Block, content: bytes) -> Block:
    """``block`` (new, of the same plan) as it was when ``content`` was made.

    Raises:
        ValueError: ``content`` is damaged or of another block.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            columns = {key[4:]: stored[key].tolist() for key in stored.files if key.startswith("row_")}
            accepted, done = stored["accepted"], int(stored["done"])
    except Exception as error:  # whatever zip and numpy make of half a file
        raise ValueError("a damaged state") from error
    if accepted.shape[:2] != (len(block.walks), done):
        raise ValueError("a state of another block")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Block(block.walks, block.images, block.labels, block.setting, done, [list(a) for a in accepted], rows)


def draw_walks(task: int, subjects: np.ndarray, count: int, images: int, seed: int, orders: int = 1) -> list[Walk]:
    """``count`` draws of a seed image and ``images`` others without replacement, of other subjects than the seed image's where there are enough;
    with ``orders`` each draw comes in so many orders.

    Raises:
        ValueError: the task has too few images.
    """
    if len(subjects) <= images:
        raise ValueError(f"{images + 1} images are needed, the task has {len(subjects)}.")
    walks = []
    for draw in range(count):
        rng = np.random.default_rng([seed, task, draw])
        first = int(rng.integers(len(subjects)))
        others = np.flatnonzero(subjects != subjects[first])
        if len(others) < images:
            others = np.delete(np.arange(len(subjects)), first)
        chosen = rng.permutation(others)[:images].tolist()
        for order in range(orders):
            walks.append(Walk(task, draw, order, (first, *(rng.permutation(chosen).tolist() if order else chosen))))
    return walks
