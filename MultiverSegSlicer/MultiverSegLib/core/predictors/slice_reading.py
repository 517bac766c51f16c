"""What networks for slices read of images and of examples, computed once and kept: an image's encoding serves all clicks on it, an example's all
images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..predicting import ShownExample

if TYPE_CHECKING:
    from torch import Tensor

    from ..networks import SliceNetwork

#: Channels of an example, in the order the networks read them; a network reads the first few.
CONTEXT_CHANNELS = ("image", "mask", "box", "positive", "negative")
#: Examples whose encoding is kept, for networks that can reuse it.
_KEPT_ENCODINGS = 512
#: Of these, how many are computed in one pass: bounds the memory where a large context is met for the first time.
_ENCODED_AT_ONCE = 32
#: The axes that are flipped: nothing, and both, which turns an image by 180 degrees.
_UPRIGHT, _TURNED = (), (-2, -1)


@dataclass
class _Kept:
    """What the last image was found to be, before any prompt: its encoding, and what it reads from the examples ``ids``."""

    image: Tensor
    encoded: tuple[Tensor, ...]
    ids: tuple[str, ...] | None = None
    readings: tuple[Tensor, ...] = ()


class Reading:
    """Asks networks (see ``networks.SliceNetwork``) on one device, and keeps what can be used again."""

    def __init__(self, device: Any) -> None:
        #: Where the networks are; whoever moves them says so here.
        self.device = device
        self._encodings: OrderedDict[tuple[str, tuple[int, ...]], tuple[Tensor, ...]] = OrderedDict()
        self._kept: _Kept | None = None

    def forget(self) -> None:
        """Lets go of what was computed on another device or in another precision."""
        self._encodings.clear()
        self._kept = None

    def look(self, network: SliceNetwork, target: Tensor, examples: Sequence[ShownExample]) -> tuple[Tensor, Tensor | None]:
        """target [B,5,n,n] -> logits [B,1,n,n] and of presence [B]; see ``networks.SliceNetwork`` for ``looks_twice``."""
        logits, present = self._look(network, target, examples)
        if examples and network.looks_twice:
            alone = ~target[:, 1:].flatten(1).any(1)  # nothing but the examples says what is wanted
            if alone.any():
                turned, again = self._look(network, target[alone].flip(_TURNED), examples, _TURNED)
                logits[alone] = (logits[alone] + turned.flip(_TURNED)) / 2
                if present is not None and again is not None:
                    present[alone] = (present[alone] + again) / 2
        return logits, present

    def _look(
        self, network: SliceNetwork, target: Tensor, examples: Sequence[ShownExample], flip: tuple[int, ...] = _UPRIGHT
    ) -> tuple[Tensor, Tensor | None]:
        """``flip``: axes along which the target was flipped, and the examples are to be."""
        if network.encodes_images:
            return _decoded(network, target, *self._read(network, target, examples, flip))
        if not examples:
            return network(target, None), None
        if network.encodes_examples:
            features = tuple(f.expand(len(target), *f.shape[1:]) for f in self._encoded(network, examples, flip))
            return network.forward_with_features(target, features), None
        context = self._context(network, examples)
        return network(target, context.expand(len(target), *context.shape[1:])), None

    def _context(self, network: SliceNetwork, examples: Sequence[ShownExample]) -> Tensor:
        """[1,N,Cc,n,n]; a missing mask or missing prompts are zeros."""
        import torch

        context = np.zeros((1, len(examples), len(CONTEXT_CHANNELS), *np.shape(examples[0].image)), np.float32)
        for entry, example in zip(context[0], examples, strict=True):
            entry[0] = example.image
            if example.mask is not None:
                entry[1] = example.mask
            if example.prompts is not None:
                entry[2:] = example.prompts
        return torch.from_numpy(context[:, :, : network.context_channels]).to(self.device)

    def _encoded(self, network: SliceNetwork, examples: Sequence[ShownExample], flip: tuple[int, ...] = _UPRIGHT) -> list[Tensor]:
        """The encodings of the examples, each [1,N,...]; an example is encoded once, and once more where it is flipped."""
        import torch

        fresh = [e for e in examples if (e.id, flip) not in self._encodings]
        for start in range(0, len(fresh), _ENCODED_AT_ONCE):
            part = fresh[start : start + _ENCODED_AT_ONCE]
            encoded = network.encode_context(self._context(network, part).flip(flip))
            for i, example in enumerate(part):
                self._encodings[example.id, flip] = tuple(f[:, i : i + 1].clone() for f in encoded)
        for example in examples:
            self._encodings.move_to_end((example.id, flip))
        features = [torch.cat(parts, dim=1) for parts in zip(*(self._encodings[e.id, flip] for e in examples), strict=True)]
        while len(self._encodings) > _KEPT_ENCODINGS:
            self._encodings.popitem(last=False)
        return features

    def _read(
        self, network: SliceNetwork, target: Tensor, examples: Sequence[ShownExample], flip: tuple[int, ...]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The images' encodings and what they read from the examples; those of a single upright image are kept for the next click on it."""
        image, ids = target[:, :1], tuple(e.id for e in examples)
        if len(target) > 1 or flip != _UPRIGHT:
            features = self._encoded(network, examples, flip) if examples else self._no_examples(network, target[:1])
            encoded = network.encode_target(image)
            return encoded, network.read(encoded, tuple(f.expand(len(target), *f.shape[1:]) for f in features))
        if self._kept is None or not image.equal(self._kept.image):
            self._kept = _Kept(image.clone(), network.encode_target(image))
        if self._kept.ids != ids:
            features = self._encoded(network, examples) if examples else self._no_examples(network, target)
            self._kept.ids, self._kept.readings = ids, network.read(self._kept.encoded, tuple(features))
        return self._kept.encoded, self._kept.readings

    def _no_examples(self, network: SliceNetwork, target: Tensor) -> tuple[Tensor, ...]:
        """The encoding of the dummy entry, which is always the same."""
        key = "", _UPRIGHT
        if key not in self._encodings:
            self._encodings[key] = network.encode_context(network.empty_context(target))
        self._encodings.move_to_end(key)
        return self._encodings[key]


def _decoded(
    network: SliceNetwork, target: Tensor, encoded: tuple[Tensor, ...], readings: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor | None]:
    """The logits, and those of presence from a network that can say."""
    if network.says_presence:
        return network.decode_with_presence(target, encoded, readings)
    return network.decode(target, encoded, readings), None
