"""The image encoder of `CachedContextNet`: EfficientNet-Lite0 with its batch norms folded into the convolutions."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

#: (expansion, channels, repeats, kernel, stride) of the first five stages of EfficientNet-Lite0, up to 1/16 of the resolution.
STAGES = ((1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2), (6, 112, 3, 5, 1))
WIDTHS = (16, 24, 40, 112)  # of the features at 1/2, 1/4, 1/8 and 1/16


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which the ImageNet weights were trained with."""

    def forward(self, x: Tensor) -> Tensor:
        k, s = self.kernel_size[0], self.stride[0]
        if s == 1:
            return F.conv2d(x, self.weight, self.bias, 1, k // 2, groups=self.groups)
        rows, cols = (max((math.ceil(n / s) - 1) * s + k - n, 0) for n in x.shape[-2:])
        x = F.pad(x, (cols // 2, cols - cols // 2, rows // 2, rows - rows // 2))
        return F.conv2d(x, self.weight, self.bias, s, groups=self.groups)


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; batch norms are folded into the convolutions."""

    def __init__(self, channels_in: int, channels_out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expand = SameConv(channels_in, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride=stride, groups=wide)
        self.project = SameConv(wide, channels_out, 1)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class ImageEncoder(nn.Module):
    """EfficientNet-Lite0 up to 1/16: grey images [B,1,H,W] in 0..1 -> features at 1/2, 1/4, 1/8, 1/16 (``WIDTHS`` channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(1, 32, 3, stride=2)
        self.blocks = nn.ModuleList()
        width = 32
        for expansion, channels, repeats, kernel, stride in STAGES:
            for repeat in range(repeats):
                self.blocks.append(InvertedResidual(width, channels, expansion, kernel, 1 if repeat else stride))
                width = channels
        self.taps = (0, 2, 4, 10)
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for channels in WIDTHS)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = F.relu6(self.stem(image * (255 / 128) - 127 / 128))
        features: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                features.append(self.norms[len(features)](x))
        return features
