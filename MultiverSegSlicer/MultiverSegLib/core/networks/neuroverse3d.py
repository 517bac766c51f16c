"""Neuroverse3D, the network of WS-ICL: a 3D U-Net for the target that reads the means of a second U-Net's features over the examples.

Written from the description of the layout; parameter names are those of the published checkpoints. The examples' features depend on the target
(its features are mixed into every stage that reads an example), but the examples do not see each other: for one target, what one example adds
is computed alone, and the means can be kept while another example changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import MultiverSegError
from .network import Network


class Encoded(NamedTuple):
    """A target's features: ``skips`` per level, finest first, each [B,c,...], and ``bottom``, before the bottleneck."""

    bottom: Tensor
    skips: tuple[Tensor, ...]


class Reading(NamedTuple):
    """Mean features of ``examples`` examples, coarsest first, each [B,c,...]."""

    means: tuple[Tensor, ...]
    examples: int


class Conv3d(nn.Conv3d):
    """A convolution that always takes oneDNN's kernel on a CPU: for a single small volume torch chooses its own, which is ten times slower."""

    def forward(self, x: Tensor) -> Tensor:
        direct = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32 and torch.backends.mkldnn.is_available()
        if not direct:
            return super().forward(x)
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, cast(tuple[int, ...], self.padding), self.stride, self.dilation, self.groups
        )


