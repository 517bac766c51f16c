"""The formats in which results are exported, one file each.

A format is a ``Plugin`` whose ``run`` is ``write(result: CaseResult, folder: Path) -> list[Path]``: it writes the result of one case into the
folder (each file beside its final name, then renamed) and returns the files, in any thread and without a node; it raises ``CohortError`` where it can't. ``needs`` names the
Python packages that it imports and Slicer doesn't bring, as pip takes them ("highdicom>=0.22"). A new one needs a file here and its entry in ``FORMATS``; another package
adds one by the entry point ``multiverseg.export_formats``.
"""

from __future__ import annotations

from ....core.errors import CohortError
from ....core.plugins import Plugins
from . import dicom_seg, nifti, rt_struct, seg_nrrd, surfaces

FORMATS = Plugins(
    "export format",
    "multiverseg.export_formats",
    CohortError,
    (nifti.PLUGIN, seg_nrrd.PLUGIN, dicom_seg.PLUGIN, rt_struct.PLUGIN, surfaces.STL, surfaces.OBJ),
)
