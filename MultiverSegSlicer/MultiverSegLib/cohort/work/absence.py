"""The example that a case gives in which a structure is not there: the slice where one would look for it, with an empty mask. Main thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...core.context.example import Example
from ...core.grid import GRID_SHAPE, GRID_SIZE
from ...engine.find_slice import find_slice
from ...mrml.axes import axis_number
from ...mrml.slice_plane import SlicePlane
from ...mrml.volumes import dimensions_of

if TYPE_CHECKING:
    from .open_case import OpenCase


def example_of_absence(work: OpenCase, structure: str) -> Example:
    """The empty example of a structure that is not in the open case's volume.

    Its slice is the proposal's; without one that which looks most like the other cases' examples; without these the middle of the volume.
    """
    nodes, settings = work.nodes, work.settings(structure)
    axis = nodes.axis(structure)
    count = dimensions_of(nodes.volume)[axis_number(axis)]
    index = work.cohort.case(work.case_id).work(structure).proposal.get("index")
    others = work.contexts.others(structure, work.case_id)

    def plane(number: int) -> SlicePlane:
        return SlicePlane.from_volume(nodes.volume, axis, number, settings).at(GRID_SIZE)

    if index is None or not 0 <= int(index) < count:
        index = find_slice(lambda n: plane(n).sample(nodes.volume, settings), count, others).index if others else count // 2
    chosen = plane(int(index))
    return Example(
        image=chosen.sample(nodes.volume, settings),
        mask=np.zeros(GRID_SHAPE, np.uint8),
        case=work.case_id,
        structure=structure,
        axis=axis,
        grid_to_ras=chosen.grid_to_ras,
        settings=settings,
        model=work.cohort.case(work.case_id).work(structure).model,
    )
