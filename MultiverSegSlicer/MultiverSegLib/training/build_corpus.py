"""Turns folders of images and masks (PNG, NIfTI, NRRD ...) into a dataset of a training corpus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.encoding import average_mask
from ..core.files import replacing
from ..core.imaging import ImageSettings, image_to_grid
from .corpus import CorpusError

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
#: Voxels that an image and its mask may lie apart: rounding of a header.
_SAME = 0.1
_MOST_LABELS = 256
#: Array axes (k, j, i) of an LPS-oriented volume and the view one looks along them.
VIEWS = ("axial", "coronal", "sagittal")


@dataclass
class DatasetInfo:
    """What the manifest says about a dataset. ``labels``: value in the mask -> name; empty: every value found."""

    name: str
    licence: str
    modality: str = ""
    anatomy: str = ""
    split: str = "train"
    bundle: bool = False
    source: str = ""
    labels: dict[int, str] = field(default_factory=dict)
    subject_pattern: str | None = None


@dataclass
class Slice:
    """One image of the dataset: uint8 [128, 128], masks bool [L, 128, 128]."""

    image: np.ndarray
    masks: np.ndarray
    subject: str
    name: str
    view: str


def build_dataset(
    images: str | Path,
    masks: str | Path,
    output: str | Path,
    info: DatasetInfo,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> dict[str, Any]:
    """Writes ``<name>.npz`` into the corpus folder ``output`` and enters it in ``manifest.json``; returns the entry.

    2D images give one entry each; 3D images give, along each axis and for each label, the slice with the largest label area and the
    middle one (section 4). Slices are padded to a physical square, resampled to 128 x 128 and scaled from their 0.5 and 99.5 percentiles.
    Subjects are split ``fractions`` into train, validation and test.

    Raises:
        CorpusError: a folder without images, an image without a mask, masks of another shape, or nothing labelled.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", info.name):
        raise CorpusError(f"The dataset name {info.name!r} must be letters, digits, '_', '.' and '-': it names the file.")
    pairs = pair_files(Path(images), Path(masks))
    volumes = [(path, *_read_pair(path, mask)) for path, mask in pairs]
    labels = info.labels or {int(v): f"label {int(v)}" for v in sorted({v for _, _, m, _ in volumes for v in np.unique(m)} - {0})}
    if not labels:
        raise CorpusError(f"No mask in {masks} shows anything: every pixel is 0.")
    slices = [s for path, image, mask, spacing in volumes for s in _slices(path, image, mask, spacing, labels, info)]
    if not slices:
        raise CorpusError(f"No mask in {masks} shows any of the labels {sorted(labels)}: give the values in the mask files.")
    folds = split_subjects([s.subject for s in slices], fractions, seed)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    arrays = {
        "images": np.stack([s.image for s in slices]),
        "masks": np.packbits(np.stack([s.masks for s in slices]), axis=-1),
        "label_names": np.array(list(labels.values())),
        "subjects": np.array([s.subject for s in slices]),
        "names": np.array([s.name for s in slices]),
        "views": np.array([s.view for s in slices]),
        "folds": folds,
    }
    _write(output / f"{info.name}.npz", lambda stream: np.savez_compressed(stream, **arrays))
    entry = _entry(info, slices, list(labels.values()))
    _enter(output / "manifest.json", entry)
    return entry


