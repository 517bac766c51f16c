"""What a family of networks says of itself, so that its models can be listed, built, recognised and opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import CheckpointError
from ..plugins import Plugin
from .describing import of_slices

if TYPE_CHECKING:
    from torch import nn

    from ..models.model_list import ModelInfo
    from ..predicting import Capabilities, Predictor

N = TypeVar("N", bound="nn.Module")

#: Plain values that describe a network: its "family" and the options that the family builds it with.
Architecture = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network with its weights, and what is known of it.

    Attributes:
        network: in float32 on the CPU.
        name: of the model.
        info: what the registry says of the model; None: nothing.
        partner: name and network that predict when there are no examples, as published for multiverseg-v1.
        missing: name of such a partner whose weights are not there.
    """

    network: nn.Module
    name: str
    info: ModelInfo | None = None
    partner: tuple[str, nn.Module] | None = None
    missing: str = ""

    def of_kind(self, kind: type[N]) -> N:
        """The network, which must be of this class.

        Raises:
            CheckpointError: it is of another one.
        """
        if not isinstance(self.network, kind):
            raise CheckpointError(f"The network of {self.name} is no {kind.__name__}: its family must say how it is opened.")
        return self.network


def _unknown(state: Mapping[str, Any]) -> None:
    """Recognises nothing: checkpoints of the family carry their architecture."""
    return None


def as_slices(loaded: Loaded, device: str, precision: str) -> Predictor:
    """The predictor of a ``networks.SliceNetwork``.

    Raises:
        CheckpointError: the network is of another kind.
    """
    from ..networks import SliceNetwork
    from ..predictors.slices import SlicePredictor

    partner = None if loaded.partner is None else (loaded.partner[0], Loaded(loaded.partner[1], loaded.partner[0]).of_kind(SliceNetwork))
    network = loaded.of_kind(SliceNetwork)
    return SlicePredictor(network, loaded.name, device, precision, loaded.info, partner, loaded.missing)


def described_as_slices(name: str, architecture: Architecture, info: ModelInfo | None) -> Capabilities | None:
    """The capabilities of a ``networks.SliceNetwork`` whose architecture tells its channels; None if it doesn't."""
    channels = [architecture.get(kind) for kind in ("target_channels", "context_channels")]
    target, context = channels
    return of_slices(name, target, context, info) if isinstance(target, int) and isinstance(context, int) else None


@dataclass(frozen=True)
class Family(Plugin):
    """A family of networks. ``run(**options)`` builds one with random weights; ``needs`` names the packages that it takes besides torch and numpy.

    Nothing here imports torch before it is called.

    Attributes:
        defaults: options that an architecture may leave out and that ``describe`` must know.
        presets: complete architectures by name, for training and tests.
        published: names of published networks whose checkpoints it reads, for messages.
        recognise: the architecture of a published state dict, and the part of it that is read; None if it is of another family.
        describe: what a model of this name and architecture (``defaults`` filled in) can do, before its weights are read; None: they must be read.
        open: a ``predicting.Predictor`` of a loaded network, on a device and in a precision (see ``predictors.open_predictor``).
    """

    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    presets: Mapping[str, dict[str, Any]] = field(default_factory=dict, hash=False)
    published: tuple[str, ...] = ()
    recognise: Callable[[Mapping[str, Any]], tuple[dict[str, Any], dict[str, Any]] | None] = _unknown
    describe: Callable[[str, Architecture, ModelInfo | None], Capabilities | None] = described_as_slices
    open: Callable[[Loaded, str, str], Predictor] = as_slices
