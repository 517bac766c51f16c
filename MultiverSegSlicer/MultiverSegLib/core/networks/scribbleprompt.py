"""ScribblePrompt-UNet: interactive segmentation without context, the first-image network of the MultiverSeg pair (section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .convolution import Upsampled
from .network import SliceNetwork


class ConvPReLU(nn.Module):
    """Conv3x3 and optional PReLU as ``conv.0`` and ``conv.1``, the public checkpoint's names."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, activation: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)]
        self.conv = nn.Sequential(*layers, *([nn.PReLU()] if activation else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class ScribblePromptUNet(SliceNetwork):
    """U-Net of single convolutions. ``forward(target, context)`` takes a context for the common interface and ignores it.

    Args:
        target_channels: 5 (image, box, positive, negative, previous logits).
        features: width of each level; the bottleneck has the last one's. H and W must be divisible by ``2 ** len(features)``.
    """

    family = "scribbleprompt"
    context_channels = 0

    def __init__(self, target_channels: int = 5, features: Sequence[int] = (192, 192, 192, 192)) -> None:
        super().__init__()
        self.target_channels, self.features = int(target_channels), tuple(int(f) for f in features)
        inputs = (self.target_channels, *self.features[:-1])
        self.downs = nn.ModuleList(ConvPReLU(a, b) for a, b in zip(inputs, self.features, strict=True))
        self.bottleneck = ConvPReLU(self.features[-1], self.features[-1])
        below = (self.features[-1], *self.features[:0:-1])
        # The public names count the (parameter-free) upsampling too, so the convolutions have the odd numbers.
        self.ups = nn.ModuleList(
            layer
            for skip, lower in zip(reversed(self.features), below, strict=True)
            for layer in (nn.UpsamplingBilinear2d(scale_factor=2), ConvPReLU(skip + lower, skip))
        )
        self.final_conv = ConvPReLU(self.features[0], 1, kernel=1, activation=False)

    @property
    def architecture(self) -> dict[str, Any]:
        """Plain values from which ``families.build_network`` builds an equal network."""
        return {"family": self.family, "target_channels": self.target_channels, "features": list(self.features)}

    def forward(self, target: Tensor, context: Tensor | None = None) -> Tensor:
        """target [B,Ct,H,W] -> logits [B,1,H,W]."""
        x, skips = target, []
        for down in self.downs:
            skips.append(down(x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = self.bottleneck(x)
        for convolution in self.ups[1::2]:
            x = convolution(torch.cat([skips.pop(), Upsampled(x).computed()], dim=1))
        return self.final_conv(x)