def pair_files(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Image and mask files with the same name, in order of name: up to the suffix, with ``_mask``/``_seg``/``_label``/``.seg`` added to the mask's
    or nnU-Net's channel number ``_0000`` to the image's (further channels are left out). Hidden files don't count.

    Raises:
        CorpusError: a folder is missing or empty, or an image has no mask.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise CorpusError(f"{folder} is not a folder: give the folders of the images and of their masks.")
    by_stem = {re.sub(r"([_-](mask|seg|label)s?|\.seg)$", "", stem): path for stem, path in _by_stem(masks)}
    found = dict(_by_stem(images))
    pairs = []
    for stem, path in found.items():
        channel = re.search(r"_(\d{4})$", stem)
        if channel and channel.group(1) != "0000" and f"{stem[:-5]}_0000" in found:
            continue
        mask = by_stem.get(stem) or (by_stem.get(stem[:-5]) if channel else None)
        if mask is None:
            raise CorpusError(f"{path} has no mask in {masks}: name it {stem} with any of the image suffixes, or move the image away.")
        pairs.append((path, mask))
    if not pairs:
        raise CorpusError(f"{images} holds no images ({', '.join(SUFFIXES)}).")
    return pairs


def _by_stem(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        suffix = _suffix(path)
        if suffix and not path.name.startswith(".") and path.is_file():
            yield path.name[: -len(suffix)], path


def _suffix(path: Path) -> str | None:
    return next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)


def _read(path: Path) -> Any:
    """The SimpleITK image, 2D or 3D.

    Raises:
        CorpusError: unreadable, or of more dimensions.
    """
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise CorpusError(f"{path} can't be read as an image: {str(error).strip().splitlines()[-1]}.") from error
    if image.GetDimension() > 3:
        size = " x ".join(map(str, image.GetSize()))
        raise CorpusError(f"{path} has {image.GetDimension()} dimensions ({size}): give 2D or 3D images, e.g. one time point.")
    return image


def _oriented(image: Any) -> tuple[np.ndarray, tuple[float, float, float]]:
    """An array [k, j, i] (and its channels, if it has several) of the LPS-oriented image and its spacing (k, j, i) in mm; 2D images have one k."""
    import SimpleITK as sitk

    if _is_volume(image):
        image = sitk.DICOMOrient(image, "LPS")
    array = sitk.GetArrayFromImage(image)
    spacing = tuple(reversed(image.GetSpacing()))
    return (array[None], (1.0, *spacing)) if image.GetDimension() == 2 else (array, spacing)


def _is_volume(image: Any) -> bool:
    return image.GetDimension() == 3 and image.GetSize()[2] > 1


def _read_pair(path: Path, mask_path: Path) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """(image, mask, spacing), arrays [k, j, i]."""
    image, mask = _read(path), _read(mask_path)
    array, spacing = _oriented(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        colours = array[..., :3].astype(np.float32)
        array = colours @ np.array([0.299, 0.587, 0.114], np.float32) if colours.shape[-1] == 3 else colours[..., 0]
    labels = _labels_of(mask, mask_path)
    if image.GetSize() != mask.GetSize():
        raise CorpusError(f"{mask_path} has the size {mask.GetSize()}, its image {path} has {image.GetSize()}: they must match.")
    if _is_volume(image) and (shift := _shift(image, mask)) > _SAME:
        raise CorpusError(
            f"{mask_path} lies in another place than its image {path} (up to {shift:.1f} voxels away, by origin, spacing or direction): "
            "correct its header, or resample it to the image."
        )
    return array, labels, spacing


def _labels_of(mask: Any, path: Path) -> np.ndarray:
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise CorpusError(f"{path} is a JPEG, which changes the label values of a mask: give PNG, NIfTI or NRRD.")
    labels, _ = _oriented(mask)
    if mask.GetNumberOfComponentsPerPixel() > 1:
        colours = labels[..., : 3 if mask.GetNumberOfComponentsPerPixel() > 2 else 1]
        if not (colours == colours[..., :1]).all():
            raise CorpusError(f"{path} is a colour image: give a mask with one number for each label.")
        labels = colours[..., 0]
    whole = np.rint(np.nan_to_num(labels)).astype(np.int64)
    if labels.dtype.kind == "f" and not np.allclose(whole, labels, atol=1e-3):
        raise CorpusError(f"{path} holds fractions, as probabilities are: threshold it first.")
    if len(found := np.unique(whole)) > _MOST_LABELS:
        raise CorpusError(f"{path} holds {len(found)} different values: it is an image, not a mask.")
    return whole


def _shift(image: Any, mask: Any) -> float:
    """By how many of the image's voxels the corners of two images of one size lie apart at most."""
    size = np.array(image.GetSize()) - 1
    corners = [tuple(int(v) for v in size * bits) for bits in np.ndindex(2, 2, 2)]
    places = [image.TransformPhysicalPointToContinuousIndex(mask.TransformIndexToPhysicalPoint(corner)) for corner in corners]
    return float(np.abs(np.array(places) - np.array(corners)).max())


def _slices(path: Path, image: np.ndarray, mask: np.ndarray, spacing, labels: Mapping[int, str], info: DatasetInfo) -> Iterator[Slice]:
    stem = path.name[: -len(_suffix(path) or "")]
    found = re.search(info.subject_pattern, stem) if info.subject_pattern else None
    subject = (found.group(1) if found.groups() else found.group(0)) if found else stem
    axes = (0,) if image.shape[0] == 1 else (0, 1, 2)
    for axis in axes:
        view = "2d" if len(axes) == 1 else VIEWS[axis]
        in_plane = tuple(spacing[a] for a in range(3) if a != axis)
        for index in sorted(_chosen(mask, axis, labels)):
            cut = [slice(None)] * 3
            cut[axis] = index
            picture, drawn = image[tuple(cut)], mask[tuple(cut)]
            if axis:  # rows of coronal and sagittal slices run to the feet
                picture, drawn = picture[::-1], drawn[::-1]
            grid = image_to_grid(picture, in_plane, ImageSettings(scaling="percentiles"))
            masks = np.stack([average_mask(drawn == value, in_plane) >= 0.5 for value in labels])
            if masks.any():
                name = stem if view == "2d" else f"{stem} {view} {index}"
                yield Slice(np.rint(grid * 255).astype(np.uint8), masks, subject, name, view)


def _chosen(mask: np.ndarray, axis: int, labels: Mapping[int, str]) -> set[int]:
    """The slice with the largest area of each label, and the middle slice."""
    chosen = {mask.shape[axis] // 2}
    for value in labels:
        areas = (mask == value).sum(axis=tuple(a for a in range(3) if a != axis))
        if areas.any():
            chosen.add(int(areas.argmax()))
    return chosen


def split_subjects(subjects: Sequence[str], fractions: Sequence[float], seed: int) -> np.ndarray:
    """The fold of each image: whole subjects, shuffled by ``seed``, cut at the cumulated fractions. No subject is in two folds."""
    unique = sorted(set(subjects))
    order = np.random.default_rng(seed).permutation(len(unique))
    bounds = np.rint(np.cumsum(fractions) / np.sum(fractions) * len(unique)).astype(int)
    fold_of = {
        unique[s]: ("train", "val", "test")[min(int(np.searchsorted(bounds, rank, side="right")), 2)] for rank, s in enumerate(order)
    }
    return np.array([fold_of[s] for s in subjects])


def _entry(info: DatasetInfo, slices: list[Slice], names: list[str]) -> dict[str, Any]:
    areas = np.stack([s.masks.sum((-1, -2)) for s in slices])
    views, counts = np.unique([s.view for s in slices], return_counts=True)
    return {
        "dataset": info.name,
        "file": f"{info.name}.npz",
        "source": info.source,
        "modality": info.modality,
        "anatomy": info.anatomy,
        "license": info.licence,
        "split": info.split,
        "bundle": bool(info.bundle and info.split == "train"),
        "source_group": info.name,
        "n_images": len(slices),
        "n_subjects": len({s.subject for s in slices}),
        "labels": [
            {"name": n, "n_images": int((a > 0).sum()), "median_area_px": int(np.median(a[a > 0])) if a.any() else 0}
            for n, a in zip(names, areas.T, strict=True)
        ],
        "views": dict(zip(views.tolist(), counts.tolist(), strict=True)),
    }


def _enter(path: Path, entry: dict[str, Any]) -> None:
    manifest: dict[str, Any] = {"datasets": []}
    if path.is_file():
        from .corpus import read_manifest

        manifest = read_manifest(path.parent)
    manifest["datasets"] = [d for d in manifest["datasets"] if d.get("file") != entry["file"]] + [entry]
    _write(path, lambda stream: stream.write(json.dumps(manifest, indent=1).encode()))


def _write(path: Path, fill) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        fill(stream)
