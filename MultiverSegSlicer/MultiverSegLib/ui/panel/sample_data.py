"""Registers the bundled cohort with the Sample Data module. The files come with the extension, so this works offline."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from ...core.resources import resource_path

CATEGORY = "MultiverSeg"
_FOLDER = "SampleCohort"


def checksums() -> dict[str, str]:
    """Path below the cohort's folder -> SHA-256 in hex, as listed in its SHA256SUMS."""
    lines = resource_path(_FOLDER, "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {name.strip(): digest for digest, name in (line.split(None, 1) for line in lines if line.strip())}


def image_files() -> list[Path]:
    """The bundled volumes, in order."""
    return [resource_path(_FOLDER) / name for name in sorted(checksums()) if name.startswith("images/")]


def register() -> None:
    """Add one entry for a single volume and one for the whole cohort."""
    import SampleData

    files = image_files()
    _register(SampleData, _("Hippocampus MRI (one volume)"), files[:1], "SampleHippocampus.png")
    _register(SampleData, _("Hippocampus MRI cohort ({count} volumes)").format(count=len(files)), files, "SampleCohort.png")


def _register(SampleData, name: str, files: list[Path], thumbnail: str) -> None:
    digests = checksums()
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=name,
        thumbnailFileName=str(resource_path("Icons", thumbnail)),
        uris=[path.as_uri() for path in files],
        fileNames=[path.name for path in files],
        nodeNames=[path.name.split(".")[0] for path in files],
        # Of a .nii.gz Slicer's readers of volumes and of segmentations are equally sure: without this, chance decides.
        loadFileTypes=["VolumeFile"] * len(files),
        checksums=[f"SHA256:{digests['images/' + path.name]}" for path in files],
    )
