"""MultiverSegNet: a U-Net of CrossBlocks (MultiverSeg paper, section 3.2.1 and A.1). UniverSeg and `compact` are configurations of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .convolution import Parts, Upsampled
from .crossblock import CrossBlock, halve
from .network import SliceNetwork

#: What one chunk of context features may take at full resolution in evaluation, in bytes, by device type. On a CPU, glibc
#: gives blocks above 32 MiB back to the system at once, and faulting their pages in again costs as much as a convolution.
CHUNK_BYTES = {"cpu": 24 << 20, "cuda": 1 << 30}


class OutConv(nn.Module):
    """1x1 convolution to one logit, under the public checkpoints' name."""

    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class MultiverSegNet(SliceNetwork):
    """Segments a target image given prompts and a context of examples.

    Args:
        target_channels: MultiverSeg 5 (image, box, positive, negative, previous logits), UniverSeg 1.
        context_channels: 2 (image, mask) or 5 (image, mask, box, positive, negative).
        encoder_features: width of each encoder block; between two blocks the grid is halved, so H and W must be
            divisible by ``2 ** (len(encoder_features) - 1)``.
        decoder_features: width of each decoder block, one fewer; by default the encoder's mirrored.
        norm: "group1" after the activation of the target and support convolutions, or None.
        cross_activation: LeakyReLU after the cross convolution.

    The support convolution of the last block exists only as parameters (public checkpoints have it): nothing depends on its result.
    """

    family = "multiverseg"
    reads_in_chunks = True

    def __init__(
        self,
        target_channels: int = 5,
        context_channels: int = 2,
        encoder_features: Sequence[int] = (256, 256, 256, 256),
        decoder_features: Sequence[int] | None = None,
        norm: str | None = "group1",
        cross_activation: bool = True,
    ) -> None:
        super().__init__()
        encoder = [int(f) for f in encoder_features]
        decoder = [int(f) for f in (encoder[-2::-1] if decoder_features is None else decoder_features)]
        if not encoder or len(decoder) != len(encoder) - 1 or min(encoder + decoder) < 1:
            raise ValueError(f"Expected positive widths, one fewer for the decoder, got {encoder} and {decoder}.")
        if norm not in ("group1", None):
            raise ValueError(f"Unknown norm {norm!r}: use 'group1' or None.")
        self.target_channels, self.context_channels = int(target_channels), int(context_channels)
        self.encoder_features, self.decoder_features = tuple(encoder), tuple(decoder)
        self.norm, self.cross_activation = norm, bool(cross_activation)
        self.widest = max(encoder + decoder)
        self.chunk = None  # context entries per chunk; None: by CHUNK_BYTES in evaluation, all at once in training

        inputs = [(self.target_channels, self.context_channels), *((f, f) for f in encoder[:-1])]
        below = [encoder[-1], *decoder[:-1]]
        self.enc_blocks = nn.ModuleList(CrossBlock(q, v, f, norm, cross_activation) for (q, v), f in zip(inputs, encoder, strict=True))
        self.dec_blocks = nn.ModuleList(
            CrossBlock(up + skip, up + skip, f, norm, cross_activation) for up, skip, f in zip(below, encoder[-2::-1], decoder, strict=True)
        )
        self.out_conv = OutConv((encoder[-1:] + decoder)[-1])
        self.apply(_initialise)

    @property
    def architecture(self) -> dict[str, Any]:
        """Plain values from which ``families.build_network`` builds an equal network."""
        return {
            "family": self.family,
            "target_channels": self.target_channels,
            "context_channels": self.context_channels,
            "encoder_features": list(self.encoder_features),
            "decoder_features": list(self.decoder_features),
            "norm": self.norm,
            "cross_activation": self.cross_activation,
        }

    def forward(self, target: Tensor, context: Tensor | None = None) -> Tensor:
        """target [B,Ct,H,W], context [B,N,Cc,H,W] (None or N = 0: one dummy entry of 0.5, A.1) -> logits [B,1,H,W]."""
        if context is None or context.shape[1] == 0:
            context = target.new_full((target.shape[0], 1, self.context_channels, *target.shape[-2:]), 0.5)
        q, v = _laid_out(target), [_laid_out(c.flatten(0, 1)) for c in context.split(self._chunk_size(target), dim=1)]
        q_skips, v_skips = [], []
        for level, block in enumerate(self.enc_blocks):
            if level:
                q_skips.append(q)
                v_skips.append(v)
                q, v = halve(q), [halve(chunk) for chunk in v]
            q, v = block((q,), _consumed(v), with_support=block is not self._last_block)
        for block in self.dec_blocks:
            q, v = block((Upsampled(q), q_skips.pop()), _joined(v, v_skips.pop()), with_support=block is not self._last_block)
        return self.out_conv(q)

    @property
    def _last_block(self) -> nn.Module:
        return self.dec_blocks[-1] if len(self.dec_blocks) else self.enc_blocks[-1]

    def _chunk_size(self, target: Tensor) -> int:
        if self.chunk is not None:
            return max(1, int(self.chunk))
        if torch.is_grad_enabled():
            return 1 << 30
        entry = max(self.encoder_features + self.decoder_features) * target[:, 0].numel() * target.element_size()
        return max(1, CHUNK_BYTES.get(target.device.type, CHUNK_BYTES["cpu"]) // entry)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _laid_out(x: Tensor) -> Tensor:
    """Channels last where that is faster: on a GPU and in training. The CPU's kernel for it rounds five times worse, so not in evaluation."""
    fast = x.is_cuda or torch.is_grad_enabled()
    return x.contiguous(memory_format=torch.channels_last if fast else torch.contiguous_format)


def _consumed(chunks: list[Tensor]) -> Iterator[Parts]:
    """Yields the chunks one by one, so that each is freed once it was read."""
    while chunks:
        yield (chunks.pop(0),)


def _joined(chunks: list[Tensor], skips: list[Tensor]) -> Iterator[Parts]:
    """Pairs (upsampled, skip), freed as they are read."""
    while chunks:
        yield Upsampled(chunks.pop(0)), skips.pop(0)
