"""Convolution of a stream that comes in parts, and a cheaper exact one for a part that was just upsampled.

Bilinear upsampling and a 3x3 convolution are linear, and channels are mixed at each pixel alone, so the mixing can be done before the upsampling, on a
quarter of the pixels: with U the matrix that doubles rows or columns and S_a, S_b the shifts by one pixel of the nine taps,
``conv(U x U^T) = sum_a S_a U (sum_b (W_ab x) (S_b U)^T)``. That takes less than half of the multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

#: Channels from which the cheaper way pays for its smaller matrix products.
_WORTHWHILE = 96


@dataclass(frozen=True, eq=False)
class Upsampled:
    """A feature map of twice the rows and columns of ``source`` [M,C,H,W], not computed yet."""

    source: Tensor

    @property
    def channels(self) -> int:
        return self.source.shape[1]

    def computed(self) -> Tensor:
        """[M,C,2H,2W], bilinear with aligned corners."""
        return F.interpolate(self.source, scale_factor=2, mode="bilinear", align_corners=True)


#: A feature map in pieces along the channels.
Part = Tensor | Upsampled
Parts = Sequence[Part]


def channels_of(part: Part) -> int:
    return part.channels if isinstance(part, Upsampled) else part.shape[1]


class PartConvolution:
    """3x3 convolution with zero padding for one part; ``weight`` [out,C,3,3]. Made once per forward pass, used for every chunk."""

    def __init__(self, weight: Tensor, part: Part) -> None:
        self.cheap = isinstance(part, Upsampled) and min(weight.shape[:2]) >= _WORTHWHILE and _plain_evaluation(weight)
        if self.cheap:
            taps = weight.permute(3, 0, 2, 1).flatten(1, 2).contiguous()  # per column tap b: [(out, row tap a), C]
            self.weight, self.features = taps, len(weight)
        else:
            self.weight = weight.contiguous()

    def __call__(self, part: Part, bias: Tensor | None = None, into: Tensor | None = None) -> Tensor:
        """[M,C,H,W] -> [M,out,H,W], added to ``into`` if given."""
        if self.cheap and isinstance(part, Upsampled):
            return self._cheap(part.source, bias, into)
        result = F.conv2d(part.computed() if isinstance(part, Upsampled) else part, self.weight, bias, padding=1)
        return result if into is None else into.add_(result)

    def _cheap(self, x: Tensor, bias: Tensor | None, into: Tensor | None) -> Tensor:
        m, _, height, width = x.shape
        columns, rows = _shifted(width, x.dtype, x.device), _stacked(height, x.dtype, x.device)
        doubled: Tensor | None = None
        for tap, matrix in zip(self.weight, columns, strict=True):
            mixed = torch.matmul(tap, x.flatten(2)).view(-1, width)
            doubled = torch.mm(mixed, matrix) if doubled is None else torch.addmm(doubled, mixed, matrix, out=doubled)
        assert doubled is not None, "a kernel has three columns"
        doubled = doubled.view(m * self.features, 3 * height, 2 * width)
        rows = rows.expand(len(doubled), -1, -1)
        if into is not None:
            sums = into.view(len(doubled), 2 * height, 2 * width)
            torch.baddbmm(sums, rows, doubled, out=sums)
            return into
        result = torch.bmm(rows, doubled).view(m, self.features, 2 * height, 2 * width)
        return result if bias is None else result.add_(bias[:, None, None])


def convolve(parts: Parts, kernels: Sequence[PartConvolution], bias: Tensor | None) -> Tensor:
    """The convolution of the concatenated parts, which are never concatenated."""
    result: Tensor | None = None
    # plain parts first: the cheap way can add to what is there
    for part, kernel in sorted(zip(parts, kernels, strict=True), key=lambda pair: pair[1].cheap):
        result, bias = kernel(part, bias, result), None
    if result is None:
        raise ValueError("There is no part to convolve.")
    return result


def _plain_evaluation(weight: Tensor) -> bool:
    """On a CPU, in the weights' own precision, without gradient."""
    if torch.is_grad_enabled() or weight.is_cuda:
        return False
    try:
        return not torch.is_autocast_enabled("cpu")
    except TypeError:  # before PyTorch 2.4
        return not torch.is_autocast_cpu_enabled()


def _doubling(n: int) -> Tensor:
    """[2n, n], float64: output i reads input position i * (n - 1) / (2n - 1)."""
    return F.interpolate(torch.eye(n, dtype=torch.float64)[None], size=2 * n, mode="linear", align_corners=True)[0].T.contiguous()


@lru_cache(maxsize=32)
def _shifted(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[3, n, 2n]: doubles columns and shifts them by -1, 0, 1 (what leaves the picture is lost, what enters is zero)."""
    padded = F.pad(_doubling(n), (0, 0, 1, 1))
    return torch.stack([padded[tap : tap + 2 * n].T for tap in range(3)]).contiguous().to(device, dtype)


@lru_cache(maxsize=32)
def _stacked(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[1, 2n, 3n]: doubles rows, shifts each third by its row tap and adds them up."""
    return _shifted(n, dtype, device).flatten(0, 1).T[None].contiguous()
