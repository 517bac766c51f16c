"""NIfTI label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ....core.errors import CohortError, VolumeError
from ....core.plugins import Plugin
from ....mrml import paths
from ....mrml.headers import check_header
from ...store.files import save_with
from ...store.records import file_safe
from ..case_result import CaseResult

#: Shear beyond which NIfTI readers show a volume elsewhere.
_STRAIGHT = 1e-4
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write(result: CaseResult, folder: Path) -> list[Path]:
    """One label map (values of the structures), or one file per structure where these overlap; an absent structure's is empty."""
    import SimpleITK as sitk

    masks, volume = result.known_masks(), result.volume
    overlap = np.sum([mask for _, mask in masks], axis=0).max() > 1
    if overlap:
        parts = {f"{result.case_id}.{file_safe(s.name)}.nii.gz": mask * np.uint16(s.value) for s, mask in masks}
    else:
        parts = {f"{result.case_id}.nii.gz": np.sum([mask * np.uint16(s.value) for s, mask in masks], axis=0).astype(np.uint16)}
    matrix = _RAS_TO_LPS @ volume.ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    shear = float(np.abs((matrix[:3, :3] / spacing).T @ (matrix[:3, :3] / spacing) - np.eye(3)).max())
    if shear > _STRAIGHT:
        raise CohortError(
            f"The volume of case {result.case_id} is sheared by {shear:.2g} (a tilted stack), which NIfTI does not hold: export it as seg.nrrd."
        )
    files = []
    for name, labels in parts.items():
        image = sitk.GetImageFromArray(np.ascontiguousarray(labels))
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(matrix[:3, 3].tolist())
        image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
        target = result.target(folder, name)
        save_with(target, lambda path, image=image: _write_image(image, path))
        files.append(target)
    return files


def _write_image(image: Any, path: str) -> None:
    import SimpleITK as sitk

    try:
        sitk.WriteImage(image, path, True)
        check_header(Path(path))  # the NIfTI writer says nothing on a full disk
    except (RuntimeError, VolumeError) as error:
        raise CohortError(
            f"{path} can't be written ({paths.reason_of(error)}): check the disk space and your rights on its folder."
        ) from error


PLUGIN = Plugin("nifti", "NIfTI label map (.nii.gz)", "One label map, or one file per structure where these overlap.", write)
