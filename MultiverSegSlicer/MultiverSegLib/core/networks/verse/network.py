"""Verse: what the parts do together, and how a structure, clicks and a previous result go in.

Written from a description of the published layout and arithmetic, whose parameter names it keeps. Three modes follow from what is given: a query
alone finds a known structure; a query and clicks correct it; clicks alone segment anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import MultiverSegError
from ..network import Network
from .clicks import ClickEncoder, click_map
from .decoder import Decoder
from .encoder import ImageEncoder
from .fuser import PixelFuser

#: Grey values are shown to the encoder as (x - mean) / deviation.
_MEAN, _DEVIATION = 0.367, 3.13
#: Sides are multiples of this: the encoder's attention lays 8 x 8 cells over a map of an eighth.
DIVISOR = 64


class ObjectQuery(NamedTuple):
    """The vectors that stand for a structure: ``features`` and ``embedding``, [B,M,C] or [M,C] each. A network's own, or taught ones."""

    features: Tensor
    embedding: Tensor


class Verse(Network):
    """Segments an image given a structure's query, clicks, or both.

    Args:
        structures: names of the known structures, or their number.
        queries: vectors per structure.
        size: side of the grid that the network was made for; click positions are measured by the grid that is given.
        encoder_widths: of the image encoder at full, 1/2, 1/4 and 1/8 resolution, multiples of 4.
        width: of pixels and queries, a multiple of 32.
        heads: of the decoder's attention.
        hidden: of the queries' feed-forward layers. ``pixel_hidden``: of the pixels'; ``head_width``: of the mask heads.
        clicks: "drawn" from ``seed`` (published: their encoders are in no checkpoint) or "learned".
        semantic, negative_stream, residual: the parts that the publication's table 4 leaves out one by one.
        dropout: of the image encoder in training.
    """

    family = "verse"
    target_channels, context_channels = 1, 0

    def __init__(
        self,
        structures: int | Sequence[str] = 6,
        queries: int = 4,
        size: int = 256,
        encoder_widths: Sequence[int] = (48, 96, 192, 384),
        width: int = 256,
        heads: int = 8,
        hidden: int = 2048,
        pixel_hidden: int = 256,
        head_width: int = 32,
        clicks: str = "drawn",
        seed: int = 2024,
        semantic: bool = True,
        negative_stream: bool = True,
        residual: bool = True,
        dropout: float = 0.1,
        target_channels: int = 1,
    ) -> None:
        super().__init__()
        if clicks not in ("drawn", "learned"):
            raise ValueError(f"Unknown click encoders {clicks!r}: use 'drawn' or 'learned'.")
        names = [f"structure {n + 1}" for n in range(structures)] if isinstance(structures, int) else [str(name) for name in structures]
        if not names or len(set(names)) != len(names) or queries < 1 or len(encoder_widths) != 4 or size % DIVISOR or target_channels != 1:
            raise ValueError(f"Expected different names of structures, four widths and a size that is a multiple of {DIVISOR}.")
        self.structures, self.queries, self.size = tuple(names), int(queries), int(size)
        self._options = {
            "encoder_widths": [int(w) for w in encoder_widths],
            "width": int(width),
            "heads": int(heads),
            "hidden": int(hidden),
            "pixel_hidden": int(pixel_hidden),
            "head_width": int(head_width),
            "clicks": clicks,
            "seed": int(seed),
            "semantic": bool(semantic),
            "negative_stream": bool(negative_stream),
            "residual": bool(residual),
            "dropout": float(dropout),
        }
        self.backbone = ImageEncoder(encoder_widths, dropout=dropout)
        self.sem_seg_head = nn.ModuleDict(
            {
                "pixel_decoder": PixelFuser(encoder_widths[:0:-1], width),
                "predictor": Decoder(
                    width, heads, hidden, pixel_hidden, head_width, len(names) * queries, semantic, negative_stream, residual
                ),
            }
        )
        signs = ("positive", "negative") if negative_stream else ("positive",)
        self.clicks = ClickEncoder(width, semantic, signs, seed if clicks == "drawn" else None)

    @property
    def _fuser(self) -> PixelFuser:
        return cast(PixelFuser, self.sem_seg_head["pixel_decoder"])

    @property
    def _decoder(self) -> Decoder:
        return cast(Decoder, self.sem_seg_head["predictor"])

    @property
    def architecture(self) -> dict[str, Any]:
        """Plain values from which ``families.build_network`` builds an equal network."""
        return {
            "family": self.family,
            "structures": list(self.structures),
            "queries": self.queries,
            "size": self.size,
            "target_channels": 1,
            **self._options,
        }

    def query(self, structures: Sequence[int] | Tensor) -> ObjectQuery:
        """The queries of known structures, by their numbers from 0, one per sample.

        Raises:
            MultiverSegError: no such structure.
        """
        decoder, count = self._decoder, len(self.structures)
        numbers = torch.as_tensor(structures, device=decoder.query_feat.weight.device).long()
        if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < count:
            raise MultiverSegError(f"This network knows {count} structures, numbered from 0: there is none of {numbers.tolist()}.")
        rows = numbers[:, None] * self.queries + torch.arange(self.queries, device=numbers.device)
        return ObjectQuery(decoder.query_feat(rows), decoder.query_embed(rows))

    def forward(
        self,
        image: Tensor,
        query: ObjectQuery | None = None,
        clicks: Tensor | None = None,
        previous: Tensor | None = None,
        strokes: Tensor | None = None,
    ) -> Tensor:
        """Logits [B,1,H,W]. See ``layers`` for the arguments; ``image`` is [B,1,H,W] in 0..1."""
        return self.upsampled(self.layers(self.encode(image), query, clicks, previous, strokes)[-1], image.shape[-2:])

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """image [B,1,H,W] in 0..1 -> all that depends on the image alone, once for every structure and click. See ``layers``.

        Raises:
            MultiverSegError: another shape, or sides that are no multiples of 64.
        """
        if image.ndim != 4 or image.shape[1] != 1 or image.shape[2] != image.shape[3] or image.shape[2] % DIVISOR or not image.shape[2]:
            raise MultiverSegError(f"Expected square images [B,1,H,H] with sides that are multiples of {DIVISOR}, got {list(image.shape)}.")
        features = self.backbone(((image - _MEAN) / _DEVIATION).repeat(1, 3, 1, 1))
        return self._fuser.project(features)

    def layers(
        self,
        encoded: Sequence[Tensor],
        query: ObjectQuery | None = None,
        clicks: Tensor | None = None,
        previous: Tensor | None = None,
        strokes: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """The logits of the six layers, each [B,1,h,w] at 1/8, 1/4, 1/2, 1/8, 1/4, 1/2; the last one is the result.

        Args:
            encoded: of ``encode``.
            query: of ``query``, or taught vectors; None: clicks alone say what is wanted.
            clicks: [B,k,3] (row, column, sign: 1 positive, 0 negative, -1 none), oldest first, rows and columns in pixels of the image.
            previous: [B,1,H,W] the previous result as a probability; None: zeros.
            strokes: [B,2,H,W] painted positive and negative pixels, shown to the pixels only.

        Raises:
            MultiverSegError: neither a query nor a click.
        """
        clicked = clicks is not None and clicks.shape[1] > 0
        if query is None and not clicked:
            raise MultiverSegError("Without a known structure something must be clicked: place a point, or choose a structure.")
        batch, finest = len(encoded[0]), encoded[-1]
        shown = click_map(
            clicks if clicked else None, previous, strokes, finest.new_empty(batch, 0, 2 * finest.shape[2], 2 * finest.shape[3])
        )
        features = self._fuser(encoded, shown)
        if query is not None:
            query = ObjectQuery(*(part.expand(batch, *part.shape[-2:]) for part in query))
        streams = self.clicks.streams(clicks, shown.shape[-1]) if clicks is not None and clicked else []
        return self._decoder(features, query, streams, self.clicks)

    @staticmethod
    def upsampled(logits: Tensor, size: Sequence[int]) -> Tensor:
        """A layer's logits on the image's grid, [B,1,H,W]."""
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)
