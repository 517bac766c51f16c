"""The published checkpoint: how it is recognised, and which third of it no prediction reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_HEAD = "sem_seg_head.predictor."
#: Left over from the frameworks that the code grew from: the up path of the encoder, copies of the projections, heads of another decoder.
_UNUSED = re.compile(
    r"backbone\.(down4|up\d|outc)\.|sem_seg_head\.pixel_decoder\.(input_proj\.[345]|mask_downsamplelayer\.down4)\."
    r"|sem_seg_head\.predictor\.(decoder_norm|mask_embed|aggregate_class_layer|point_encoder)\."
)
#: Vectors per structure; their table doesn't tell where one structure ends.
_QUERIES = 4


def used_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without what no prediction reads."""
    return {name: value for name, value in state.items() if not _UNUSED.match(name)}


def architecture_of(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The architecture of a state dict of this family, read off its names and shapes; None if it is of another one.

    What neither tells is as published: four vectors per structure, eight heads, a grid of 256.
    """
    needed = (f"{_HEAD}query_feat.weight", "backbone.inc.0.conv2.weight", f"{_HEAD}simple_decoders.0.initial_conv.weight")
    if any(name not in state for name in needed):
        return None
    queries, head = state[needed[0]], state[needed[2]]

    def rows(name: str, least: int = 1) -> int:
        return len(state[name]) if name in state else least

    def has(part: str) -> bool:
        return any(name.startswith(part) for name in state)

    learned, residual = has("clicks."), has(f"{_HEAD}sample_layer_list.")
    # of drawn encoders only what carries their result over tells
    semantic = has("clicks.semantic.") if learned else has(f"{_HEAD}res_query_layer_list.") or not residual
    return {
        "family": "verse",
        "structures": max(1, len(queries) // _QUERIES),
        "queries": _QUERIES,
        "encoder_widths": [rows("backbone.inc.0.conv2.weight"), *(rows(f"backbone.down{n}.blocks.0.conv2.weight") for n in (1, 2, 3))],
        "width": queries.shape[1],
        "hidden": rows(f"{_HEAD}transformer_ffn_layers.0.linear1.weight"),
        "pixel_hidden": rows(f"{_HEAD}transformer_pixel_ffn_layers.0.conv.conv1.weight"),
        "head_width": len(head),
        "clicks": "learned" if learned else "drawn",
        "semantic": semantic,
        "negative_stream": has(f"{_HEAD}neg_transformer_"),
        "residual": residual,
    }
