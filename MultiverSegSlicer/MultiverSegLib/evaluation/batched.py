"""One network that answers many queries in one pass, each with its own image and its own examples.

Of networks that allow it the encodings of images and examples, and what an image reads from its examples, are computed once and kept.
The numbers of a query may differ in the last digits with what shares its batch, so batches are composed by the plan alone, never by chance.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .queries import Entry, Query

if TYPE_CHECKING:
    from torch import Tensor

    from ..core.networks import SliceNetwork

#: Queries of one pass.
BATCH = 32
#: Encodings that are kept at the most.
_KEPT_ENTRIES, _KEPT_IMAGES = 768, 256
#: Entries of one pass over all its queries, where their encodings are kept and where whole contexts are read anew.
_KEPT_AT_ONCE, _READ_AT_ONCE = 512, 64
_TURNED = (-2, -1)
_TARGET_CHANNELS = 5  # image, box, positive, negative, logits; a network reads the first few


class BatchedModel:
    """A network of the registry, of a checkpoint, or as an object; see ``methods.Method``.

    Args:
        model: registered name, path of a checkpoint, or a network.
        device: "cpu", "cuda", "auto".
    """

    def __init__(self, model: Any, device: str = "cpu") -> None:
        import torch

        from ..core.models.loading import load_network

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(device)
        network = cast("SliceNetwork", load_network(model) if isinstance(model, str | Path) else model)
        self._network = network.eval().to(self._device)
        self._images = _Memory(_KEPT_IMAGES)
        self._entries = _Memory(_KEPT_ENTRIES)
        self._readings = _Memory(4 * BATCH)

    @property
    def interactive(self) -> bool:
        """Whether it reads prompts."""
        return self._network.target_channels > 1

    @property
    def in_context(self) -> bool:
        """Whether it reads examples."""
        return self._network.context_channels > 0

    @property
    def reads_weak_examples(self) -> bool:
        """Whether it reads examples that have prompts in place of a mask."""
        return self._network.context_channels > 2

    def predict(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """Logits float32 [H, W] of each query. Queries with contexts of one size share a pass."""
        import torch

        if not self.in_context:
            queries = [Query(q.image, q.prompts, q.logits) for q in queries]
        by_size: dict[tuple[int, bool], list[int]] = {}
        for index, query in enumerate(queries):
            by_size.setdefault((len(query.context), self._looks_twice(query)), []).append(index)
        answers: dict[int, np.ndarray] = {}
        with torch.inference_mode():
            for (size, twice), indices in by_size.items():
                entries = _KEPT_AT_ONCE if self._caches else _READ_AT_ONCE
                at_once = max(1, min(BATCH, entries // max(size, 1)))
                for start in range(0, len(indices), at_once):
                    part = indices[start : start + at_once]
                    logits = self._pass([queries[i] for i in part], twice)
                    answers.update(zip(part, np.nan_to_num(logits[:, 0].cpu().numpy().astype(np.float32)), strict=True))
        return [answers[i] for i in range(len(queries))]

    @property
    def _caches(self) -> bool:
        return self._network.encodes_images

    def _looks_twice(self, query: Query) -> bool:
        """Whether the mean with the turned image is taken, as the predictor of slices does where examples are all there is to go by."""
        return bool(query.context) and query.prompts is None and query.logits is None and self._network.looks_twice

    def _pass(self, queries: Sequence[Query], twice: bool) -> Tensor:
        import torch

        target = torch.from_numpy(_targets(queries)[:, : self._network.target_channels]).to(self._device)
        logits = self._look(target, queries)
        if twice:
            turned = self._look(target.flip(_TURNED), queries, _TURNED, keep=False).flip(_TURNED)
            logits = (logits + turned) / 2
        return logits.float()

    def _look(self, target: Tensor, queries: Sequence[Query], flip: tuple[int, ...] = (), keep: bool = True) -> Tensor:
        network = self._network
        if not self._caches:
            return network(target, self._context(queries, flip))
        encoded = _stacked([self._encoded(q, target[i : i + 1, :1], flip) for i, q in enumerate(queries)])
        readings = self._read(queries, encoded, flip, keep)
        return network.decode(target, encoded, readings)

    def _encoded(self, query: Query, image: Tensor, flip: tuple[int, ...]) -> tuple[Tensor, ...]:
        return self._images.get((flip,), (query.image,), lambda: self._network.encode_target(image))

    def _read(self, queries: Sequence[Query], encoded: tuple[Tensor, ...], flip: tuple[int, ...], keep: bool) -> tuple[Tensor, ...]:
        """What each image reads from its examples: computed in one pass for all that were not read before."""
        fresh = [i for i, q in enumerate(queries) if not keep or not self._readings.has((flip,), _parts(q))]
        if fresh:
            features = self._features([queries[i] for i in fresh], encoded[0], flip)
            read = self._network.read(tuple(e[fresh] for e in encoded), features)
            if not keep:
                return read
            for place, i in enumerate(fresh):
                self._readings.put((flip,), _parts(queries[i]), tuple(r[place : place + 1] for r in read))
        return _stacked([self._readings.get((flip,), _parts(q)) for q in queries])

    def _features(self, queries: Sequence[Query], like: Tensor, flip: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Encodings of the queries' examples, each [B,N,...]; without examples those of the dummy entry."""
        if not queries[0].context:
            size = queries[0].image.shape
            dummy = self._images.get((flip, "nothing", size), (), lambda: self._dummy(like, size))
            return tuple(d.expand(len(queries), *d.shape[1:]) for d in dummy)
        per_query = [_stacked([self._entry(e, flip) for e in q.context], 1) for q in queries]
        return _stacked(per_query)

    def _entry(self, entry: Entry, flip: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Encoded alone: then its numbers don't depend on which others happened to be new with it."""
        return self._entries.get((flip,), (entry,), lambda: self._network.encode_context(self._stack([entry]).flip(flip)[None]))

    def _dummy(self, like: Tensor, size: tuple[int, ...]) -> tuple[Tensor, ...]:
        import torch

        return self._network.encode_context(self._network.empty_context(torch.zeros(1, 1, *size, device=like.device)))

    def _context(self, queries: Sequence[Query], flip: tuple[int, ...]) -> Tensor | None:
        """[B,N,Cc,H,W] of queries with contexts of one size; None without."""
        import torch

        if not queries[0].context:
            return None
        return torch.stack([self._stack(q.context) for q in queries]).flip(flip)

    def _stack(self, entries: Sequence[Entry]) -> Tensor:
        """[N,Cc,H,W]: image, mask, and, where the network reads them, an example's prompts; zeros for what it hasn't."""
        import torch

        values = np.zeros((len(entries), self._network.context_channels, *entries[0].image.shape), np.float32)
        for value, entry in zip(values, entries, strict=True):
            value[0] = entry.image
            if entry.mask is not None:
                value[1] = entry.mask
            if entry.prompts is not None:
                value[2:] = entry.prompts[: len(value) - 2]
        return torch.from_numpy(values).to(self._device)


class _Memory:
    """Keeps results by the objects that they are of (not by their content), the last used ``size`` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, tuple[tuple[Any, ...], Any]] = OrderedDict()

    def has(self, key: tuple, objects: tuple[Any, ...]) -> bool:
        return (key, *map(id, objects)) in self._kept

    def get(self, key: tuple, objects: tuple[Any, ...], make: Callable[[], Any] | None = None) -> Any:
        name = (key, *map(id, objects))
        if name not in self._kept and make is not None:
            self.put(key, objects, make())
        self._kept.move_to_end(name)
        return self._kept[name][1]

    def put(self, key: tuple, objects: tuple[Any, ...], value: Any) -> None:
        self._kept[(key, *map(id, objects))] = (objects, value)  # the objects live on, so that no other gets their number
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)


def _parts(query: Query) -> tuple[Any, ...]:
    return (query.image, *query.context)


def _stacked(parts: Sequence[tuple[Tensor, ...]], dim: int = 0) -> tuple[Tensor, ...]:
    import torch

    return tuple(torch.cat(tensors, dim) for tensors in zip(*parts, strict=True))


def _targets(queries: Sequence[Query]) -> np.ndarray:
    """float32 [B,5,H,W]; what is missing is zero."""
    targets = np.zeros((len(queries), _TARGET_CHANNELS, *queries[0].image.shape), np.float32)
    for target, query in zip(targets, queries, strict=True):
        target[0] = query.image
        if query.prompts is not None:
            target[1:4] = query.prompts
        if query.logits is not None:
            target[4] = query.logits
    return targets
