"""CachedContextNet: target and examples pass independently through one shared encoder; the target reads the examples by attention.

A dual-branch in-context network in the spirit of WS-ICL, with a space-time memory's reading: an example is encoded once in its life, so a
prediction costs about the same whatever the size of the cohort. Prompts and previous logits enter beside the image, at full resolution.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fine import FineFeatures, PresenceHead, Refinement

Weighted = TypeVar("Weighted", nn.Conv2d, nn.Linear)

#: (expansion, channels, repeats, kernel, stride) of the first five stages of EfficientNet-Lite0, up to 1/16 of the resolution.
STAGES = ((1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2), (6, 112, 3, 5, 1))
WIDTHS = (16, 24, 40, 112)  # of the features at 1/2, 1/4, 1/8 and 1/16

#: Up to so many keys the weights of all of them are held at once on a CPU.
_MOST_KEYS = 1 << 13


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


class Unit(nn.Module):
    """Conv3x3, LeakyReLU, GroupNorm(1); ``extra`` is added to what the convolution gives."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, stride=stride)
        self.norm = nn.GroupNorm(1, channels_out)

    def forward(self, x: Tensor, extra: Tensor | float = 0.0) -> Tensor:
        return self.norm(F.leaky_relu(self.conv(x) + extra, 0.01))


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


def spread(prompts: Tensor) -> Tensor:
    """Surrounds every click and stroke [B,C,H,W] by two fainter disks: a single pixel says little to a 3x3 convolution."""
    near = F.max_pool2d(prompts.contiguous(), 3, 1, 1)
    return prompts + 0.5 * near + 0.25 * F.max_pool2d(near, 5, 1, 2)


def silent(module: Weighted) -> Weighted:
    """The same module with weights and bias of zero: what it adds to a network begins as nothing, so that older weights go on learning."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


def reduced(x: Tensor, factor: int, first_prompt: int) -> Tensor:
    """[B,C,H,W] -> [B,C,H/factor,W/factor]: averages, but the three prompt channels are max-pooled, so that no click is lost."""
    mean = F.avg_pool2d(x, factor)
    prompts = F.max_pool2d(x[:, first_prompt : first_prompt + 3], factor)
    return torch.cat([mean[:, :first_prompt], prompts, mean[:, first_prompt + 3 :]], 1)


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
    """Compares target features with the examples' prototypes through a 1x1 convolution whose weights are made from the prototypes."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.channels, self.outputs = channels, outputs
        self.make = nn.Sequential(nn.Linear(5 * (channels + 1), 64), nn.LeakyReLU(0.01), nn.Linear(64, outputs * (channels + 1)))

    def forward(self, features: Tensor, prototype: Tensor) -> Tensor:
        """features [B,C,h,w], prototype [B,5,C+1] -> [B,outputs,h,w]."""
        weights = self.make(prototype.flatten(1)).unflatten(1, (self.outputs, self.channels + 1))
        y = weights[:, :, :-1] @ features.flatten(2) / math.sqrt(self.channels) + weights[:, :, -1:]
        return y.unflatten(2, features.shape[-2:])


