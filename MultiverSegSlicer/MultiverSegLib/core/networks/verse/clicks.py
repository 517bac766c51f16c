"""Clicks: the map that the pixels see, and the queries (where a click is, and what the image is like there).

The published training made new query encoders in every pass and kept none, so its checkpoints hold none: ``ClickEncoder(drawn=seed)`` draws them
once from a seed, outside of the state dict, and a prediction can be repeated. Networks of our own learn them.
"""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Signs of a click; ``NONE`` fills up a row where another sample of the batch has more clicks.
POSITIVE, NEGATIVE, NONE = 1, 0, -1
#: Fine pixels per pixel of the three feature maps, coarsest first.
STRIDES = (8, 4, 2)
#: On maps of at most this many rows a click reads its own pixel, on finer ones the pixels around it too.
_COARSE = 32
_NOWHERE = -10.0
_ROUNDS = 2


class ClickStream(NamedTuple):
    """Click queries of one stream: ``sparse`` [B,k,C] says where and which sign; ``cells`` [B,k,2] (row, column in fine pixels) where to look."""

    sparse: Tensor
    cells: Tensor
    sign: str


def click_map(clicks: Tensor | None, previous: Tensor | None, strokes: Tensor | None, like: Tensor) -> Tensor:
    """What the pixels see, [B,3,H,W]: positive and negative clicks as discs of five pixels, the previous probability (zeros for none).

    Args:
        clicks: [B,k,3] (row, column, sign).
        previous: [B,1,H,W] probability.
        strokes: [B,2,H,W] painted positive and negative pixels, drawn as they are.
        like: [B,...,H,W].
    """
    batch, (height, width) = like.shape[0], like.shape[-2:]
    shown = like.new_zeros(batch, 3, height, width)
    if strokes is not None:
        shown[:, :2] = strokes
    if previous is not None:
        shown[:, 2:] = previous
    if clicks is not None:
        rows, cols, signs = clicks.round().long().unbind(-1)
        sample = torch.arange(batch, device=like.device)[:, None].expand_as(rows)
        for dy, dx in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            y, x = rows + dy, cols + dx
            seen = (signs != NONE) & (y >= 0) & (y < height) & (x >= 0) & (x < width)
            shown[sample[seen], (signs[seen] == NEGATIVE).long(), y[seen], x[seen]] = 1
    return shown


class _PositionCode(nn.Module):
    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, where: Tensor) -> Tensor:
        matrix = self.positional_encoding_gaussian_matrix
        angle = 2 * math.pi * (where.to(matrix) @ matrix)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class PointEncoder(nn.Module):
    """Where a click is and its sign, as a vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pe_layer = _PositionCode(width)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in (NEGATIVE, POSITIVE))
        self.not_a_point_embed = nn.Embedding(1, width)

    def forward(self, cells: Tensor, signs: Tensor, size: int) -> Tensor:
        """cells [B,k,2] in pixels, signs [B,k] -> [B,k,width]."""
        code = self.pe_layer(2 * (cells + 0.5) / size - 1)
        negative, positive = (cast(Tensor, embedding.weight) for embedding in self.point_embeddings)
        known = code + torch.where((signs == POSITIVE)[..., None], positive, negative)
        return torch.where((signs == NONE)[..., None], self.not_a_point_embed.weight, known)


class _Feature(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


class ClickEncoder(nn.Module):
    """Makes click queries.

    Args:
        width: of a query.
        semantic: queries that say what the image is like at a click, too.
        signs: the streams there are: ("positive", "negative"), or ("positive",) with all clicks in it.
        drawn: a seed: everything is drawn from it and stays out of the state dict; None: parameters.
    """

    def __init__(
        self, width: int, semantic: bool = True, signs: tuple[str, ...] = ("positive", "negative"), drawn: int | None = None
    ) -> None:
        super().__init__()
        self.signs = signs
        with torch.random.fork_rng(devices=[], enabled=drawn is not None):
            if drawn is not None:
                torch.manual_seed(drawn)
            self.point_encoder = PointEncoder(width)
            self.semantic = nn.ModuleList(
                nn.ModuleList(nn.ModuleDict({sign: _Feature(width) for sign in signs}) for _ in STRIDES) for _ in range(_ROUNDS * semantic)
            )
        if drawn is not None:
            _keep_out_of_the_state(self)

    def streams(self, clicks: Tensor, size: int) -> list[ClickStream]:
        """clicks [B,k,3] (row, column, sign) -> a stream of k places per sign; a click of the other sign leaves its place to a dummy."""
        newest_first = clicks.flip(1)
        found = []
        for sign in self.signs:
            signs = newest_first[..., 2].long()
            if len(self.signs) > 1:
                signs = torch.where(signs == (POSITIVE if sign == "positive" else NEGATIVE), signs, NONE)
            cells = torch.where((signs == NONE)[..., None], _NOWHERE, newest_first[..., :2].float())
            found.append(ClickStream(self.point_encoder(cells, signs, size), cells, sign))
        return found

    def look(self, stream: ClickStream, features: Tensor, turn: int, level: int) -> Tensor:
        """What the features [B,C,h,w] of a scale are like at a stream's clicks, [B,k,C]; ``turn``: the first or the second round over the scales."""
        return self.semantic.get_submodule(f"{turn}.{level}.{stream.sign}")(
            _pooled(features, stream.cells / STRIDES[level], int(features.shape[-2] > _COARSE))
        )


def _pooled(features: Tensor, cells: Tensor, reach: int) -> Tensor:
    """Means of features [B,C,h,w] over the window of ``reach`` around each of ``cells`` [B,k,2], clipped at the border; zeros outside. [B,k,C]."""
    height, width = features.shape[-2:]
    row, col = cells.round().long().unbind(-1)
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    sample = torch.arange(len(features), device=features.device)[:, None].expand_as(row)
    total, count = features.new_zeros(*row.shape, features.shape[1]), features.new_zeros(*row.shape, 1)
    for dy, dx in product(range(-reach, reach + 1), repeat=2):
        y, x = row + dy, col + dx
        there = (inside & (y >= 0) & (y < height) & (x >= 0) & (x < width))[..., None].to(features.dtype)
        total = total + there * features[sample, :, y.clamp(0, height - 1), x.clamp(0, width - 1)]
        count = count + there
    return total / count.clamp_min(1)


def _keep_out_of_the_state(module: nn.Module) -> None:
    """Parameters and buffers become buffers that no checkpoint holds; devices and types still apply to them."""
    for part in module.modules():
        for name, value in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
            delattr(part, name)
            part.register_buffer(name, value.detach(), persistent=False)


def pixel_mask(logits: Tensor, size: tuple[int, int], binary_first: bool) -> tuple[Tensor, Tensor]:
    """Where queries may not look next, for positive (and object) and for negative ones: [B,h*w] bool each.

    Args:
        logits: [B,1,H,W] of the layer before; no gradient goes through them.
        binary_first: cut at one half before resizing (clicks alone) or after it; exactly one half is then open to both.
    """
    probability = logits.detach().sigmoid()
    if binary_first:
        probability = (probability > 0.5).to(logits.dtype)
        probability = F.interpolate(probability, size=size, mode="bilinear", align_corners=False).flatten(1)
        masks = probability < 0.5, probability > 0.5
    else:
        probability = F.interpolate(logits.detach(), size=size, mode="bilinear", align_corners=False).sigmoid().flatten(1)
        masks = probability < 0.5, probability >= 0.5
    first, second = (mask & ~mask.all(1, keepdim=True) for mask in masks)
    return first, second
