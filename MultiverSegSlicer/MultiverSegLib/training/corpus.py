"""Reads a corpus: a folder of `.npz` datasets with a `manifest.json` (the format is described in Docs/training.md).

A task is dataset x view (slice axis) x label. Subjects are folded into train, validation and test, by source group, so that files that
share patients share folds. Datasets marked ``eval`` and datasets whose licence forbids it can't get into training by accident: the
gates are here, where files are opened.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import MultiverSegError

FOLDS = ("train", "val", "test")


class CorpusError(MultiverSegError):
    """A corpus folder, its manifest or one of its files is missing or malformed."""


@dataclass(frozen=True)
class Slices:
    """What is known of images that are slices of volumes.

    ``gaps`` float [N, L]: 0 where the label is on the slice, otherwise the distance in mm to the nearest slice that shows it, NaN where nothing
    is known (nobody may have looked for the label). ``stacks`` int [N]: slices of one volume and axis share a number; ``positions`` int [N]:
    their order. Both None where slices were picked one by one.
    """

    gaps: np.ndarray
    stacks: np.ndarray | None = None
    positions: np.ndarray | None = None


@dataclass(frozen=True)
class Dataset:
    """One labelled file: ``images`` uint8 [N, H, W], ``packed`` uint8 [N, L, H, W/8] (bits along the last axis)."""

    name: str
    info: dict[str, Any]
    images: np.ndarray
    packed: np.ndarray
    label_names: tuple[str, ...]
    subjects: np.ndarray
    views: np.ndarray
    folds: np.ndarray
    areas: np.ndarray
    slices: Slices | None = None

    @property
    def group(self) -> str:
        """Datasets of one group may share patients."""
        return str(self.info.get("source_group") or self.name)

    @property
    def picked(self) -> bool:
        """Whether its images were picked one by one; otherwise they are all slices of volumes."""
        return self.slices is None or self.slices.stacks is None

    def pictures(self, indices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Images uint8 [n, H, W]; label maps without images get made-up ones."""
        if not self.info.get("paint"):
            return self.images[indices]
        from .volumes import paint

        return paint(self.images[indices], rng)

    def mask(self, index: int, label: int) -> np.ndarray:
        """bool [H, W]."""
        return np.unpackbits(self.packed[index, label], axis=-1)[:, : self.images.shape[-1]].astype(bool)


@dataclass(frozen=True)
class Task:
    """One binary task in one fold: ``indices`` are the images of ``dataset`` that show the label in this view, ``absent`` those of which it is
    known that they don't, with their ``gaps`` in mm."""

    dataset: Dataset
    label: int
    view: str
    indices: np.ndarray
    absent: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    gaps: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def name(self) -> str:
        return f"{self.dataset.name} / {self.dataset.label_names[self.label]} / {self.view}"


@dataclass
class Corpus:
    """The datasets that passed the gates and the unlabelled images (uint8 [N, H, W]) beside them."""

    root: Path
    datasets: list[Dataset] = field(default_factory=list)
    unlabelled: dict[str, np.ndarray] = field(default_factory=dict)
    infos: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        root: str | Path,
        split: str = "train",
        licence: str = "bundle",
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        unlabelled: bool = False,
        only: list[str] | None = None,
        volumes: bool = False,
        cache: str | Path | None = None,
    ) -> Corpus:
        """Opens the datasets of one ``split`` ("train" or "eval").

        Args:
            licence: "bundle" takes only datasets whose licence lets a model trained on them be shipped; "any" takes all.
            fractions: train, validation and test shares of the subjects, for files that don't bring their own folds.
            only: names of datasets to take; None takes all that pass the gates.
            volumes: the slices of the corpus' volumes too (datasets named "NAME volumes"), kept in the folder ``cache``.

        Raises:
            CorpusError: the folder has no manifest, a file is damaged, or nothing passes the gates.
        """
        root = Path(root)
        manifest = read_manifest(root)
        corpus = cls(root)
        for entry in manifest["datasets"]:
            name = Path(entry["file"]).stem
            if _passes(entry, split, licence) and (only is None or name in only):
                corpus.datasets.append(_read_dataset(root / entry["file"], name, entry, fractions))
        if volumes:
            passing = [e for e in manifest.get("volumes") or [] if _passes(e, split, licence)]
            wanted = [e for e in passing if only is None or volumes_name(e) in only]
            corpus.datasets += [_read_volumes(root / e["file"], e, fractions, cache) for e in wanted]
        if unlabelled:
            for name, entry in (manifest.get("unlabelled") or {}).items():
                corpus.unlabelled[name] = _read_arrays(root / entry["file"], ("images",))["images"]
                corpus.infos[name] = entry
        if not corpus.datasets:
            raise CorpusError(f"{root} has no dataset with split {split!r} that passes the licence gate {licence!r}: check manifest.json.")
        return corpus

    def tasks(
        self, fold: str | None, min_area: int = 20, min_images: int = 2, complete: Sequence[str] = (), min_gap: float = 1.5
    ) -> list[Task]:
        """The tasks with at least ``min_images`` images of ``fold`` (None: all folds) with ``min_area`` labelled pixels.

        Args:
            complete: datasets in which every structure is drawn wherever it is, so that an empty mask says that it is absent.
            min_gap: how far in mm beyond a structure's end its absence is certain; where it ends is its annotators' convention.
        """
        tasks = []
        for dataset in self.datasets:
            in_fold = np.ones(len(dataset.images), bool) if fold is None else dataset.folds == fold
            for view in sorted(set(dataset.views.tolist())):
                for label in range(len(dataset.label_names)):
                    usable = in_fold & (dataset.views == view) & (dataset.areas[:, label] >= min_area)
                    if usable.sum() >= min_images:
                        absent, gaps = _absent(dataset, label, in_fold & (dataset.views == view), dataset.name in complete, min_gap)
                        tasks.append(Task(dataset, label, view, np.flatnonzero(usable), absent, gaps))
        return tasks


