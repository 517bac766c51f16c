"""Options that several sub-commands share, and the checks of what users type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.errors import ContextError
from ..core.prompts import Box, Point, Prompts


def one_of(value: str, allowed: Sequence[str], option: str) -> str:
    if value not in allowed:
        raise typer.BadParameter(f"must be one of {', '.join(allowed)}.", param_hint=option)
    return value


def known_strategy(value: str) -> str:
    from ..core.selection import STRATEGIES

    return one_of(value, STRATEGIES.names, "--strategy")


ContextFolder = Annotated[Path | None, typer.Option("--context", help="Folder of accepted examples (see 'multiverseg context').")]
Model = Annotated[str, typer.Option(help="Name of a model (see 'multiverseg models list') or a checkpoint file.")]
Device = Annotated[
    str,
    typer.Option(
        help="auto (a graphics card if there is one), cpu or cuda.",
        callback=lambda value: one_of(value, ("auto", "cpu", "cuda"), "--device"),
    ),
]
Threshold = Annotated[float, typer.Option(min=0.01, max=0.99, help="Probability from which a voxel belongs to the structure.")]
Strategy = Annotated[str, typer.Option(help="How examples are chosen when there are more than --cap.", callback=known_strategy)]
Cap = Annotated[int, typer.Option(min=0, help="At most so many examples per prediction.")]
Window = Annotated[
    str | None,
    typer.Option(
        help="auto (a CT: its body; others: percentiles), a CT preset (abdomen, lung, bone, ...) or LOW,HIGH. Default: minimum and maximum."
    ),
]
Boxes = Annotated[list[str] | None, typer.Option("--box", help="Two opposite corners in RAS mm: R,A,S,R,A,S. Repeatable.")]
Points = Annotated[list[str] | None, typer.Option("--point", help="A positive point in RAS mm: R,A,S. Repeatable.")]
Negatives = Annotated[list[str] | None, typer.Option("--negative", help="A negative point in RAS mm: R,A,S. Repeatable.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="So many seconds for a cohort that somebody else holds.")]
AcceptedCase = Annotated[str | None, typer.Option("--case", help="Name of the case in the context. Default: the volume's name.")]


def numbers(text: str, count: int, option: str) -> list[float]:
    """``count`` finite numbers separated by commas."""
    import math

    try:
        values = [float(piece) for piece in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise typer.BadParameter(f"needs {count} numbers separated by commas, got {text!r}.", param_hint=option)
    return values


def typed_prompts(boxes: Sequence[str] | None, points: Sequence[str] | None, negatives: Sequence[str] | None) -> Prompts:
    """The prompts of ``--box``, ``--point`` and ``--negative``, in RAS mm."""
    return Prompts(tuple(_typed(boxes or (), points or (), negatives or ())))


def _typed(boxes: Sequence[str], points: Sequence[str], negatives: Sequence[str]) -> Iterator[Box | Point]:
    for text in boxes:
        values = numbers(text, 6, "--box")
        center = tuple((a + b) / 2 for a, b in zip(values[:3], values[3:], strict=True))
        yield Box(center, tuple(abs(a - b) for a, b in zip(values[:3], values[3:], strict=True)))
    for texts, positive in ((points, True), (negatives, False)):
        for text in texts:
            yield Point(tuple(numbers(text, 3, "--point" if positive else "--negative")), positive)


def image_settings(window: str | None, examples: Sequence[Any] = (), array: Any = None) -> Any:
    """The image settings for ``--window``, or those that the context's examples were made with; "auto" looks at the volume's ``array``, unless there
    are examples.

    Raises:
        ContextError: the context was made with another window than the one asked for.
    """
    from ..core.imaging import CT_PRESETS, ImageSettings, suggest_settings

    of_context = examples[0].settings if examples else None
    if window is None:
        return of_context or ImageSettings()
    if window == "auto":
        return of_context or (ImageSettings(scaling="percentiles") if array is None else suggest_settings(array))
    if window in CT_PRESETS:
        settings = ImageSettings.ct(window)
    else:
        settings = ImageSettings(scaling="window", window=tuple(numbers(window, 2, "--window")))
    if of_context is not None and (of_context.scaling, of_context.window) != (settings.scaling, settings.window):
        raise ContextError(
            f"The context was made with {of_context.scaling} {of_context.window or ''}, not with --window {window}: leave --window out."
        )
    return settings


def dimensions_from(text: str) -> tuple[int, int, int]:
    """``"512,512,300"`` -> numbers of voxels along i, j, k."""
    dimensions = tuple(int(n) for n in numbers(text, 3, "--size"))
    if min(dimensions) < 8:
        raise typer.BadParameter("needs at least 8 voxels along each axis.", param_hint="--size")
    return dimensions


def label_value(text: str | None) -> int | str | None:
    """What ``--value`` means: a number, every label for "all", None for no choice."""
    if text is None:
        return None
    if text.strip().lower() == "all":
        from ..mrml.masks import EVERY_LABEL

        return EVERY_LABEL
    if not text.strip().isdecimal():
        raise typer.BadParameter("must be a label's number, or all.", param_hint="--value")
    return int(text)
