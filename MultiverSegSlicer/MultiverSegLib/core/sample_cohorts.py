"""The cohorts of real volumes that come with the extension: what each shows, and what must be said of its data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .resources import resource_path


@dataclass(frozen=True)
class SampleCohort:
    """``folder``: name of the folder below Resources, with ``images/``, ``labels/``, ``README.md`` and ``SHA256SUMS``.

    Attributes:
        title: what the volumes are, for a list.
        structure: what the labels mark.
        axis: orientation in which the structure is easiest to work on.
        source: where images and labels come from, and their licence; whoever passes pictures on must name it.
        caution: what every number measured on them needs beside it; empty where there is nothing to say.
    """

    folder: str
    title: str
    structure: str
    axis: str
    source: str
    caution: str = ""

    @property
    def path(self) -> Path:
        return resource_path(self.folder)

    def checksums(self) -> dict[str, str]:
        """Path below the folder -> SHA-256 in hex, as listed in its SHA256SUMS."""
        lines = resource_path(self.folder, "SHA256SUMS").read_text(encoding="utf-8").splitlines()
        return {name.strip(): digest for digest, name in (line.split(None, 1) for line in lines if line.strip())}

    def images(self) -> list[Path]:
        """The volumes, in the order of their names."""
        return [self.path / name for name in sorted(self.checksums()) if name.startswith("images/")]


_HIPPOCAMPUS = SampleCohort(
    "SampleCohort",
    "Hippocampus MRI",
    "hippocampus",
    "sagittal",
    "Medical Segmentation Decathlon, Task04 Hippocampus (Antonelli et al., Nature Communications 13, 4128, 2022; "
    "Simpson et al., arXiv:1902.09063), CC BY-SA 4.0.",
)
_HEART = SampleCohort(
    "SampleHeart",
    "Heart cine MRI",
    "left ventricle",
    "axial",
    "Sunnybrook Cardiac Data (Radau et al., The MIDAS Journal, 2009), CC0 1.0.",
    "The spacing of these volumes is assumed (1.37 mm in the plane): ml and mm are estimates.",
)
#: Short name -> cohort.
SAMPLE_COHORTS = {"hippocampus": _HIPPOCAMPUS, "heart": _HEART}


def sample_of(path: Path) -> SampleCohort | None:
    """The sample cohort that a file belongs to; None for a file of the user's."""
    return next((sample for sample in SAMPLE_COHORTS.values() if sample.path in Path(path).parents), None)