def volumes_name(entry: dict[str, Any]) -> str:
    """The name of the dataset that a file of volumes becomes."""
    return f"{Path(entry['file']).stem} volumes"


def _passes(entry: dict[str, Any], split: str, licence: str) -> bool:
    """The two gates."""
    return entry.get("split") == split and not (licence == "bundle" and split == "train" and entry.get("bundle") is not True)


#: Of an image of which only the absence is known.
_FAR_MM = 30.0


def _absent(dataset: Dataset, label: int, among: np.ndarray, complete: bool, min_gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the images that certainly don't show the label, and their distances from it in mm."""
    empty = among & (dataset.areas[:, label] == 0)
    gaps = np.full(len(empty), np.nan) if dataset.slices is None else dataset.slices.gaps[:, label].astype(float)
    if complete:
        gaps = np.where(np.isnan(gaps), _FAR_MM, gaps)
    chosen = np.flatnonzero(empty & (np.nan_to_num(gaps, nan=-1.0) >= min_gap))
    return chosen, gaps[chosen]


def read_manifest(root: Path) -> dict[str, Any]:
    """The parsed ``manifest.json`` of a corpus folder.

    Raises:
        CorpusError: missing, not JSON, or without a list of datasets.
    """
    path = root / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorpusError(f"{root} is not a corpus (no manifest.json): give a folder made by `multiverseg corpus build`.") from error
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path} can't be read: {error}.") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("datasets"), list):
        raise CorpusError(f"{path} lists no datasets: give a folder made by `multiverseg corpus build`.")
    return manifest


_OPTIONAL = ("folds", "gap_mm")


def _read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in names if name in archive or name not in _OPTIONAL}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CorpusError(f"{path} is missing or not a corpus file: {error}.") from error


def _read_dataset(path: Path, name: str, entry: dict[str, Any], fractions: tuple[float, float, float]) -> Dataset:
    z = _read_arrays(path, ("images", "masks", "label_names", "subjects", "views", *_OPTIONAL))
    subjects = z["subjects"].astype(str)
    width = z["images"].shape[-1]
    areas = np.unpackbits(z["masks"], axis=-1)[..., :width].sum(axis=(-1, -2), dtype=np.int64)
    names = tuple(str(n) for n in z["label_names"])
    folds = z["folds"].astype(str) if "folds" in z else np.empty(0, str)
    slices = None if "gap_mm" not in z else Slices(np.broadcast_to(z["gap_mm"].reshape(len(areas), -1), areas.shape))
    dataset = Dataset(name, entry, z["images"], z["masks"], names, subjects, z["views"].astype(str), folds, areas, slices)
    return dataset if "folds" in z else replace(dataset, folds=fold_subjects(dataset.group, subjects, fractions))


def _read_volumes(path: Path, entry: dict[str, Any], fractions: tuple[float, float, float], cache: str | Path | None) -> Dataset:
    from .volumes import read_slices

    try:
        z = read_slices(path, cache)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CorpusError(f"{path} is missing or not a file of volumes: {error}.") from error
    name, subjects, names = volumes_name(entry), z["subjects"].astype(str), tuple(str(n) for n in z["label_names"])
    folds = fold_subjects(str(entry.get("source_group") or name), subjects, fractions)
    slices, info = Slices(z["gaps"], z["stacks"], z["positions"]), {**entry, "paint": bool(z["paint"])}
    return Dataset(name, info, z["images"], z["masks"], names, subjects, z["views"].astype(str), folds, z["areas"], slices)


def fold_subjects(group: str, subjects: np.ndarray, fractions: tuple[float, float, float]) -> np.ndarray:
    """The fold ("train", "val", "test") of each image: a subject's fold follows from its name and group alone, whatever else there is.

    With fewer than three subjects everything trains: a fold of copies of one patient would measure nothing.
    """
    if len(set(subjects.tolist())) < 3:
        return np.full(len(subjects), "train")
    bounds = np.cumsum(fractions) / np.sum(fractions)

    def fold(subject: str) -> str:
        digest = hashlib.sha256(f"{group}/{subject}".encode()).digest()
        return FOLDS[min(int(np.searchsorted(bounds, int.from_bytes(digest[:6], "big") / 2**48, side="right")), 2)]

    return np.array([fold(s) for s in subjects])
