"""CachedContextNet: target and examples pass independently through one shared encoder; the target reads the examples by attention.

A dual-branch in-context network in the spirit of WS-ICL, with a space-time memory's reading: an example is encoded once in its life, so a
prediction costs about the same whatever the size of the cohort. Prompts and previous logits enter beside the image, at full resolution.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .efficientnet import WIDTHS, ImageEncoder
from .example_reading import Matcher, Reader, pooled, prototypes, zero_init
from .fine import FineFeatures, PresenceHead, Refinement
from .network import SliceNetwork


class ConvNormAct(nn.Module):
    """Conv3x3, LeakyReLU, GroupNorm(1); ``extra`` is added to the convolution's output."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, stride=stride)
        self.norm = nn.GroupNorm(1, channels_out)

    def forward(self, x: Tensor, extra: Tensor | float = 0.0) -> Tensor:
        return self.norm(F.leaky_relu(self.conv(x) + extra, 0.01))


def dilate_prompts(prompts: Tensor) -> Tensor:
    """Surrounds every click and stroke [B,C,H,W] by two fainter disks: a single pixel says little to a 3x3 convolution."""
    near = F.max_pool2d(prompts.contiguous(), 3, 1, 1)
    return prompts + 0.5 * near + 0.25 * F.max_pool2d(near, 5, 1, 2)


def reduced(x: Tensor, factor: int, first_prompt: int) -> Tensor:
    """[B,C,H,W] -> [B,C,H/factor,W/factor]: averages, but the three prompt channels are max-pooled, so that no click is lost."""
    mean = F.avg_pool2d(x, factor)
    prompts = F.max_pool2d(x[:, first_prompt : first_prompt + 3], factor)
    return torch.cat([mean[:, :first_prompt], prompts, mean[:, first_prompt + 3 :]], 1)


class CachedContextNet(SliceNetwork):
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
    encodes_examples = encodes_images = says_presence = looks_twice = True

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
        self.annotate = nn.ModuleList(
            [
                ConvNormAct(5, 16, 2),
                ConvNormAct(16, 24, 2),
                ConvNormAct(24, 48, 2),
                ConvNormAct(48 + f8, v),
                ConvNormAct(v, v, 2),
                ConvNormAct(v + f16, v),
            ]
        )
        self.annotate4 = ConvNormAct(24 + f4, v4)
        self.readers = nn.ModuleList([Reader(f8, v, heads, dim), Reader(f16, v, heads, dim), Reader(f4 + f8 + f16, v4, heads, dim)])
        self.matchers = nn.ModuleList([Matcher(f2, match), Matcher(f4, match)])
        self.own_matchers = nn.ModuleList([Matcher(f2, match, zero=True), Matcher(f4, match, zero=True)])
        self.own_readings = nn.ModuleList([zero_init(nn.Conv2d(v, v, 1)), zero_init(nn.Conv2d(v, v, 1)), zero_init(nn.Conv2d(v4, w4, 1))])
        self.fine_reading = zero_init(nn.Conv2d(v4, w4, 1))
        self.down = nn.ModuleList(
            [
                ConvNormAct(5, w1),
                ConvNormAct(w1, w2 - f2 // 2, 2),
                ConvNormAct(w2, w4 - f4 // 2, 2),
                ConvNormAct(w4, w8, 2),
                ConvNormAct(w8, w16, 2),
            ]
        )
        self.fuse = nn.ModuleList(
            [
                ConvNormAct(w2 - f2 // 2 + f2 + match, w2),
                ConvNormAct(w4 - f4 // 2 + f4 + match, w4),
                ConvNormAct(w8 + f8 + v, w8),
                ConvNormAct(w16 + f16 + v, w16),
            ]
        )
        self.bottleneck = ConvNormAct(w16, w16)
        self.up = nn.ModuleList([ConvNormAct(w16 + w8, w8), ConvNormAct(w8 + w4, w4), ConvNormAct(w4 + w2, w2), ConvNormAct(w2 + w1, w1)])
        self.out = nn.Conv2d(w1, 1, 1)
        self.reduce = reduce
        if reduce > 1:
            pixels = 5 * reduce**2
            self.detail = zero_init(nn.Conv2d(pixels, w1, 3, padding=1))
            self.finish = nn.Sequential(
                nn.Conv2d(w1 + pixels, 24, 3, padding=1), nn.LeakyReLU(0.01), zero_init(nn.Conv2d(24, reduce**2, 3, padding=1))
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
        """Plain values from which ``families.build_network`` builds an equal network."""
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
        keys = [cast(Reader, reader).embed(x) for reader, x in zip(self.readers, (f8, f16, column), strict=True)]
        return f2, f4, f8, f16, *keys

    def _annotate(self, shown: Tensor, clicks: Tensor, encoded: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """image, mask, box [M,3,h,w] and clicks [M,2,h,w] with the image's features -> values at 1/8, 1/16 and 1/4."""
        a4 = self.annotate[1](self.annotate[0](torch.cat([shown, dilate_prompts(clicks)], 1)))
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
            self.matchers[0](f2, pooled(p2)), self.matchers[1](f4, pooled(p4))
        )  # fmt: skip
        return (*readings, self.fine_matchers[0](encoded[7], pooled(features[8]))) if self.fine else readings

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
        x1 = self.down[0](torch.cat([t[:, :2], dilate_prompts(clicks), previous * 0.25], 1), 0.0 if fine is None else self.detail(fine))
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
        shown = [features, match, target[:, :2], dilate_prompts(target[:, 2:4]), target[:, 4:].clamp(-20, 20) * 0.25, logits * 0.25]
        return self.refine(x, torch.cat(shown, 1))

    def _fine(self, target: Tensor) -> Tensor:
        """[B,5,H,W] -> [B,5*reduce**2,H/reduce,W/reduce]: every pixel of the coarser grid with the fine pixels that it stands for."""
        return F.pixel_unshuffle(torch.cat([target[:, :4], target[:, 4:] * 0.25], 1), self.reduce)
