"""Registers the bundled cohorts with the Sample Data module. The files come with the extension, so this works offline."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from ...core.resources import resource_path
from ...core.sample_cohorts import SAMPLE_COHORTS, SampleCohort

CATEGORY = "MultiverSeg"
#: Short name of a cohort -> its pictures below Resources/Icons: of one volume and of all.
_PICTURES = {"hippocampus": ("SampleHippocampus.png", "SampleCohort.png"), "heart": ("SampleHeart.png", "SampleHearts.png")}


def register() -> None:
    """Add one entry for a single volume and one for the whole cohort, of each cohort."""
    for name, sample in SAMPLE_COHORTS.items():
        files, (one, all_of_them) = sample.images(), _PICTURES[name]
        title = _(sample.title)
        _register(sample, _("{title} (one volume)").format(title=title), files[:1], one)
        _register(sample, _("{title} cohort ({count} volumes)").format(title=title, count=len(files)), files, all_of_them)


def _register(sample: SampleCohort, name: str, files: list[Path], thumbnail: str) -> None:
    import SampleData

    digests = sample.checksums()
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
