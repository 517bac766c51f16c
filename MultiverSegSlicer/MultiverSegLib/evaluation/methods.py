"""The methods that are compared: a model, with or without examples, or several that take over from each other. torch is loaded when a model is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import CheckpointError, MultiverSegError
from .queries import Method, Query

#: SP+UVS ignores smaller contexts (D.2.1 of the paper).
UNIVERSEG_MINIMUM = 5


@dataclass(frozen=True)
class MethodSpec:
    """What a method is made of: plain data that travels to the workers.

    Attributes:
        name: in tables and figures.
        model: registered name or checkpoint that predicts with (and, without ``alone``, also without) examples.
        alone: model that predicts when there are no examples; "": ``model`` does.
        refine: model that takes over after the first prediction from examples (SP+UVS); "": ``model`` does.
        use_context: False: examples are ignored.
        minimum: contexts with fewer examples are ignored.
        checksums: SHA-256 of the weights, by model.
        note: what a reader of the tables must know.
    """

    name: str
    model: str
    alone: str = ""
    refine: str = ""
    use_context: bool = True
    minimum: int = 1
    checksums: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(m for m in (self.model, self.alone, self.refine) if m))


def method_spec(text: str, registry: Any = None) -> MethodSpec:
    """The method that a person named: a registered model or the path of a checkpoint; with the ending ``:alone`` the same without
    examples; ``sp+uvs:SCRIBBLEPROMPT:UNIVERSEG[:MINIMUM]`` for UniverSeg corrected by ScribblePrompt.

    Raises:
        CheckpointError: no such model, or its weights are not here.
        MultiverSegError: a malformed name.
    """
    from ..core.models.registry import Registry

    registry = registry or Registry()
    if text.lower().startswith("sp+uvs"):
        parts = text.split(":")[1:]
        if len(parts) not in (2, 3) or (len(parts) == 3 and not parts[2].isdigit()):
            raise MultiverSegError(
                f"{text!r} is malformed: write sp+uvs:SCRIBBLEPROMPT:UNIVERSEG, or with :5 for the least number of examples."
            )
        minimum = int(parts[2]) if len(parts) == 3 else UNIVERSEG_MINIMUM
        name = "SP+UVS" if minimum == UNIVERSEG_MINIMUM else f"SP+UVS (min. {minimum})"
        spec = MethodSpec(name, parts[1], parts[0], parts[0], minimum=max(1, minimum))
    else:
        model, _, ending = text.rpartition(":")
        use_context = ending != "alone" or not model
        model = text if use_context else model
        partner = registry.get(model).empty_context if registry.has(model) else None
        alone = partner if partner and registry.available(partner) else ""
        note = f"{partner} is not here: the first image goes to {model} itself" if partner and not alone else ""
        name = _title(model) + ("" if use_context else " without context")
        spec = MethodSpec(name, model, alone or "", use_context=use_context, note=note)
    sums = tuple((model, checksum(model, registry)) for model in spec.models)
    return MethodSpec(**{**vars(spec), "checksums": sums})


def checksum(model: str, registry: Any = None) -> str:
    """SHA-256 of a model's weights.

    Raises:
        CheckpointError: not here.
    """
    from ..core.models.registry import Registry

    registry = registry or Registry()
    path = registry.path(model) if registry.has(model) else Path(model)
    if not path.is_file():
        names = ", ".join(m.name for m in registry.list())
        raise CheckpointError(f"{model} is neither a model ({names}) nor a checkpoint file.")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def open_method(spec: MethodSpec, device: str = "cpu") -> Method:
    """The method, its networks loaded.

    Raises:
        CheckpointError: weights missing, damaged, or others than ``spec`` was made with.
        MultiverSegError: a model of volumes.
    """
    for model, expected in spec.checksums:
        if checksum(model) != expected:
            raise CheckpointError(f"The weights of {model} are others than when this evaluation was planned: start a new one.")
    return Composed(spec, {name: _open_model(name, device) for name in spec.models})


def _open_model(name: str, device: str) -> Any:
    from ..core.models.loading import load_network
    from ..core.networks import SliceNetwork
    from .batched import BatchedModel

    network = load_network(name)
    if isinstance(network, SliceNetwork):
        return BatchedModel(network, device)
    from ..core.predictors import open_predictor
    from .seam import SeamModel

    return SeamModel(open_predictor(name, device))


@dataclass
class Composed:
    """A method made of up to three models; see ``MethodSpec``."""

    spec: MethodSpec
    models: dict[str, Any] = field(repr=False)

    @property
    def interactive(self) -> bool:
        """Whether prompts can correct it."""
        return bool(self.models[self.spec.refine or self.spec.model].interactive)

    @property
    def in_context(self) -> bool:
        """Whether it learns from examples."""
        return self.spec.use_context and bool(self.models[self.spec.model].in_context)

    @property
    def reads_weak_examples(self) -> bool:
        """Whether it learns from examples that have prompts in place of a mask."""
        return self.in_context and bool(self.models[self.spec.model].reads_weak_examples)

    def predict(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """Sorts the queries by the model that answers them."""
        shares: dict[str, list[int]] = {}
        asked = [self._asked(q) for q in queries]
        for index, (model, _) in enumerate(asked):
            shares.setdefault(model, []).append(index)
        answers: dict[int, np.ndarray] = {}
        for model, indices in shares.items():
            answers.update(zip(indices, self.models[model].predict([asked[i][1] for i in indices]), strict=True))
        return [answers[i] for i in range(len(queries))]

    def _asked(self, query: Query) -> tuple[str, Query]:
        spec = self.spec
        known = spec.use_context and len(query.context) >= spec.minimum and self.in_context
        if not known:
            return spec.alone or spec.model, Query(query.image, query.prompts, query.logits)
        if spec.refine and query.prompts is not None:
            return spec.refine, Query(query.image, query.prompts, query.logits)
        return spec.model, query


def _title(model: str) -> str:
    titles = {"multiverseg-v1": "MultiverSeg", "scribbleprompt-v1": "ScribblePrompt", "universeg-v1": "UniverSeg"}
    return titles.get(model, Path(model).stem if "/" in model or model.endswith(".pt") else model)
