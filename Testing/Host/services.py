"""Parts of Slicer beside its windows: package installation, the PyTorch extension, the Sample Data module.

None of them touches the network or the Python environment: what a module asks for is recorded.
"""

from __future__ import annotations

import hashlib
import sys
import types
from pathlib import Path
from urllib.parse import unquote, urlparse

import slicer

from . import pytorch
from .citations import SLICER, cite
from .qtmodule import dialogs

installs: list[str] = []
"""What was asked to be installed or uninstalled, in order: ``torch>=2.6`` or ``-torch``."""


def _record(names) -> None:
    installs.extend([names] if isinstance(names, str) else [str(name) for name in names])


def packaging_module():
    """``slicer.packaging``, which Slicer has since 5.12."""
    module = types.ModuleType("slicer.packaging")

    def pip_install(requirements, *_, **options):
        _record(requirements)

    def pip_uninstall(requirements):
        _record(["-" + str(r) for r in ([requirements] if isinstance(requirements, str) else requirements)])

    def pip_check(requirements):
        import importlib.metadata

        for requirement in requirements if isinstance(requirements, list) else [requirements]:
            try:
                if not requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True):
                    return False
            except importlib.metadata.PackageNotFoundError:
                return False
        return True

    def pip_ensure(
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        missing = [r for r in requirements if not pip_check(r)]
        if not missing or (skip_in_testing and slicer.app.testingEnabled()):
            return
        text = f"{requester}: " + ", ".join(map(str, missing))
        if prompt_install and not slicer.util.confirmOkCancelDisplay(text, "Install Python packages?"):
            raise RuntimeError("User declined the installation of Python packages.")
        _record(missing)

    module.pip_install, module.pip_uninstall, module.pip_check, module.pip_ensure = pip_install, pip_uninstall, pip_check, pip_ensure
    return module


cite("pip_install pip_uninstall pip_check pip_ensure", SLICER, "Base/Python/slicer/packaging.py", prefix="slicer.packaging.")


def set_pytorch_extension(present: bool) -> None:
    """Whether ``import PyTorchUtils`` finds the PyTorch extension."""
    sys.modules["PyTorchUtils"] = pytorch.extension_module(_record) if present else None


# ---- Sample Data ------------------------------------------------------------------------------------------------------------------
class SampleDataSource:
    def __init__(self, sampleName, uris, fileNames, nodeNames, checksums, thumbnailFileName, loadFileTypes, loadFiles, customDownloader):
        for name, value in (("uris", uris), ("fileNames", fileNames), ("nodeNames", nodeNames), ("checksums", checksums)):
            setattr(self, name, [value] if isinstance(value, str) or value is None else list(value))
        self.sampleName, self.thumbnailFileName, self.customDownloader = sampleName, thumbnailFileName, customDownloader
        self.loadFileTypes = list(loadFileTypes) if isinstance(loadFileTypes, list | tuple) else [loadFileTypes] * len(self.uris)
        self.loadFiles = loadFiles


class SampleDataLogic:
    """Registers data sets, and gets those whose address is a file; checksums are verified as Slicer does.

    A NIfTI without a file type becomes a segmentation, as it was seen in Slicer: the readers of volumes and of segmentations are equally
    sure of it (qSlicerSegmentationsReader::canLoadFileConfidence looks into nrrd files only), and the order of the modules decides.
    """

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        loadFileType=None,
    ):
        sources = slicer.modules.__dict__.setdefault("sampleDataSources", {})
        types_ = loadFileTypes or loadFileType
        source = SampleDataSource(sampleName, uris, fileNames, nodeNames, checksums, thumbnailFileName, types_, loadFiles, customDownloader)
        sources.setdefault(category, []).append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        sources = slicer.modules.__dict__.get("sampleDataSources", {})
        return sources if category is None else sources.get(category, [])

    def downloadFromSource(self, source, *_):
        nodes = []
        for uri, name, checksum, kind in zip(source.uris, source.nodeNames, source.checksums, source.loadFileTypes, strict=True):
            path = unquote(urlparse(uri).path)
            if checksum and "SHA256:" + hashlib.sha256(Path(path).read_bytes()).hexdigest() != checksum:
                raise ValueError(f"Failed to download {uri}: checksum does not match")
            load = slicer.util.loadSegmentation if kind is None and ".nii" in Path(path).name else slicer.util.loadVolume
            nodes.append(load(path, {"name": name}))
        return nodes


def sample_data_module():
    """``import SampleData``."""
    module = types.ModuleType("SampleData")
    module.SampleDataLogic, module.SampleDataSource = SampleDataLogic, SampleDataSource
    return module


cite(
    "SampleDataSource SampleDataLogic SampleDataLogic.registerCustomSampleDataSource SampleDataLogic.sampleDataSourcesByCategory"
    " SampleDataLogic.downloadFromSource",
    SLICER,
    "Modules/Scripted/SampleData/SampleData.py",
    prefix="SampleData.",
)


def reset() -> None:
    installs.clear()
    dialogs.clear()
    set_pytorch_extension(False)