class CachedContextNet(nn.Module):
    """Segments a target image given prompts and a context of examples that are encoded once.

    What is read from the examples depends on the image alone. The target's own prompts and previous prediction are read in the same way, as an
    example's would be, so that a click says something about all places that look alike.

    Args:
        target_channels, context_channels: 5 each, for the common interface.
        widths: channels of the target's path at full, 1/2, 1/4, 1/8 and 1/16 resolution.
        value_channels: channels read from the examples at 1/8 and 1/16; half as many at 1/4.
        heads, dim: of the attention.
        match: channels of the prototype comparison at 1/2 and 1/4.
        reduce: the whole path works on a grid this many times coarser (1 or 2); each of its pixels sees the fine pixels that it stands for as
            channels and predicts one logit for each.
        fine: channels of image features at full resolution, compared with the examples' too, from which the logits are refined (0: none).
        presence: whether it also says if the structure is there at all (see ``decode_with_presence``), and tells an example that shows its
            absence (mask and prompts empty) from one that says nothing about a place.

    H and W must be divisible by 16 * reduce. Target channels: image, box, positive, negative, previous logits; context channels: image, mask, box,
    positive, negative. An empty context is one dummy entry of 0.5 everywhere.
    """

    family = "cached"
    looks_twice = True

    def __init__(
        self,
        target_channels: int = 5,
        context_channels: int = 5,
        widths: tuple[int, ...] = (16, 32, 48, 80, 96),
        value_channels: int = 64,
        heads: int = 4,
        dim: int = 24,
        match: int = 8,
        reduce: int = 1,
        fine: int = 0,
        presence: bool = False,
    ) -> None:
        super().__init__()
        if (target_channels, context_channels) != (5, 5):
            raise ValueError(f"a cached network reads 5 target and 5 context channels, not {target_channels} and {context_channels}")
        self.target_channels, self.context_channels = 5, 5
        self._options = {
            "target_channels": 5,
            "context_channels": 5,
            "widths": list(widths),
            "value_channels": value_channels,
            "heads": heads,
            "dim": dim,
            "match": match,
            "reduce": reduce,
            **({"fine": fine} if fine else {}),
            **({"presence": True} if presence else {}),
        }
        w1, w2, w4, w8, w16 = widths
        f2, f4, f8, f16 = WIDTHS
        v, v4 = value_channels, value_channels // 2
        self.encoder = ImageEncoder()
        self.annotate = nn.ModuleList([Unit(5, 16, 2), Unit(16, 24, 2), Unit(24, 48, 2), Unit(48 + f8, v), Unit(v, v, 2), Unit(v + f16, v)])
        self.annotate4 = Unit(24 + f4, v4)
        self.readers = nn.ModuleList([Reader(f8, v, heads, dim), Reader(f16, v, heads, dim), Reader(f4 + f8 + f16, v4, heads, dim)])
        self.matchers = nn.ModuleList([Matcher(f2, match), Matcher(f4, match)])
        self.own_matchers = nn.ModuleList([Matcher(f2, match), Matcher(f4, match)])
        for matcher in self.own_matchers:
            silent(matcher.make[-1])
        self.own_readings = nn.ModuleList([silent(nn.Conv2d(v, v, 1)), silent(nn.Conv2d(v, v, 1)), silent(nn.Conv2d(v4, w4, 1))])
        self.fine_reading = silent(nn.Conv2d(v4, w4, 1))
        self.down = nn.ModuleList([Unit(5, w1), Unit(w1, w2 - f2 // 2, 2), Unit(w2, w4 - f4 // 2, 2), Unit(w4, w8, 2), Unit(w8, w16, 2)])
        self.fuse = nn.ModuleList(
            [Unit(w2 - f2 // 2 + f2 + match, w2), Unit(w4 - f4 // 2 + f4 + match, w4), Unit(w8 + f8 + v, w8), Unit(w16 + f16 + v, w16)]
        )
        self.bottleneck = Unit(w16, w16)
        self.up = nn.ModuleList([Unit(w16 + w8, w8), Unit(w8 + w4, w4), Unit(w4 + w2, w2), Unit(w2 + w1, w1)])
        self.out = nn.Conv2d(w1, 1, 1)
        self.reduce = reduce
        if reduce > 1:
            pixels = 5 * reduce**2
            self.detail = silent(nn.Conv2d(pixels, w1, 3, padding=1))
            self.finish = nn.Sequential(
                nn.Conv2d(w1 + pixels, 24, 3, padding=1), nn.LeakyReLU(0.01), silent(nn.Conv2d(24, reduce**2, 3, padding=1))
            )  # begins as the coarse prediction, interpolated
        self.fine = fine
        if fine:
            self.fine_features = FineFeatures(fine)
            self.fine_matchers = nn.ModuleList([Matcher(fine, match), Matcher(fine, match)])  # the examples', its own
            self.refine = Refinement(w1, fine + match + 6)
        self.presence = PresenceHead(w16, v, w1) if presence else None
        if presence:
            self.absence = nn.ParameterList(nn.Parameter(torch.zeros(n, 1, 1)) for n in (v, v, v4))

    @property
    def architecture(self) -> dict[str, Any]:
        """Plain values from which ``networks.build_network`` builds an equal network."""
        return {"family": self.family, **self._options}

    def forward(self, target: Tensor, context: Tensor | None = None) -> Tensor:
        """target [B,5,H,W], context [B,N,5,H,W] or None -> logits [B,1,H,W]."""
        if context is None or context.shape[1] == 0:
            context = self.empty_context(target)
        return self.forward_with_features(target, self.encode_context(context))

    def empty_context(self, image: Tensor) -> Tensor:
        """The dummy entry [B,1,5,H,W] that stands for no examples, for images [B,...,H,W]."""
        return image.new_full((image.shape[0], 1, 5, *image.shape[-2:]), 0.5)

    def encode_context(self, context: Tensor) -> tuple[Tensor, ...]:
        """context [B,N,5,H,W] -> keys and values at 1/8, 1/16 and 1/4 and prototypes at 1/2, 1/4 (and at full resolution), each [B,N,...]."""
        b, n = context.shape[:2]
        full = context.flatten(0, 1)
        x = reduced(full, self.reduce, 2) if self.reduce > 1 else full
        encoded = self._encode_image(x[:, :1])
        v8, v16, v4 = self._annotate(x[:, :3], x[:, 3:], encoded)
        if self.presence is not None:
            empty = (full[:, 1:].flatten(1).amax(1) <= 0).to(full)[:, None, None, None]
            v8, v16, v4 = (value + empty * extra for value, extra in zip((v8, v16, v4), self.absence, strict=True))
        f2, f4, _, _, k8, k16, k4 = encoded[:7]
        features: tuple[Tensor, ...] = (k8, v8, k16, v16, k4, v4, prototypes(f2, x[:, 1:]), prototypes(f4, x[:, 1:]))
        if self.fine:
            features = (*features, prototypes(self.fine_features(full[:, :1]), full[:, 1:]))
        return tuple(f.unflatten(0, (b, n)) for f in features)

    def encode_target(self, image: Tensor) -> tuple[Tensor, ...]:
        """The features of target images [B,1,H,W] that don't depend on prompts or context."""
        encoded = self._encode_image(F.avg_pool2d(image, self.reduce) if self.reduce > 1 else image)
        return (*encoded, self.fine_features(image)) if self.fine else encoded

    def _encode_image(self, image: Tensor) -> tuple[Tensor, ...]:
        """[M,1,h,w] on the network's grid -> features at 1/2, 1/4, 1/8 and 1/16, and keys at 1/8, 1/16 and 1/4."""
        f2, f4, f8, f16 = self.encoder(image)
        column = torch.cat([f4, *(F.interpolate(f, size=f4.shape[-2:], mode="bilinear", align_corners=False) for f in (f8, f16))], 1)
        return f2, f4, f8, f16, self.readers[0].embed(f8), self.readers[1].embed(f16), self.readers[2].embed(column)

    def _annotate(self, shown: Tensor, clicks: Tensor, encoded: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """image, mask, box [M,3,h,w] and clicks [M,2,h,w] with the image's features -> values at 1/8, 1/16 and 1/4."""
        a4 = self.annotate[1](self.annotate[0](torch.cat([shown, spread(clicks)], 1)))
        v8 = self.annotate[3](torch.cat([self.annotate[2](a4), encoded[2]], 1))
        v16 = self.annotate[5](torch.cat([self.annotate[4](v8), encoded[3]], 1))
        return v8, v16, self.annotate4(torch.cat([a4, encoded[1]], 1))

    def read(self, encoded: tuple[Tensor, ...], features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What ``encode_target``'s image takes from ``encode_context``'s examples, before any prompt: readings at 1/8, 1/16 and 1/4 and
        comparisons at 1/2, 1/4 (and at full resolution)."""
        k8, v8, k16, v16, k4, v4, p2, p4 = features[:8]
        f2, f4, _, _, q8, q16, q4 = encoded[:7]
        readings = (
            self.readers[0](q8, k8, v8), self.readers[1](q16, k16, v16), self.fine_reading(self.readers[2](q4, k4, v4)),
            self.matchers[0](f2, _pooled(p2)), self.matchers[1](f4, _pooled(p4))
        )  # fmt: skip
        return (*readings, self.fine_matchers[0](encoded[7], _pooled(features[8]))) if self.fine else readings

    def forward_with_features(self, target: Tensor, features: tuple[Tensor, ...], encoded: tuple[Tensor, ...] | None = None) -> Tensor:
        """target [B,5,H,W], features of ``encode_context`` with N >= 1, optionally ``encode_target``'s -> logits [B,1,H,W]."""
        encoded = encoded or self.encode_target(target[:, :1])
        return self.decode(target, encoded, self.read(encoded, features))

    def decode(self, target: Tensor, encoded: tuple[Tensor, ...], readings: tuple[Tensor, ...]) -> Tensor:
        """target [B,5,H,W] with what ``encode_target`` and ``read`` gave for its image -> logits [B,1,H,W]."""
        return self.decode_with_presence(target, encoded, readings)[0]

    def decode_with_presence(
        self, target: Tensor, encoded: tuple[Tensor, ...], readings: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """As ``decode``, and the logit [B] of the structure being on the slice at all; None from a network that can't say."""
        f2, f4, f8, f16, q8, q16, q4 = encoded[:7]
        t = reduced(target, self.reduce, 1) if self.reduce > 1 else target
        image, box, clicks, previous = t[:, :1], t[:, 1:2], t[:, 2:4], t[:, 4:]
        own = torch.cat([image, torch.sigmoid(previous), box], 1)
        values = self._annotate(own, clicks, encoded)
        own_readings = (
            project(reader(q, q[:, None], value[:, None]))
            for project, reader, q, value in zip(self.own_readings, self.readers, (q8, q16, q4), values, strict=True)
        )
        read8, read16, read4 = (a + b for a, b in zip(readings[:3], own_readings, strict=True))
        shown = torch.cat([own[:, 1:], clicks], 1)
        match2, match4 = (
            match + matcher(f, prototypes(f, shown)) for match, matcher, f in zip(readings[3:5], self.own_matchers, (f2, f4), strict=True)
        )
        fine = self._fine(target) if self.reduce > 1 else None
        x1 = self.down[0](torch.cat([t[:, :2], spread(clicks), previous * 0.25], 1), 0.0 if fine is None else self.detail(fine))
        x2 = self.fuse[0](torch.cat([self.down[1](x1), f2, match2], 1))
        x4 = self.fuse[1](torch.cat([self.down[2](x2), f4, match4], 1)) + read4
        x8 = self.fuse[2](torch.cat([self.down[3](x4), f8, read8], 1))
        deep = x = self.bottleneck(self.fuse[3](torch.cat([self.down[4](x8), f16, read16], 1)))
        for unit, skip in zip(self.up, (x8, x4, x2, x1), strict=True):
            x = unit(torch.cat([F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), skip], 1))
        logits = self.out(x)
        if fine is not None:
            coarse = F.interpolate(logits, scale_factor=self.reduce, mode="bilinear", align_corners=False)
            logits = coarse + F.pixel_shuffle(self.finish(torch.cat([x, fine], 1)), self.reduce)
        if self.fine:
            logits = logits + self._refined(target, logits, x, encoded[7], readings[5])
        present = None if self.presence is None else self.presence(deep, read16, x, logits, target[:, 1:4])
        return logits, present

    def _refined(self, target: Tensor, logits: Tensor, x: Tensor, features: Tensor, match: Tensor) -> Tensor:
        """What full-resolution features add to ``logits``; all [B,...,H,W] but the path's last features ``x``."""
        previous = torch.sigmoid(target[:, 4:])
        match = match + self.fine_matchers[1](features, prototypes(features, torch.cat([previous, target[:, 1:4]], 1)))
        shown = [features, match, target[:, :2], spread(target[:, 2:4]), target[:, 4:].clamp(-20, 20) * 0.25, logits * 0.25]
        return self.refine(x, torch.cat(shown, 1))

    def _fine(self, target: Tensor) -> Tensor:
        """[B,5,H,W] -> [B,5*reduce**2,H/reduce,W/reduce]: every pixel of the coarser grid with the fine pixels that it stands for."""
        return F.pixel_unshuffle(torch.cat([target[:, :4], target[:, 4:] * 0.25], 1), self.reduce)


def _pooled(prototype: Tensor) -> Tensor:
    """Averages the examples' prototypes [B,N,5,C+1], each over the examples that have it."""
    has = prototype[..., -1:]
    return (prototype * has).sum(1) / has.sum(1).clamp_min(1.0)
