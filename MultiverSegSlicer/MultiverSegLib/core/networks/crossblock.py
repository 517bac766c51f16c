"""The CrossBlock: mixes a target stream with a context stream (MultiverSeg paper, equations 3 and 4, appendix A.1)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .convolution import PartConvolution, Parts, channels_of, convolve

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
    """``Conv(q || v_i) = Conv_q(q) + Conv_v(v_i)``: one weight [out, q+v, 3, 3], the q part computed once per target (A.1).

    The same linearity lets a stream come in parts (upsampled, skip) that are never concatenated.
    """

    def __init__(self, target_channels: int, context_channels: int, channels_out: int) -> None:
        super().__init__()
        self.target_channels = target_channels
        self.cross_conv = nn.Conv2d(target_channels + context_channels, channels_out, 3, padding=1)

    def target_part(self, parts: Parts) -> Tensor:
        """Parts [B,*,H,W] of q -> [B,out,H,W], bias included."""
        return convolve(parts, self._kernels(0, parts), self.cross_conv.bias)

    def context_kernels(self, parts: Parts) -> list[PartConvolution]:
        """The convolutions for chunks of v that come in parts like these."""
        return self._kernels(self.target_channels, parts)

    def _kernels(self, start: int, parts: Parts) -> list[PartConvolution]:
        kernels = []
        for part in parts:
            end = start + channels_of(part)
            kernels.append(PartConvolution(self.cross_conv.weight[:, start:end], part))
            start = end
        return kernels


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

    def forward(self, q: Parts, chunks: Iterable[Parts], with_support: bool = True) -> tuple[Tensor, list[Tensor]]:
        """q [B,Cq,H,W] and chunks [B*n,Cv,H,W], each in parts along the channels -> q' [B,F,H,W] and as many chunks [B*n,F,H,W].

        Without ``with_support`` no chunks are computed.
        """
        q_part = self.cross.target_part(q)[:, None]
        total, count, kernels, outputs = None, 0, None, []
        for parts in chunks:
            kernels = kernels or self.cross.context_kernels(parts)
            z = convolve(parts, kernels, None)
            del parts
            entries = z.unflatten(0, (len(q_part), -1))
            entries += q_part
            if self.cross_activation:
                F.leaky_relu_(z, SLOPE)
            chunk_sum = entries[:, 0] if entries.shape[1] == 1 else entries.sum(1)
            total = chunk_sum if total is None else total + chunk_sum
            count += entries.shape[1]
            if with_support:
                outputs.append(self.support(z))
            del z, entries, chunk_sum
        if total is None:
            raise ValueError("There is no context entry: give the dummy entry.")
        return self.target(total / count), outputs


def halve(x: Tensor) -> Tensor:
    """2x2 max-pooling of [M,C,H,W]."""
    if torch.is_grad_enabled() or x.is_cuda:
        return F.max_pool2d(x, 2)
    # Without indices for a gradient, three maxima are several times faster than PyTorch's pooling on a CPU.
    rows = torch.maximum(x[..., ::2, :], x[..., 1::2, :])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])
