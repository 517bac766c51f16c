"""The seam between those who need predictions and those who make them: what a model can do, what it is asked, what it answers.

Arrays and plain values only: neither torch nor MRML, so that a prediction may be made in this process, in another one or on another machine.
``predictors.open_predictor`` returns a ``Predictor`` for every kind of model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from .errors import MultiverSegError

#: Channels of prompts, in this order; a model reads all or some of them.
PROMPTS = ("box", "positive", "negative")
#: What a model reads of examples: nothing, masks alone, or masks and prompts.
CONTEXTS = ("none", "masks", "prompts")

#: ``cancel``: an event, or a function that says whether to stop. ``progress``: called with steps done and steps in all.
Cancel = Any
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Structure:
    """A structure that a model finds by its name; ``code``: SNOMED CT, or ""; ``taught``: learned from a cohort's accepted cases."""

    name: str
    code: str = ""
    taught: bool = False


@dataclass(frozen=True)
class Cost:
    """What a prediction costs, roughly: billions of operations for the target and for each example, and how many a second this device does."""

    gflop: float = 0.0
    gflop_per_example: float = 0.0
    gflop_per_second: float = 0.0

    def seconds(self, examples: int = 0) -> float | None:
        """Seconds that a prediction with so many examples takes, roughly; None if nothing is known."""
        if not self.gflop or not self.gflop_per_second:
            return None
        return (self.gflop + examples * self.gflop_per_example) / self.gflop_per_second


@dataclass(frozen=True, eq=False)
class Taught:
    """Vectors learned for a structure: ``features`` and ``embedding`` float32 [M, C]; ``weights``: fingerprint of the network they belong to."""

    features: np.ndarray
    embedding: np.ndarray
    weights: str = ""


@dataclass(frozen=True, eq=False)
class Query:
    """What is asked for: a structure that the model knows, or vectors that it was taught."""

    structure: str = ""
    taught: Taught | None = None


@dataclass(frozen=True, eq=False)
class ShownExample:
    """An example on the grid: ``image`` in 0..1, ``mask`` of 0 and 1 or None, ``prompts`` [3, ...] or None. Equal ``id``, equal arrays."""

    id: str
    image: np.ndarray
    mask: np.ndarray | None = None
    prompts: np.ndarray | None = None

    @property
    def empty(self) -> bool:
        """It says that the structure isn't there: it has a mask, and nothing in it."""
        return self.mask is not None and not self.mask.any()


