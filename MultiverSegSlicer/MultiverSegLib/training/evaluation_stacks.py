"""Volumes for evaluations, as stacks of slices on the grid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..core.encoding import average_mask
from ..core.imaging import ImageSettings, image_to_grid
from ..evaluation.radioactive import Stack
from .build_corpus import _read_pair, pair_files
from .corpus import CorpusError


def read_stacks(images: Path, masks: Path, label: int = 0, axis: int = 0) -> Iterator[Stack]:
    """The volumes of two folders of equal file names, sliced along an axis of the array (0: axial), scaled slice by slice.

    Args:
        label: value of the structure in the masks; 0: all that is not 0.

    Raises:
        CorpusError: missing, unreadable or mismatched files, or a volume without the structure.
    """
    for path, mask_path in pair_files(images, masks):
        image, mask, spacing = _read_pair(path, mask_path)
        wanted = np.moveaxis(mask == label if label else mask != 0, axis, 0)
        if not wanted.any():
            raise CorpusError(f"{mask_path} does not show the structure: give --label, or move the file away.")
        in_plane = tuple(spacing[a] for a in range(3) if a != axis)
        settings = ImageSettings(scaling="percentiles")
        slices = np.stack([image_to_grid(picture, in_plane, settings) for picture in np.moveaxis(image, axis, 0)])
        labels = np.stack([average_mask(drawn, in_plane) >= 0.5 for drawn in wanted])
        yield Stack(path.name.partition(".")[0], slices.astype(np.float32), labels)
