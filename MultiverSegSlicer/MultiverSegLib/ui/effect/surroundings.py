"""What the presenter finds around it: the Segment Editor, and the line in which it says what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from slicer.i18n import tr as _

from ..shared.counting import examples


class Editor(Protocol):
    """What the presenter needs of the Segment Editor; the effect provides it."""

    def editorNode(self) -> Any: ...

    def option(self, name: str) -> str: ...

    def optionNode(self, name: str) -> Any: ...

    def saveUndo(self) -> None: ...

    def modify(self, segmentation: Any, segment_id: str, labelmap: Any, remove: bool) -> None: ...


@dataclass(frozen=True)
class Status:
    """One line for the user."""

    text: str = ""
    busy: bool = False
    problem: bool = False


def result_text(prediction: Any, model: str) -> str:
    """E.g. "compact on CPU, 3 examples, 0.08 s, confidence 92 %"."""
    text = _("{model}, {examples}, {seconds:.2f} s, confidence {confidence:.0f} %").format(
        model=model, examples=examples(prediction.n_context), seconds=prediction.seconds, confidence=100 * prediction.confidence
    )
    return f"{text}. {prediction.notice}" if prediction.notice else text
