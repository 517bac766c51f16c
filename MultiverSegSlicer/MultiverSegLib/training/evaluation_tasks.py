"""The tasks that models are measured on: datasets marked `eval` in a corpus and the sample cohort, which nothing was ever trained on, and,
to compare trainings, validation subjects and datasets that one model was not trained on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..core.errors import MultiverSegError
from ..core.models.checkpoints import read_checkpoint
from ..core.models.registry import Registry
from ..core.resources import resource_path
from ..evaluation.quick import EvaluationTask
from .build_corpus import DatasetInfo, build_dataset
from .config import TrainConfig
from .corpus import Corpus, CorpusError, Task

SAMPLE_COHORT = "SampleCohort"
_LABELS = {1: "anterior hippocampus", 2: "posterior hippocampus"}


def load_tasks(
    corpus: str | Path | None, per_dataset: int = 2, images: int = 18, seed: int = 0, sample_cohort: bool = True
) -> list[EvaluationTask]:
    """Up to ``per_dataset`` tasks of each dataset, drawn by ``seed``, with at least ``images`` + 1 usable images each.

    Args:
        corpus: a corpus folder; None: the sample cohort only.

    Raises:
        CorpusError: the corpus has no evaluation datasets.
    """
    loaded = [] if corpus is None else list(_tasks(Corpus.load(corpus, "eval", "any"), per_dataset, images, seed))
    if sample_cohort:
        loaded += _sample_tasks(per_dataset, images, seed)
    return loaded


def validation_tasks(corpus: str | Path, model: str, unseen: bool = False) -> list[Task]:
    """The tasks of the validation subjects of the datasets that ``model`` was trained on; with ``unseen`` those of the training datasets that it was
    not trained on and that share no patients with them.

    Raises:
        MultiverSegError: the checkpoint doesn't say what it was trained on.
        CorpusError: the corpus has no such datasets.
    """
    registry = Registry()
    training = read_checkpoint(registry.path(model) if registry.has(model) else model).get("training") or {}
    if "datasets" not in training:
        raise MultiverSegError(f"{model} doesn't say what it was trained on: give a checkpoint of `multiverseg train`.")
    known = set(training["datasets"])
    loaded = Corpus.load(corpus, "train", "any", tuple(training["config"]["data"]["fractions"]))
    groups = {d.group for d in loaded.datasets if d.name in known}
    taken = [d for d in loaded.datasets if (d.group not in groups if unseen else d.name in known)]
    if not taken:
        raise CorpusError(f"{corpus} has no training dataset that {model} was {'not ' * unseen}trained on.")
    return Corpus(loaded.root, taken).tasks(None if unseen else "val", min_images=3)


def configured_tasks(corpus: str | Path, config: TrainConfig, cache: str | Path | None = None) -> list[Task]:
    """The tasks of the validation subjects of a training's configuration, with what it knows of absence: the same for every model.

    Raises:
        CorpusError: the corpus has none of its datasets.
    """
    data = config.data
    loaded = Corpus.load(corpus, "train", data.licence, data.fractions, only=data.only, volumes=data.volumes, cache=cache)
    return loaded.tasks("val", data.min_area, 3, data.complete, config.absence.min_gap)


def _tasks(corpus: Corpus, per_dataset: int, images: int, seed: int, one_per_subject: bool = False) -> Iterator[EvaluationTask]:
    by_dataset: dict[str, list[tuple[Task, np.ndarray]]] = {}
    for task in corpus.tasks(None, min_area=20):
        indices = _largest_per_subject(task) if one_per_subject else task.indices
        if len(indices) > images:
            by_dataset.setdefault(task.dataset.name, []).append((task, indices))
    for name, tasks in sorted(by_dataset.items()):
        rng = np.random.default_rng([seed, *name.encode()])
        for number in sorted(rng.permutation(len(tasks))[:per_dataset]):
            task, indices = tasks[number]
            pixels = task.dataset.images[indices].astype(np.float32) / 255
            low, high = pixels.min((1, 2), keepdims=True), pixels.max((1, 2), keepdims=True)
            labels = np.stack([task.dataset.mask(i, task.label) for i in indices])
            modality = str(task.dataset.info.get("modality", ""))
            pixels = (pixels - low) / np.maximum(high - low, 1e-6)
            info = task.dataset.info
            licence = str(info.get("license", "")) if info.get("redistribution") == "ok" else ""
            yield EvaluationTask(name, task.name, modality, pixels, labels, task.dataset.subjects[indices], licence)


def _largest_per_subject(task: Task) -> np.ndarray:
    """Of each subject the image with the largest label: its max slice."""
    areas, subjects = task.dataset.areas[task.indices, task.label], task.dataset.subjects[task.indices]
    return np.array([task.indices[subjects == s][areas[subjects == s].argmax()] for s in sorted(set(subjects.tolist()))])


def _sample_tasks(per_dataset: int, images: int, seed: int) -> list[EvaluationTask]:
    folder = resource_path("SampleCohort")
    info = DatasetInfo(SAMPLE_COHORT, "CC BY-SA 4.0", "MRI (T1)", "hippocampus", split="eval", labels=_LABELS)
    with tempfile.TemporaryDirectory() as temporary:
        build_dataset(folder / "images", folder / "labels", temporary, info)
        tasks = _tasks(Corpus.load(temporary, "eval"), per_dataset, images, seed, one_per_subject=True)
        return [replace(task, licence=info.licence) for task in tasks]
