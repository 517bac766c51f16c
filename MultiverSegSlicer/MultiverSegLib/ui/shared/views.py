"""Which slice view a key or a button means that names none."""

from __future__ import annotations

from typing import Any

import slicer

_FIRST = ("Red", "Green", "Yellow")


def shown_slice_nodes() -> list[Any]:
    """The slice nodes of the views in the layout; Red, Green and Yellow first, then by name.

    Slicer lists every view there has ever been, in no order.
    """
    manager = slicer.app.layoutManager()
    names = manager.sliceViewNames() if manager is not None else ()
    nodes = [manager.sliceWidget(name).mrmlSliceNode() for name in names]
    return sorted((node for node in nodes if is_shown(node)), key=_place)


def is_shown(node: Any) -> bool:
    """Whether a slice node is in its scene and its view in the layout."""
    return node is not None and node.GetScene() is not None and bool(node.IsMappedInLayout())


def has_axis(node: Any, axis: str) -> bool:
    """Whether a slice node shows slices along ``axis``: "axial", "coronal" or "sagittal"."""
    return bool(axis) and node.GetOrientation() == axis.capitalize()


def choose_slice_node(worked_on: Any, axis: str, pointed: str) -> Any:
    """The view to act on; None if no slice view is shown.

    Args:
        worked_on: the slice node that was clicked in last, or None.
        axis: of the structure; "" if it has none.
        pointed: the id of the slice node that the pointer was over last; "" if there was none.

    The view worked on, as long as it is shown; else one of the structure's axis, and of several the one under the pointer.
    """
    if is_shown(worked_on):
        return worked_on
    nodes = shown_slice_nodes()
    return min(nodes, key=lambda node: (not has_axis(node, axis), node.GetID() != pointed), default=None)


def _place(node: Any) -> tuple[int, str]:
    name = node.GetLayoutName() or ""
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)
