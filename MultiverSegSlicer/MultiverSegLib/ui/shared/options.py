"""The options of the effect, their defaults, and what they mean to the engine. Values live in the editor's parameter node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.imaging import ImageSettings

EFFECT_NAME = "MultiverSegPrompt"

#: Parameter -> default. Strings and numbers only, so that a saved scene restores them. Slicer keeps no empty text: such a parameter is
#: undefined until it is set to something, and reading it before is an error. ``Axis``: along which slices of the structure are cut, where
#: the module's panel says so.
DEFAULTS: dict[str, str | int | float] = {
    "Tool": "point",
    "Sign": "+",
    "LiveUpdate": 1,
    "Threshold": 0.5,
    "Structure": "",
    "Axis": "",
    "Selection": "most_similar",
    "Cap": 8,
    "Window": "minmax",
    "FieldOfView": "whole",
    "FieldOfViewMm": 160.0,
}

#: Node reference: the ROI of the field of view "roi".
ROI_REFERENCE = "FieldOfViewROI"


def read(effect, name: str) -> str:
    """The text of a parameter of the effect (a qSlicerSegmentEditorScriptedEffect); its default where it was never set."""
    return effect.parameter(name) if effect.parameterDefined(name) else str(DEFAULTS.get(name, ""))


def set_defaults(effect) -> None:
    """Define the parameters that are not defined yet."""
    for name, value in DEFAULTS.items():
        if value != "":
            effect.setParameterDefault(name, value)


@dataclass(frozen=True)
class PredictionOptions:
    """What a prediction needs to be told: how examples are chosen and how many at most, and the probability from which a pixel is inside."""

    strategy: str
    cap: int
    threshold: float


def prediction_options(option: Callable[[str], str]) -> PredictionOptions:
    """The options of a prediction; ``option`` returns the text of a parameter (see ``read``)."""
    return PredictionOptions(option("Selection"), int(option("Cap")), float(option("Threshold")))


def image_settings(option, roi_node, volume_node) -> ImageSettings:
    """The engine's settings for these options.

    Args:
        option: name -> text, e.g. the effect's ``parameter``.
        roi_node: a vtkMRMLMarkupsROINode or None.
        volume_node: whose display window "display" means.
    """
    from ...core.imaging import ImageSettings

    scaling, window, percentiles = _scaling(option("Window") or "minmax", volume_node)
    field, extra = option("FieldOfView") or "whole", {}
    if field == "fixed":
        extra["fov_mm"] = float(option("FieldOfViewMm") or DEFAULTS["FieldOfViewMm"])
    elif field == "roi" and roi_node is not None:
        centre, size = [0.0] * 3, [0.0] * 3
        roi_node.GetCenterWorld(centre)
        roi_node.GetSizeWorld(size)
        extra["roi"] = (tuple(centre), tuple(size))
    else:
        field = "whole"
    return ImageSettings(scaling=scaling, window=window, percentiles=percentiles, field_of_view=field, **extra)


def _scaling(choice: str, volume_node):
    from ...core.imaging import CT_PRESETS

    percentiles = (0.5, 99.5)
    if choice in CT_PRESETS:
        return "window", CT_PRESETS[choice], percentiles
    if choice == "display" and volume_node is not None and volume_node.GetDisplayNode() is not None:
        display = volume_node.GetDisplayNode()
        level, width = display.GetLevel(), max(display.GetWindow(), 1e-6)
        return "window", (level - width / 2, level + width / 2), percentiles
    if choice == "percentiles":
        return "percentiles", None, percentiles
    return "minmax", None, percentiles