class Unit(nn.Module):
    """GELU(x + f(x)), f being 3x3x3 convolutions with GELU between them; ``norm`` after the last, in networks of our own."""

    def __init__(self, channels: int, convolutions: int, norm: str | None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(convolutions):
            layers += [nn.GELU()] * bool(number) + [Conv3d(channels, channels, 3, padding=1)]
        self.layers = nn.Sequential(*layers)
        self.norm = nn.GroupNorm(1, channels) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        change = self.layers(x)
        return F.gelu(x + (change if self.norm is None else self.norm(change)))


def combined(readings: Iterable[Reading]) -> Reading:
    """The means over all examples of several readings of the same target.

    Raises:
        MultiverSegError: there is no reading.
    """
    total: Reading | None = None
    for reading in readings:
        if total is None:
            total = reading
            continue
        count = total.examples + reading.examples
        part = reading.examples / count
        total = Reading(tuple(torch.lerp(a, b, part) for a, b in zip(total.means, reading.means, strict=True)), count)
    if total is None:
        raise MultiverSegError("A volume is segmented after examples: give at least one, or prompts on the volume itself.")
    return total


class Neuroverse3D(Network):
    """Segments a target volume given a context of volumes with masks or prompts.

    Args:
        widths: channels per level, finest first; sides are halved between levels. Where two neighbours are equal a max-pool without parameters halves.
        convolutions: in each unit.
        context_channels: of an example: the image, then its mask or prompts (published: 2).
        fold: 1, or 2: the network works on a grid half as fine, with the eight voxels of each cell as channels.
        norm: "group1" in each unit, or None (published).
        output: "regression" (published): the output goes from 0 to 1 and is cut at 0.5; "logits".
        size: cells along each side that it was trained with; others work.

    Every side must be divisible by ``divisor``. The output is linear: ``logits`` makes logits of either kind.
    """

    family = "neuroverse3d"
    target_channels = 1

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256, 512),
        convolutions: int = 2,
        context_channels: int = 2,
        fold: int = 1,
        norm: str | None = None,
        output: str = "regression",
        size: int = 128,
        target_channels: int = 1,
    ) -> None:
        super().__init__()
        widths = tuple(int(w) for w in widths)
        if len(widths) < 2 or min(widths) < 1 or convolutions < 1 or context_channels < 2 or fold not in (1, 2) or target_channels != 1:
            raise ValueError(
                f"Expected two or more positive widths, a convolution or more and a fold of 1 or 2, got {widths}, fold {fold}."
            )
        if norm not in ("group1", None) or output not in ("regression", "logits"):
            raise ValueError(f"Unknown norm {norm!r} or output {output!r}: use 'group1' or None, 'regression' or 'logits'.")
        self.widths, self.convolutions, self.context_channels = widths, int(convolutions), int(context_channels)
        self.fold, self.norm, self.output, self.size = int(fold), norm, output, int(size)
        self.context_unet = self._context_unet(context_channels * fold**3)
        self.target_encoder = self._target_encoder(fold**3)
        self.target_decoder = self._target_decoder(fold**3)

    @property
    def architecture(self) -> dict[str, Any]:
        """Plain values from which ``families.build_network`` builds an equal network."""
        options = {
            name: getattr(self, name) for name in ("convolutions", "context_channels", "fold", "norm", "output", "size", "target_channels")
        }
        return {"family": self.family, "widths": list(self.widths), **options}

    @property
    def divisor(self) -> int:
        """What every side of a volume must be a multiple of."""
        return self.fold << (len(self.widths) - 1)

    # --- the computation

    def forward(self, target: Tensor, context: Tensor, piece: int | None = None) -> Tensor:
        """target [B,1,D,H,W], context [B,N,Cc,D,H,W] with N >= 1 -> output [B,1,D,H,W], linear.

        Args:
            piece: examples that are read at once (None: all); bounds the memory and changes nothing else. The context may lie on another
                device than the network and in another type; each piece is moved.

        Raises:
            MultiverSegError: no example, an example of another grid, or sides that can't be halved as often as the network does.
        """
        self.check(target, context)
        encoded = self.encode_target(target)
        pieces = context.split(piece or max(context.shape[1], 1), dim=1) if context.shape[1] else ()
        return self.decode(encoded, combined(self.read(encoded, part) for part in pieces))

    def check(self, target: Tensor, context: Tensor) -> None:
        """Raise MultiverSegError unless ``forward`` can take these."""
        size = tuple(target.shape[2:])
        if target.ndim != 5 or target.shape[1] != 1 or context.ndim != 6 or context.shape[2] != self.context_channels:
            raise MultiverSegError(
                f"Expected a target [B,1,D,H,W] and a context [B,N,{self.context_channels},D,H,W], got {list(target.shape)} and "
                f"{list(context.shape)}."
            )
        if any(side % self.divisor or not side for side in size):
            raise MultiverSegError(f"Each side must be a multiple of {self.divisor}, got {_times(size)}: pad or resample the volume.")
        if context.shape[1] and tuple(context.shape[3:]) != size:
            raise MultiverSegError(f"The examples have {_times(context.shape[3:])} cells, the volume {_times(size)}: sample them alike.")
        if context.shape[1] and context.shape[0] != target.shape[0]:
            raise MultiverSegError(f"Expected a context for each of {target.shape[0]} targets, got {context.shape[0]}.")

    def encode_target(self, target: Tensor) -> Encoded:
        """target [B,1,D,H,W] -> what reading an example and decoding need of it."""
        part = self.target_encoder
        x, skips = part["target_embedding"](self._folded(target)), []
        for block, down in zip(_blocks(part, "enc_blocks"), _blocks(part, "downsample_blocks"), strict=True):
            x = block["target_conv"](x)
            skips.append(x)
            x = _halved(x, down, "target_linear_layer")
        return Encoded(x, tuple(skips))

    def read(self, encoded: Encoded, context: Tensor) -> Reading:
        """Means over the examples of a context [B,n,Cc,D,H,W], n >= 1, for the target that ``encode_target`` encoded."""
        part, count = self.context_unet, context.shape[1]
        entries = context.flatten(0, 1).to(encoded.bottom)
        x, skips = part.get_submodule("context_embedding.module")(self._folded(entries)), []
        downs = _blocks(part, "downsample_blocks")
        for level, block in enumerate(_blocks(part, "enc_blocks")):
            x = block.get_submodule("context_conv.module")(x)
            if level == len(encoded.skips):
                break
            x = F.gelu(x + _joint(_convolution(block, "combine_conv_context.module"), x, encoded.skips[level]))
            skips.append(x)
            x = _halved(x, downs[level], "context_linear_layer.module")
        features = [_mean(x, count)]
        for up, block in zip(_blocks(part, "upsample_blocks"), _blocks(part, "dec_blocks"), strict=True):
            x = block.get_submodule("context_conv.module")(_doubled(_convolution(up, "context_conv_layer.module"), x, skips.pop()))
            features.append(_mean(x, count))
        return Reading(tuple(features), count)

    def decode(self, encoded: Encoded, reading: Reading) -> Tensor:
        """The output [B,1,D,H,W] for a target and what it read from its examples."""
        part, means = self.target_decoder, iter(reading.means)
        x = _informed(_blocks(part, "enc_blocks")[0], encoded.bottom, next(means))
        for up, block, skip in zip(_blocks(part, "upsample_blocks"), _blocks(part, "dec_blocks"), encoded.skips[::-1], strict=True):
            x = _informed(block, _doubled(_convolution(up, "target_conv_layer"), x, skip), next(means))
        return self._unfolded(part.get_submodule("output_block.block")(x))

    def logits(self, output: Tensor) -> Tensor:
        """Logits of an output of ``forward``: a probability of more than 0.5 is a regression of more than 0.5, and 0..1 becomes -4..4."""
        return output if self.output == "logits" else (8 * (output - 0.5)).clamp(-8, 8)

    # --- folding

    def _folded(self, x: Tensor) -> Tensor:
        """[M,C,D,H,W] -> [M,C*fold^3,D/fold,...]."""
        if self.fold == 1:
            return x
        n = self.fold
        return x.unflatten(4, (-1, n)).unflatten(3, (-1, n)).unflatten(2, (-1, n)).permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)

    def _unfolded(self, x: Tensor) -> Tensor:
        """[M,fold^3,d,h,w] -> [M,1,d*fold,...]."""
        if self.fold == 1:
            return x
        n = self.fold
        return x.unflatten(1, (1, n, n, n)).permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)

    # --- the parts, under the published names

    def _unit(self, channels: int) -> Unit:
        return Unit(channels, self.convolutions, self.norm)

    def _down(self, name: str, wrapped: bool) -> nn.ModuleList:
        return nn.ModuleList(
            nn.ModuleDict({} if a == b else {name: _wrapped(Conv3d(a, b, 4, 2, 1), wrapped)})
            for a, b in zip(self.widths, self.widths[1:], strict=False)
        )

    def _up(self, name: str, wrapped: bool) -> nn.ModuleList:
        pairs = zip(self.widths[:0:-1], self.widths[-2::-1], strict=True)
        return nn.ModuleList(nn.ModuleDict({name: _wrapped(nn.Conv3d(a + b, b, 1), wrapped)}) for a, b in pairs)

    def _context_unet(self, channels: int) -> nn.ModuleDict:
        w = self.widths
        encoder = [{"context_conv": _wrapped(self._unit(c)), "combine_conv_context": _wrapped(nn.Conv3d(2 * c, c, 1))} for c in w[:-1]]
        return nn.ModuleDict(
            {
                "context_embedding": _wrapped(nn.Conv3d(channels, w[0], 1)),
                "enc_blocks": nn.ModuleList(map(nn.ModuleDict, [*encoder, {"context_conv": _wrapped(self._unit(w[-1]))}])),
                "downsample_blocks": self._down("context_linear_layer", True),
                "dec_blocks": nn.ModuleList(nn.ModuleDict({"context_conv": _wrapped(self._unit(c))}) for c in w[-2::-1]),
                "upsample_blocks": self._up("context_conv_layer", True),
            }
        )

    def _target_encoder(self, channels: int) -> nn.ModuleDict:
        return nn.ModuleDict(
            {
                "target_embedding": nn.Conv3d(channels, self.widths[0], 1),
                "enc_blocks": nn.ModuleList(nn.ModuleDict({"target_conv": self._unit(c)}) for c in self.widths[:-1]),
                "downsample_blocks": self._down("target_linear_layer", False),
            }
        )

    def _target_decoder(self, channels: int) -> nn.ModuleDict:
        blocks = [
            nn.ModuleDict({"target_conv": self._unit(c), "combine_conv_target": _wrapped(nn.Conv3d(2 * c, c, 1))})
            for c in self.widths[::-1]
        ]
        finest = self.widths[0]
        return nn.ModuleDict(
            {
                "enc_blocks": nn.ModuleList(blocks[:1]),
                "dec_blocks": nn.ModuleList(blocks[1:]),
                "upsample_blocks": self._up("target_conv_layer", False),
                "output_block": nn.ModuleDict({"block": nn.Sequential(self._unit(finest), nn.Conv3d(finest, channels, 1))}),
            }
        )


