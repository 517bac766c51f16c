"""What every network offers, and what some offer besides: said by the class, never guessed from the names of its methods."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Network(nn.Module):
    """A torch module that belongs to a family of networks.

    ``family`` is the name of its family (see ``core.families``), and ``architecture`` are plain values from which ``families.build_network`` builds
    an equal network.
    """

    family: str = ""

    @property
    def architecture(self) -> dict[str, Any]:
        """Plain values from which ``families.build_network`` builds an equal network, "family" among them."""
        raise NotImplementedError


class SliceNetwork(Network):
    """A network for slices: prompts are channels of its target, and examples, if it reads them, are its context.

    ``target_channels``: how many of image, box, positive, negative and previous logits it reads. ``context_channels``: how many of image, mask, box,
    positive and negative it reads of an example (0: it ignores examples).

    What a subclass may offer besides, each said by an attribute:

    - ``encodes_examples``: ``encode_context`` and ``forward_with_features``: an example is encoded once in its life, as its features don't
      depend on the target. ``forward(t, c)`` equals ``forward_with_features(t, encode_context(c))``.
    - ``encodes_images``: also ``encode_target(image [B,1,H,W])``, ``read(encoded, features)``, ``decode(t, encoded, readings)``, which together
      equal ``forward_with_features``, and ``empty_context(image)``: what depends on the image and the examples alone is then computed once for
      all clicks on it.
    - ``says_presence``: also ``decode_with_presence(t, encoded, readings)``, which returns the logit [B] of the structure being there besides.
    - ``looks_twice``: where examples are all that a prediction has to go by, the predictor takes the mean of the logits for the images as
      they are and turned by 180 degrees.
    - ``reads_in_chunks``: ``chunk``, the number of examples that are read at a time (None: as many as are fast); fewer need less memory.
    - ``widest``: channels of its widest features at full resolution, by which the size of a batch is chosen on a CPU.
    """

    target_channels: int = 5
    context_channels: int = 0
    encodes_examples: bool = False
    encodes_images: bool = False
    says_presence: bool = False
    looks_twice: bool = False
    reads_in_chunks: bool = False
    chunk: int | None = None
    widest: int = 32

    def forward(self, target: Tensor, context: Tensor | None = None) -> Tensor:
        """target [B,Ct,H,W], context [B,N,Cc,H,W] or None -> logits [B,1,H,W]."""
        raise NotImplementedError

    def encode_context(self, context: Tensor) -> tuple[Tensor, ...]:
        """context [B,N,Cc,H,W] -> features, each [B,N,...]: entry n depends on example n alone."""
        raise NotImplementedError

    def forward_with_features(self, target: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """target [B,Ct,H,W], features each [B,N,...] (N >= 1) -> logits [B,1,H,W]."""
        raise NotImplementedError

    def empty_context(self, image: Tensor) -> Tensor:
        """The dummy entry [B,1,Cc,H,W] that stands for no examples, for images [B,...,H,W]."""
        raise NotImplementedError

    def encode_target(self, image: Tensor) -> tuple[Tensor, ...]:
        """The features of target images [B,1,H,W] that don't depend on prompts or context."""
        raise NotImplementedError

    def read(self, encoded: tuple[Tensor, ...], features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the image that ``encode_target`` encoded takes from the examples that ``encode_context`` encoded, before any prompt."""
        raise NotImplementedError

    def decode(self, target: Tensor, encoded: tuple[Tensor, ...], readings: tuple[Tensor, ...]) -> Tensor:
        """target [B,Ct,H,W] with what ``encode_target`` and ``read`` gave for its image -> logits [B,1,H,W]."""
        raise NotImplementedError

    def decode_with_presence(
        self, target: Tensor, encoded: tuple[Tensor, ...], readings: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """As ``decode``, and the logit [B] of the structure being on the slice at all; None from a network that can't say."""
        return self.decode(target, encoded, readings), None
