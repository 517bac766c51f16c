"""The segmentation file as it is: what Slicer itself writes."""

from __future__ import annotations

import shutil
from pathlib import Path

from ....core.plugins import Plugin
from ....mrml import segments
from ...store.files import save_with
from ..case_result import CaseResult


def write(result: CaseResult, folder: Path) -> list[Path]:
    """Copies the case's file, once it is known to be whole."""
    segments.checked_nrrd(result.saved)
    target = result.target(folder, result.saved.name)
    save_with(target, lambda path: shutil.copyfile(result.saved, path))
    return [target]


PLUGIN = Plugin("seg.nrrd", "Slicer segmentation (.seg.nrrd)", "All structures in one file, with their names and colours.", write)