def architecture_of(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The architecture of a state dict of this family, read off its names and shapes; None if it is of another one."""
    first, image = state.get("context_unet.context_embedding.module.weight"), state.get("target_encoder.target_embedding.weight")
    if first is None or image is None:
        return None
    unit = "context_unet.enc_blocks.{}.context_conv.module.layers.{}.weight"
    levels = [i for i in range(16) if unit.format(i, 0) in state]
    folded = max(1, image.shape[1])
    return {
        "family": Neuroverse3D.family,
        "widths": [len(state[unit.format(i, 0)]) for i in levels],
        "convolutions": sum(unit.format(0, 2 * n) in state for n in range(16)),
        "context_channels": first.shape[1] // folded,
        "fold": round(folded ** (1 / 3)),
        "norm": "group1" if "context_unet.enc_blocks.0.context_conv.module.norm.weight" in state else None,
    }


def _wrapped(module: nn.Module, wrapped: bool = True) -> nn.Module:
    """Under the name ``module``, as the published code keeps what runs over the example axis."""
    return nn.ModuleDict({"module": module}) if wrapped else module


def _blocks(part: nn.ModuleDict, name: str) -> list[nn.ModuleDict]:
    """The blocks of a part of the network, each a container of modules by their published names."""
    return [cast(nn.ModuleDict, block) for block in cast(nn.ModuleList, part[name])]


def _convolution(block: nn.Module, name: str) -> nn.Conv3d:
    return cast(nn.Conv3d, block.get_submodule(name))


def _halved(x: Tensor, down: nn.ModuleDict, name: str) -> Tensor:
    return cast(Tensor, down.get_submodule(name)(x)) if len(down) else F.max_pool3d(x, 2)


def _joint(convolution: nn.Conv3d, entries: Tensor, target: Tensor) -> Tensor:
    """The 1x1x1 convolution of (entries, target) [B*n,c] and [B,c] without making that tensor; the target's part is computed once for all n."""
    weight, c = convolution.weight, entries.shape[1]
    shared = F.conv3d(target, weight[:, c:], convolution.bias)
    return (F.conv3d(entries, weight[:, :c]).unflatten(0, (target.shape[0], -1)) + shared[:, None]).flatten(0, 1)


def _doubled(convolution: nn.Conv3d, x: Tensor, skip: Tensor) -> Tensor:
    """The 1x1x1 convolution of (x doubled trilinearly, skip). Convolution and interpolation change places, so the wide fine tensor is never made."""
    weight, c = convolution.weight, x.shape[1]
    doubled = F.interpolate(F.conv3d(x, weight[:, :c]), scale_factor=2, mode="trilinear", align_corners=False)
    return doubled + F.conv3d(skip, weight[:, c:], convolution.bias)


def _informed(block: nn.ModuleDict, x: Tensor, mean: Tensor) -> Tensor:
    """A block of the target's decoder: its unit, then what the examples say, context first."""
    x = block["target_conv"](x)
    return F.gelu(x + _joint(_convolution(block, "combine_conv_target.module"), mean, x))


def _mean(x: Tensor, count: int) -> Tensor:
    return x.unflatten(0, (-1, count)).mean(1)


def _times(size: Iterable[int]) -> str:
    return " x ".join(map(str, size))
