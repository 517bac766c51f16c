"""The pixel fuser: image features, positions and what the map of clicks and previous mask says, added up at three scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_GROUPS = 32


class MaskAndClickEncoder(nn.Module):
    """[B,3,H,W] (positive, negative clicks, previous probability) -> features at 1/8, 1/4, 1/2, coarsest first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down1, self.down2, self.down3 = (
            nn.Sequential(nn.Conv2d(channels, width, 3, 2, 1), nn.ReLU(), nn.GroupNorm(_GROUPS, width)) for channels in (3, width, width)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.down1(x)
        quarter = self.down2(half)
        return self.down3(quarter), quarter, half


class PixelFuser(nn.Module):
    """Args: ``channels``: of the image features, coarsest first; ``width``: of what comes out."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.width = width
        self.input_proj = nn.ModuleList(nn.Sequential(nn.Conv2d(c, width, 1), nn.GroupNorm(_GROUPS, width)) for c in channels)
        self.mask_downsamplelayer = MaskAndClickEncoder(width)

    def project(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The image's share, [B,width,h,w] per scale: it doesn't depend on clicks."""
        return tuple(
            project(f) + positions(f.shape[-2], f.shape[-1], self.width, f) for project, f in zip(self.input_proj, features, strict=True)
        )

    def forward(self, projected: Sequence[Tensor], shown: Tensor) -> list[Tensor]:
        """``project``'s result with the map [B,3,H,W] of clicks and previous mask -> fused features, coarsest first."""
        return [p + m for p, m in zip(projected, self.mask_downsamplelayer(shown), strict=True)]


def positions(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Sines and cosines of the row (first half of the channels) and the column, [1,channels,height,width]."""
    half = channels // 2
    index = torch.arange(half, device=like.device)
    frequency = 10000.0 ** (2 * index.div(2, rounding_mode="floor") / half)
    parts = []
    for length, axis in ((height, 0), (width, 1)):
        where = torch.arange(1, length + 1, device=like.device, dtype=torch.float32) / (length + 1e-6) * (2 * math.pi)
        angle = where[:, None] / frequency
        code = torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=2).flatten(1)
        parts.append((code[:, None] if axis == 0 else code[None]).expand(height, width, half))
    return torch.cat(parts, dim=2).permute(2, 0, 1)[None].to(like.dtype)
