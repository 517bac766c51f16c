"""The CrossBlock: mixes a target stream with a context stream (MultiverSeg paper, equations 3 and 4, appendix A.1)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.01  # of every LeakyReLU, PyTorch's default and the published networks'


class ConvUnit(nn.Module):
    """Conv3x3, LeakyReLU, optional GroupNorm(1): ``LN(A(Conv(x)))`` of equation 4. [M,in,H,W] -> [M,out,H,W]."""

    def __init__(self, channels_in: int, channels_out: int, norm: str | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norml = nn.GroupNorm(1, channels_out) if norm == "group1" else None

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu_(self.conv(x), SLOPE)
        return x if self.norml is None else self.norml(x)


class Vmapped(nn.Module):
    """Holds a unit under the name the public checkpoints use for it."""

    def __init__(self, unit: nn.Module) -> None:
        super().__init__()
        self.vmapped = unit

    def forward(self, x: Tensor) -> Tensor:
        return self.vmapped(x)


class CrossConv(nn.Module):
    """``Conv(q || v_i) = Conv_q(q) + Conv_v(v_i)``: one weight [out, q+v, 3, 3], the q part computed once per target (A.1)."""

    def __init__(self, target_channels: int, context_channels: int, channels_out: int) -> None:
        super().__init__()
        self.target_channels = target_channels
        self.cross_conv = nn.Conv2d(target_channels + context_channels, channels_out, 3, padding=1)

    def target_part(self, q: Tensor) -> Tensor:
        """[B,Cq,H,W] -> [B,1,out,H,W], bias included."""
        return F.conv2d(q, self.cross_conv.weight[:, : self.target_channels], self.cross_conv.bias, padding=1)[:, None]

    def context_part(self, v: Tensor) -> Tensor:
        """[B,n,Cv,H,W] -> [B,n,out,H,W], without bias."""
        z = F.conv2d(v.flatten(0, 1), self.cross_conv.weight[:, self.target_channels :], padding=1)
        return z.unflatten(0, v.shape[:2])


class CrossBlock(nn.Module):
    """(q, V) -> (q', V') of equation 4, reading the context chunk by chunk so that only one chunk's temporaries live at a time.

    Args:
        target_channels, context_channels: channels of q and of each v_i.
        features: channels of q' and of each v'_i.
        norm: "group1" (the paper's LN) or None.
        cross_activation: LeakyReLU after the cross convolution (MultiverSeg yes, UniverSeg no).
    """

    def __init__(self, target_channels: int, context_channels: int, features: int, norm: str | None, cross_activation: bool) -> None:
        super().__init__()
        self.cross = CrossConv(target_channels, context_channels, features)
        self.target = Vmapped(ConvUnit(features, features, norm))
        self.support = Vmapped(ConvUnit(features, features, norm))
        self.cross_activation = cross_activation

    def forward(self, q: Tensor, chunks: Iterable[Tensor], with_support: bool = True) -> tuple[Tensor, list[Tensor]]:
        """q [B,Cq,H,W] and chunks of [B,n,Cv,H,W] -> q' [B,F,H,W] and as many chunks of [B,n,F,H,W] (none if not ``with_support``)."""
        q_part = self.cross.target_part(q)
        total: Tensor | float = 0.0
        count = 0
        outputs = []
        for chunk in chunks:
            z = self.cross.context_part(chunk).add_(q_part)
            count += z.shape[1]
            del chunk
            if self.cross_activation:
                z = F.leaky_relu_(z, SLOPE)
            total = total + z.sum(1)
            if with_support:
                outputs.append(self.support(z.flatten(0, 1)).unflatten(0, z.shape[:2]))
            del z
        return self.target(total / count), outputs


def max_pool(x: Tensor) -> Tensor:
    """2x2 max-pooling of [..., C, H, W]."""
    return F.max_pool2d(x.flatten(0, -4), 2).unflatten(0, x.shape[:-3]) if x.ndim > 4 else F.max_pool2d(x, 2)


def upsample(x: Tensor) -> Tensor:
    """Doubles rows and columns of [..., C, H, W] bilinearly with aligned corners."""
    if x.ndim > 4:
        return upsample(x.flatten(0, -4)).unflatten(0, x.shape[:-3])
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def concatenate(x: Tensor, skip: Tensor) -> Tensor:
    """(upsampled, skip) along the channels of [..., C, H, W]."""
    return torch.cat([upsample(x), skip], dim=-3)
