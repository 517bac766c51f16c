"""Runs the command as a person does, and makes small volumes for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line that says why; fails if there is a traceback or more than one error line."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        assert "Traceback" not in self.err and len(errors) == 1, self.err
        assert lines[-1] == errors[0], self.err
        return errors[0]


@pytest.fixture
def command(capfd, monkeypatch, host):
    """``command("segment", ...)`` runs multiverseg in this process. A run that succeeds must leave no VTK message behind."""
    from MultiverSegLib.cli.main import run

    monkeypatch.delenv("MULTIVERSEG_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as leaving:
            run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        code = int(leaving.value.code or 0)
        if code:
            host.messages.clear()  # VTK may complain about what we were given
        return Ran(code, out, err)

    return call


@dataclass
class Made:
    """A volume on disk with a bright ball in it; oblique, anisotropic, not centred."""

    path: Path
    image: object
    center_ijk: tuple[int, int, int]
    radius_mm: float

    def lps(self, i: float, j: float, k: float) -> tuple[float, ...]:
        return self.image.TransformContinuousIndexToPhysicalPoint((float(i), float(j), float(k)))

    def ras(self, i: float, j: float, k: float) -> str:
        x, y, z = self.lps(i, j, k)
        return f"{-x},{-y},{z}"


@pytest.fixture
def ball(tmp_path) -> Made:
    import SimpleITK as sitk

    size, spacing, center, radius = (48, 40, 14), (0.9, 1.1, 3.0), (20, 22, 6), 9.0
    k, j, i = np.mgrid[: size[2], : size[1], : size[0]]
    distance = np.sqrt(sum(((x - c) * s) ** 2 for x, c, s in zip((i, j, k), center, spacing, strict=True)))
    array = np.random.default_rng(0).normal(100, 10, size[::-1]) + 200 * (distance < radius)
    image = sitk.GetImageFromArray(array.astype(np.int16))
    image.SetSpacing(spacing)
    image.SetOrigin((-30.0, 12.0, 55.0))
    c, s = np.cos(0.2), np.sin(0.2)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    path = tmp_path / "ball.nrrd"
    sitk.WriteImage(image, str(path))
    return Made(path, image, center, radius)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A small network with random weights, written by the real ``save_checkpoint``."""
    import torch
    from MultiverSegLib.core.models.checkpoints import save_checkpoint
    from MultiverSegLib.core.networks import MultiverSegNet

    torch.manual_seed(0)
    network = MultiverSegNet(5, 5, [8, 8, 8])
    return save_checkpoint(tmp_path_factory.mktemp("model") / "small.pt", network)
