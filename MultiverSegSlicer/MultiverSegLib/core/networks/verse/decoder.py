"""The decoder: six layers, three scales twice. Queries look at the pixels of a scale, pixels at the queries, and each layer draws a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .clicks import ClickEncoder, ClickStream, pixel_mask
from .fuser import positions

LAYERS, SCALES = 6, 3
#: Name of a stream in the code -> how the published names of its layers begin.
_PREFIXES = {"object": "", "positive": "pos_", "negative": "neg_"}


class CrossAttention(nn.Module):
    """Attention of queries to keys, then residual and norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, query: Tensor, key: Tensor, value: Tensor, forbidden: Tensor | None = None) -> Tensor:
        return self.norm(x + self.multihead_attn(query, key, value, key_padding_mask=forbidden, need_weights=False)[0])


class SelfAttention(nn.Module):
    """The same within a stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        query = x + embedding
        return self.norm(x + self.self_attn(query, query, x, need_weights=False)[0])


class FeedForward(nn.Module):
    """Two linear layers, then residual and norm."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1, self.linear2, self.norm = nn.Linear(width, hidden), nn.Linear(hidden, width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.linear2(F.relu(self.linear1(x))))


class _PixelConvolutions(nn.Module):
    """Two 3x3 convolutions whose channels are weighted by a convolution over the channels' means."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(width, hidden, 3, padding=1), nn.Conv2d(hidden, width, 3, padding=1)
        self.conv = nn.Conv1d(1, 1, 5, padding=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(F.relu(x))))
        return y * self.conv(y.mean(dim=(2, 3))[:, None])[:, 0, :, None, None].sigmoid() + x


class PixelFeedForward(nn.Module):
    """The pixels' own step; ``hidden`` channels between its convolutions."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv = _PixelConvolutions(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _HeadBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class MaskHead(nn.Module):
    """Pixel features [B,width,h,w] -> logits [B,1,h,w]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.initial_conv = nn.Conv2d(width, hidden, 3, padding=1)
        self.res_blocks = nn.Sequential(_HeadBlock(hidden), _HeadBlock(hidden))
        self.final_conv = nn.Conv2d(hidden, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.final_conv(self.res_blocks(F.relu(self.initial_conv(x))))


class Decoder(nn.Module):
    """See ``Verse`` for the arguments.

    The layers' names are the published ones, so the lists stand side by side instead of in one module per layer.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        pixel_hidden: int,
        head_width: int,
        vectors: int,
        semantic: bool,
        negative_stream: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        self.residual, self.semantic = residual, semantic
        self.streams = ("object", "positive", "negative") if negative_stream else ("object", "positive")
        for stream in self.streams:
            prefix = f"{_PREFIXES[stream]}transformer_"
            for name, make in (
                ("cross_attention_layers", lambda: CrossAttention(width, heads)),
                ("self_attention_layers", lambda: SelfAttention(width, heads)),
                ("ffn_layers", lambda: FeedForward(width, hidden)),
            ):
                self.add_module(prefix + name, nn.ModuleList(make() for _ in range(LAYERS)))
        self.transformer_feature_query_cross_attention_layers = nn.ModuleList(CrossAttention(width, heads) for _ in range(LAYERS))
        self.transformer_pixel_ffn_layers = nn.ModuleList(PixelFeedForward(width, pixel_hidden) for _ in range(LAYERS))
        self.query_feat, self.query_embed = nn.Embedding(vectors, width), nn.Embedding(vectors, width)
        self.level_embed = nn.Embedding(SCALES, width)
        self.simple_decoders = nn.ModuleList(MaskHead(width, head_width) for _ in range(SCALES))
        if residual:
            self.sample_layer_list = nn.ModuleList(_resampling(width, layer) for layer in range(1, LAYERS))
        if residual and semantic:
            self.res_query_layer_list = nn.ModuleList(nn.Linear(width, width) for _ in range(1, LAYERS))

    def forward(
        self, features: Sequence[Tensor], query: tuple[Tensor, Tensor] | None, clicks: Sequence[ClickStream], encoder: ClickEncoder
    ) -> tuple[Tensor, ...]:
        """Logits of the six layers, [B,1,h,w] at 1/8, 1/4, 1/2, 1/8, 1/4, 1/2.

        Args:
            features: of the fuser, coarsest first.
            query: features and embedding of object queries, [B,M,C] each; None: none.
            clicks: streams of click queries; with ``query`` they refine, without it they are all there is.
            encoder: reads the pixels at the clicks.
        """
        codes = [positions(f.shape[-2], f.shape[-1], f.shape[1], f) for f in features]
        levels = [f + embedding[:, None, None] for f, embedding in zip(features, self.level_embed.weight, strict=True)]
        embeddings, queries = self._begin(query, clicks)
        forbidden: Mapping[str, Tensor | None] = dict.fromkeys(self.streams)
        looks, results, above = {}, [], None
        for layer in range(LAYERS):
            level = layer % SCALES
            if level == 0 and self.semantic:
                looks = {(s.sign, n): encoder.look(s, levels[n], layer // SCALES, n) for s in clicks for n in range(SCALES)}
            pixels = levels[level]
            if above is not None and self.residual:
                pixels = pixels + self.sample_layer_list[layer - 1](above)
            self._refresh(queries, clicks, {s.sign: looks.get((s.sign, level)) for s in clicks}, layer)
            shape, code = pixels.shape[-2:], codes[level].flatten(2).transpose(1, 2)
            flat = pixels.flatten(2).transpose(1, 2)
            for stream in queries:
                queries[stream] = self._step(stream, layer, queries[stream], embeddings[stream], flat, code, forbidden[stream])
            everything = torch.cat(list(queries.values()), dim=1)
            keys = everything + torch.cat([embeddings[stream] for stream in queries], dim=1)
            flat = self.transformer_feature_query_cross_attention_layers[layer](flat, flat + code, keys, everything)
            above = levels[level] = self.transformer_pixel_ffn_layers[layer](flat.transpose(1, 2).unflatten(2, shape))
            results.append(self.simple_decoders[level](above))
            if layer + 1 < LAYERS:
                size = levels[(layer + 1) % SCALES].shape[-2:]
                seen, unseen = pixel_mask(results[-1], size, binary_first=query is None)
                forbidden = {"object": seen, "positive": seen, "negative": unseen}
        return tuple(results)

    def _begin(self, query: tuple[Tensor, Tensor] | None, clicks: Sequence[ClickStream]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Embeddings of all streams, and their queries before the first layer; those of clicks are filled in by ``_refresh``."""
        embeddings, queries = {}, {}
        if query is not None:
            queries["object"], embeddings["object"] = query
        for stream in clicks:
            embeddings[stream.sign] = torch.cat([stream.sparse] * (2 if self.semantic else 1), dim=1)
            queries[stream.sign] = embeddings[stream.sign]
        return embeddings, queries

    def _refresh(self, queries: dict[str, Tensor], clicks: Sequence[ClickStream], looks: Mapping[str, Tensor | None], layer: int) -> None:
        """Click queries begin each layer anew; what the semantic ones became in the layer before is carried over."""
        for stream in clicks:
            look = looks[stream.sign]
            if look is None:
                queries[stream.sign] = stream.sparse
                continue
            if layer and self.residual:
                look = look + self.res_query_layer_list[layer - 1](queries[stream.sign][:, stream.sparse.shape[1] :])
            queries[stream.sign] = torch.cat([stream.sparse, look], dim=1)

    def _step(
        self, stream: str, layer: int, query: Tensor, embedding: Tensor, pixels: Tensor, code: Tensor, forbidden: Tensor | None
    ) -> Tensor:
        """A stream's queries look at the pixels, then at each other."""

        def part(name: str) -> Any:
            return getattr(self, f"{_PREFIXES[stream]}transformer_{name}")[layer]

        query = part("cross_attention_layers")(query, query + embedding, pixels + code, pixels, forbidden)
        return part("ffn_layers")(part("self_attention_layers")(query, embedding))


def _resampling(width: int, layer: int) -> nn.ModuleDict:
    """What brings the pixels of the layer before to the scale of ``layer``, under its published name."""
    if layer % SCALES == 0:
        return _Named({"downsample": nn.Conv2d(width, width, 4, 4)})
    return _Named({"upsample": nn.ConvTranspose2d(width, width, 2, 2)})


class _Named(nn.ModuleDict):
    def forward(self, x: Tensor) -> Tensor:
        (module,) = self.values()
        return module(x)
