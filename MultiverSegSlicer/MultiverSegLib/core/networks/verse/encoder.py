"""The image encoder: the down path of a UTNet, residual blocks and attention over a coarse 8 x 8 map. Names as in the published checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Rows and columns of the map that keys and values are reduced to.
_CELLS = 8


class ResidualBlock(nn.Module):
    """BN, ReLU, conv3x3, twice, on a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels_in), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(nn.BatchNorm2d(channels_in), nn.ReLU(), nn.Conv2d(channels_in, channels, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        return y + self.shortcut(x)


class SeparableConv(nn.Module):
    """Depthwise 3x3, then pointwise, without bias."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False)
        self.pointwise = nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class RelativePosition(nn.Module):
    """A bias for each pair of cells of the 8 x 8 map and each head, by how far they lie apart."""

    relative_position_index: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * _CELLS - 1) ** 2, heads))
        nn.init.normal_(self.relative_position_bias_table, std=0.02)
        cell = np.indices((_CELLS, _CELLS)).reshape(2, -1)
        apart = cell[:, :, None] - cell[:, None] + _CELLS - 1
        index = apart[0] * (2 * _CELLS - 1) + apart[1]
        self.register_buffer("relative_position_index", torch.tensor(index.tolist()))

    def forward(self, height: int, width: int) -> Tensor:
        """[heads, height*width, 64]: for each pixel of a map, that of the cell it lies in."""
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()].unflatten(0, (_CELLS, _CELLS, _CELLS**2))
        bias = bias.repeat_interleave(height // _CELLS, 0).repeat_interleave(width // _CELLS, 1)
        return bias.flatten(0, 1).permute(2, 0, 1)


class CoarseAttention(nn.Module):
    """Every pixel attends to the 8 x 8 map. The position's bias is scaled together with the products, as published."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.to_qkv = SeparableConv(channels, 3 * channels)
        self.to_out = SeparableConv(channels, channels)
        self.relative_position_encoding = RelativePosition(heads)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        q, k, v = self.to_qkv(x).chunk(3, dim=1)
        k, v = (F.interpolate(part, size=(_CELLS, _CELLS), mode="bilinear", align_corners=True) for part in (k, v))
        q, k, v = (part.unflatten(1, (-1, self.heads)).flatten(3).permute(0, 2, 3, 1) for part in (q, k, v))  # the head runs fastest
        # written out in the published order: fused kernels round five times worse here, and the decoder's masks are hard decisions
        logits = q @ k.transpose(-1, -2) + self.relative_position_encoding(height, width)
        weights = F.dropout((logits * q.shape[-1] ** -0.5).softmax(-1), self.dropout, self.training)
        y = weights @ v
        y = y.permute(0, 3, 1, 2).flatten(1, 2).unflatten(2, (height, width))
        return F.dropout(self.to_out(y), self.dropout, self.training)


class TransformerBlock(nn.Module):
    """Attention and a pointwise convolution, each on a residual."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.attn = CoarseAttention(channels, heads, dropout)
        self.mlp = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.bn1(x))
        return x + self.mlp(F.relu(self.bn2(x)))


class Down(nn.Module):
    """Halves the map and widens it."""

    def __init__(self, channels_in: int, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ResidualBlock(channels_in, channels, 2), TransformerBlock(channels, heads, dropout))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class ImageEncoder(nn.Module):
    """Three-channel image [B,3,H,W] -> features at 1/8, 1/4 and 1/2, coarsest first. H and W are multiples of 64."""

    def __init__(self, widths: Sequence[int], heads: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        full, *others = widths
        self.inc = nn.Sequential(ResidualBlock(3, full), ResidualBlock(full, full))
        self.down1, self.down2, self.down3 = (Down(a, b, heads, dropout) for a, b in zip(widths, others, strict=False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.down1(self.inc(x))
        quarter = self.down2(half)
        return self.down3(quarter), quarter, half