@dataclass(frozen=True, eq=False)
class Request:
    """One question. All arrays are on the model's grid ([n, n] or [n, n, n]), finite, float32.

    Attributes:
        image: in 0..1.
        prompts: [3, ...] in 0..1 (see ``PROMPTS``), or None.
        previous: logits of the previous prediction, never a mask, or None.
        examples: the context.
        query: what is asked for by name, or None.
    """

    image: np.ndarray
    prompts: np.ndarray | None = None
    previous: np.ndarray | None = None
    examples: tuple[ShownExample, ...] = ()
    query: Query | None = None

    @staticmethod
    def each(
        images: Sequence[np.ndarray],
        prompts: Sequence[np.ndarray | None] | None = None,
        previous: Sequence[np.ndarray | None] | None = None,
        examples: Sequence[ShownExample] = (),
        query: Query | None = None,
    ) -> list[Request]:
        """One request for each image, all with the same examples and query; ``prompts`` and ``previous``: one per image, or None."""
        shown = tuple(examples)
        nothing = [None] * len(images)
        parts = zip(images, nothing if prompts is None else prompts, nothing if previous is None else previous, strict=True)
        return [Request(image, channels, logits, shown, query) for image, channels, logits in parts]

    @property
    def prompted(self) -> bool:
        """Whether there is any prompt."""
        return self.prompts is not None and bool(self.prompts.any())

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Flat arrays of numbers and text, for ``numpy.savez`` or a connection; no pickling."""
        arrays = _present({"image": self.image, "prompts": self.prompts, "previous": self.previous})
        for number, example in enumerate(self.examples):
            parts = {"image": example.image, "mask": example.mask, "prompts": example.prompts}
            arrays |= {f"examples.{number}.{name}": array for name, array in _present(parts).items()}
        about: dict[str, Any] = {"examples": [example.id for example in self.examples]}
        if self.query is not None:
            about["query"] = {"structure": self.query.structure}
            if (taught := self.query.taught) is not None:
                about["query"]["weights"] = taught.weights
                arrays |= {"taught.features": taught.features, "taught.embedding": taught.embedding}
        return {**arrays, "about": np.array(json.dumps(about))}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> Request:
        """Inverse of ``to_arrays``.

        Raises:
            MultiverSegError: something is missing or malformed.
        """
        try:
            about = json.loads(str(arrays["about"]))
            query = None
            if (asked := about.get("query")) is not None:
                taught = None
                if "weights" in asked:
                    taught = Taught(arrays["taught.features"], arrays["taught.embedding"], asked["weights"])
                query = Query(asked["structure"], taught)
            examples = tuple(
                ShownExample(name, arrays[f"examples.{n}.image"], _get(arrays, f"examples.{n}.mask"), _get(arrays, f"examples.{n}.prompts"))
                for n, name in enumerate(about["examples"])
            )
            return Request(arrays["image"], _get(arrays, "prompts"), _get(arrays, "previous"), examples, query)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MultiverSegError(f"Malformed request for a prediction: {error}.") from error


@dataclass(frozen=True, eq=False)
class Prediction:
    """One answer, on the grid of the request.

    Attributes:
        probability, logits: float32 [n, n] or [n, n, n].
        confidence: the Dice to expect, 0..1, calibrated where that was measured for the model; 0 if nothing reaches 0.5.
        presence: probability that the structure is there at all; None if the model doesn't say.
        model, device: names.
        seconds: of computing.
        n_context: examples used.
        notice: what the user should know; "" normally.
    """

    probability: np.ndarray
    logits: np.ndarray
    confidence: float
    presence: float | None = None
    model: str = ""
    device: str = ""
    seconds: float = 0.0
    n_context: int = 0
    notice: str = ""

    @property
    def absent(self) -> bool:
        """Whether the model says that the structure is not there: by its presence, or as nothing reaches 0.5."""
        return not bool((self.probability >= 0.5).any()) if self.presence is None else self.presence < 0.5

    def mask(self, threshold: float = 0.5) -> np.ndarray:
        """bool: probability of at least ``threshold``."""
        return self.probability >= threshold

    def to_arrays(self) -> dict[str, np.ndarray]:
        """See ``Request.to_arrays``."""
        about = {name: getattr(self, name) for name in ("confidence", "presence", "model", "device", "seconds", "n_context", "notice")}
        return {"probability": self.probability, "logits": self.logits, "about": np.array(json.dumps(about))}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> Prediction:
        """Inverse of ``to_arrays``.

        Raises:
            MultiverSegError: something is missing or malformed.
        """
        try:
            return Prediction(arrays["probability"], arrays["logits"], **json.loads(str(arrays["about"])))
        except (KeyError, TypeError, ValueError) as error:
            raise MultiverSegError(f"Malformed prediction: {error}.") from error


@dataclass(frozen=True)
class Capabilities:
    """What a model can read and answer. Whoever asks looks here first; nothing the user did is dropped silently.

    Attributes:
        model: its name.
        dims: 2 (slices) or 3 (volumes).
        size: cells along each side of its grid.
        prompts: those of ``PROMPTS`` that it reads.
        context: one of ``CONTEXTS``.
        needs: what a request needs at least: any of "example", "prompt", "structure" is enough; empty: nothing.
        structures: what it finds by name.
        teachable: whether it can be taught a structure from accepted cases.
        refines: whether it reads a previous result.
        weights: fingerprint of its weights, by which taught vectors are told from those of other weights.
        cost: of a prediction.
        asked: the one of ``structures`` that every request is for (see ``asking.for_structure``); None: a request says what it is for.
        image: how images are to be shown to it where the user has not chosen, as fields of ``ImageSettings``; {}: by minimum and maximum.
    """

    model: str
    dims: int
    size: int
    prompts: tuple[str, ...] = PROMPTS
    context: str = "none"
    needs: tuple[str, ...] = ()
    structures: tuple[Structure, ...] = ()
    teachable: bool = False
    refines: bool = True
    weights: str = ""
    cost: Cost = field(default_factory=Cost)
    asked: Structure | None = None
    image: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image."""
        return (self.size,) * self.dims

    def known(self, name: str, code: str = "") -> Structure | None:
        """The structure that the model knows by this code (SNOMED CT, unless empty) or this very name, whatever its capitals; None if there is none.
        Nothing is guessed from names that are only similar."""
        for structure in self.structures:
            if (code and structure.code == code) or structure.name.casefold() == name.strip().casefold():
                return structure
        return None

    def structure(self, name: str) -> Structure:
        """The known structure of this name, whatever its capitals.

        Raises:
            MultiverSegError: there is none; the message lists those there are.
        """
        found = self.known(name)
        if found is not None:
            return found
        known = ", ".join(s.name for s in self.structures)
        raise MultiverSegError(
            f"{self.model} does not know {name!r}: " + (f"it knows {known}." if known else "it knows no structure by name.")
        )

    def unread(self, prompts: np.ndarray | None) -> str:
        """A sentence about prompts [3, ...] that are there and that the model can't read; "" if it reads them all."""
        for name, channel in zip(PROMPTS, () if prompts is None else prompts, strict=prompts is not None):
            if name not in self.prompts and np.any(channel):
                return f"{self.model} reads no {_NAMES[name]}: {self._instead()}."
        return ""

    def lacking(self, example: bool, prompt: bool, structure: bool) -> str:
        """A sentence about what a request needs besides what it has; "" if it has enough."""
        asked = {"example": example, "prompt": prompt, "structure": structure}
        if not self.needs or any(asked[what] for what in self.needs):
            return ""
        return f"{self.model} has nothing to go by: give {' or '.join(_ASKED[what] for what in self.needs)}."

    def reads_example(self, masked: bool, prompts: np.ndarray | None = None) -> bool:
        """Whether an example can be read that has a mask or, without one, these prompts."""
        if masked:
            return self.context != "none"
        return self.context == "prompts" and prompts is not None and self._readable(prompts)

    def check(self, request: Request) -> None:
        """Raise MultiverSegError, in one sentence, if the model can't answer the request as it is."""
        self._check_arrays(request)
        if unread := self.unread(request.prompts):
            raise MultiverSegError(unread)
        if request.examples and self.context == "none":
            raise MultiverSegError(f"{self.model} reads no examples: give prompts or a structure's name.")
        self._check_examples(request)
        self._check_query(request.query)
        if lacking := self.lacking(bool(request.examples), request.prompted, request.query is not None):
            raise MultiverSegError(lacking)

    def _check_arrays(self, request: Request) -> None:
        for what, array, shape in (
            ("image", request.image, self.shape),
            ("prompts", request.prompts, (len(PROMPTS), *self.shape)),
            ("previous prediction", request.previous, self.shape),
        ):
            if array is not None and np.shape(array) != shape:
                raise MultiverSegError(f"{self.model} works on {_times(shape)} cells: the {what} has {_times(np.shape(array))}.")

    def _check_examples(self, request: Request) -> None:
        for example in request.examples:
            if np.shape(example.image) != self.shape:
                raise MultiverSegError(
                    f"{self.model} works on {_times(self.shape)} cells: example {example.id} has {_times(np.shape(example.image))}, make it anew."
                )
            if not self.reads_example(example.mask is not None, example.prompts):
                reads = "masks" if self.context == "masks" else self._instead().removeprefix("use ")
                raise MultiverSegError(f"{self.model} can't read example {example.id}: it has no mask, and the model reads {reads}.")

    def _readable(self, prompts: np.ndarray) -> bool:
        return any(name in self.prompts and channel.any() for name, channel in zip(PROMPTS, prompts, strict=True))

    def _check_query(self, query: Query | None) -> None:
        if query is None:
            return
        if query.taught is None:
            self.structure(query.structure)
        elif not self.teachable or query.taught.weights != self.weights:
            raise MultiverSegError(f"What was taught for {query.structure or 'this structure'} belongs to other weights: teach it anew.")

    def _instead(self) -> str:
        kinds = " or ".join(_NAMES[name] for name in PROMPTS if name in self.prompts)
        return f"use {kinds}" if kinds else "it has no prompts at all"

    def to_json(self) -> dict[str, Any]:
        """Plain values, readable by ``from_json``."""
        return {**asdict(self), "image": dict(self.image)}

    @staticmethod
    def from_json(data: Any) -> Capabilities:
        """Inverse of ``to_json``.

        Raises:
            MultiverSegError: malformed data.
        """
        try:
            lists = {name: tuple(data[name]) for name in ("prompts", "needs") if name in data}
            structures = tuple(Structure(**s) for s in data.get("structures", ()))
            asked = None if data.get("asked") is None else Structure(**data["asked"])
            return Capabilities(**{**data, **lists, "structures": structures, "asked": asked, "cost": Cost(**data.get("cost", {}))})
        except (TypeError, ValueError, AttributeError) as error:
            raise MultiverSegError(f"Malformed description of a model: {error}.") from error


@runtime_checkable
class Predictor(Protocol):
    """Makes predictions. May be used from any one thread at a time."""

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do; the same for the predictor's life, but for its cost where the device changes."""

    @property
    def description(self) -> str:
        """Model and device in words."""

    def predict(self, request: Request, cancel: Cancel = None, progress: Progress | None = None) -> Prediction:
        """Answer one request.

        Raises:
            MultiverSegError: the model can't answer it (see ``Capabilities.check``).
            Cancelled: ``cancel`` was set.
            DeviceError: out of memory with no way left.
        """

    def predict_batch(self, requests: Sequence[Request], cancel: Cancel = None, progress: Progress | None = None) -> list[Prediction]:
        """Answer several; what they share is computed once where the model can."""


_NAMES = {"box": "boxes", "positive": "points on the structure", "negative": "points beside the structure"}
_ASKED = {"example": "an example", "prompt": "a prompt", "structure": "the name of a structure it knows"}


def _present(arrays: Mapping[str, np.ndarray | None]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in arrays.items() if array is not None}


def _get(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    return arrays.get(name)


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
