"""How `CachedContextNet` takes from its examples what a target needs: attention over their places, and comparison with their mean features."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Up to so many keys the weights of all of them are held at once on a CPU.
_MOST_KEYS = 1 << 13


Weighted = TypeVar("Weighted", nn.Conv2d, nn.Linear)


def zero_init(module: Weighted) -> Weighted:
    """The same module with weights and bias of zero: what it adds to a network begins as nothing, so that older weights go on learning."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class Reader(nn.Module):
    """Multi-head attention of target positions over all positions of all examples, and over one learned "nothing fits" entry.

    Queries and keys come from image features and position codes through one shared projection, values from the examples' annotations.
    """

    def __init__(self, feature_channels: int, value_channels: int, heads: int, dim: int) -> None:
        super().__init__()
        self.heads, self.dim = heads, dim
        self.project = nn.Conv2d(feature_channels, heads * dim, 1)
        self.position = nn.Conv2d(16, heads * dim, 1, bias=False)
        self.scale = nn.Parameter(torch.full((heads,), 10.0))
        self.null_key = nn.Parameter(torch.zeros(heads, 1, dim))
        self.null_value = nn.Parameter(torch.zeros(heads, 1, value_channels // heads))
        nn.init.normal_(self.null_key, std=1.0)

    def embed(self, features: Tensor) -> Tensor:
        """[M,C,h,w] -> unit vectors [M,heads,h*w,dim]."""
        x = self.project(features) + self.position(position_code(features.shape[-2], features.shape[-1], features))
        return F.normalize(x.flatten(2).unflatten(1, (self.heads, self.dim)).transpose(2, 3), dim=-1)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """queries [B,heads,P,dim], keys [B,N,heads,P,dim], values [B,N,V,h,w] -> [B,V,h,w]."""
        b, _, v, h, w = values.shape
        keys = torch.cat([keys.transpose(1, 2).flatten(2, 3), F.normalize(self.null_key, dim=-1).expand(b, -1, -1, -1)], 2)
        values = values.flatten(3).unflatten(2, (self.heads, v // self.heads)).permute(0, 2, 1, 4, 3).flatten(2, 3)
        values = torch.cat([values, self.null_value.expand(b, -1, -1, -1)], 2)
        read = attend(queries * self.scale[:, None, None], keys, values)
        return read.transpose(2, 3).flatten(1, 2).unflatten(2, (h, w))


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention without a scale, [B,heads,P,dim], [B,heads,K,dim], [B,heads,K,v] -> [B,heads,P,v].

    torch's fused one is made for values as long as keys; on a CPU it takes twice as long as the plain sum for a few thousand keys.
    """
    if queries.device.type == "cpu" and keys.shape[2] <= _MOST_KEYS:
        return torch.softmax(queries @ keys.transpose(-1, -2), -1) @ values
    return F.scaled_dot_product_attention(queries, keys, values, scale=1.0)


def position_code(height: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines of row and column, [1,16,height,width]."""
    codes = []
    for length, view in ((height, (1, 1, height, 1)), (width, (1, 1, 1, width))):
        t = (torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) / length
        for frequency in (0.5, 1.0, 2.0, 4.0):
            codes += [f(t * (2 * math.pi * frequency)).view(view).expand(1, 1, height, width) for f in (torch.sin, torch.cos)]
    return torch.cat(codes, 1)


def prototypes(features: Tensor, annotation: Tensor) -> Tensor:
    """Mean features under each annotation channel and under the mask's complement. [M,C,h,w], [M,4,H,W] -> [M,5,C+1].

    The last number tells how much there was to average (0: the prototype is zero).
    """
    height, width = features.shape[-2:]
    weights = F.adaptive_avg_pool2d(torch.cat([annotation, 1 - annotation[:, :1]], 1), (height, width)).flatten(2)
    total = weights.sum(2, keepdim=True)
    mean = weights @ features.flatten(2).transpose(1, 2) / total.clamp_min(1e-6)
    return torch.cat([mean, (total > 1e-6).to(mean)], 2)


class Matcher(nn.Module):
    """Compares target features with the examples' prototypes through a 1x1 convolution whose weights are made from the prototypes.

    ``zero``: it begins by adding nothing.
    """

    def __init__(self, channels: int, outputs: int, zero: bool = False) -> None:
        super().__init__()
        self.channels, self.outputs = channels, outputs
        first, last = nn.Linear(5 * (channels + 1), 64), nn.Linear(64, outputs * (channels + 1))
        self.make = nn.Sequential(first, nn.LeakyReLU(0.01), zero_init(last) if zero else last)

    def forward(self, features: Tensor, prototype: Tensor) -> Tensor:
        """features [B,C,h,w], prototype [B,5,C+1] -> [B,outputs,h,w]."""
        weights = self.make(prototype.flatten(1)).unflatten(1, (self.outputs, self.channels + 1))
        y = weights[:, :, :-1] @ features.flatten(2) / math.sqrt(self.channels) + weights[:, :, -1:]
        return y.unflatten(2, features.shape[-2:])


def pooled(prototype: Tensor) -> Tensor:
    """Averages the examples' prototypes [B,N,5,C+1], each over the examples that have it."""
    has = prototype[..., -1:]
    return (prototype * has).sum(1) / has.sum(1).clamp_min(1.0)
