"""What a prediction is for, and what becomes of it while it is computed. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import slicer

from ...core.errors import VolumeError
from ...core.prompts import Prompt, Prompts
from ...engine.slice_session import SliceSession
from ...mrml.slice_plane import SlicePlane
from ...mrml.volumes import ijk_to_ras, local_to_world


@dataclass(frozen=True)
class Target:
    """The nodes and the segment of a prediction."""

    volume: Any
    segmentation: Any
    segment_id: str

    @property
    def segment(self) -> Any:
        return self.segmentation.GetSegmentation().GetSegment(self.segment_id)

    @property
    def alive(self) -> bool:
        """Whether all of it is still in one scene."""
        scene = self.segmentation.GetScene()
        return scene is not None and self.volume.GetScene() is scene and self.segment is not None

    def voxels(self) -> int:
        """A number that changes when somebody writes the segment's voxels."""
        labelmap = self.segment.GetRepresentation(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
        return labelmap.GetMTime() if labelmap is not None else 0

    def state(self) -> tuple:
        """Something that changes when the volume shows another image (another frame of a sequence, say) or one of the nodes is moved."""
        image = self.volume.GetImageData()
        try:
            places = (ijk_to_ras(self.volume).tobytes(), local_to_world(self.segmentation).tobytes())
        except VolumeError:  # under a transform that bends: the request says so
            places = ()
        return (image.GetMTime() if image is not None else 0, *places)


@dataclass(frozen=True)
class Ask:
    """A prediction that is wanted on a plane.

    ``undoable``: the state before it is the newest in the editor's history already. ``added``: prompts that came while another slice was being
    predicted; the state before them is not in the history yet.
    """

    target: Target
    plane: SlicePlane
    slice_node: Any
    undoable: bool = False
    added: tuple[Prompt, ...] = ()

    def held(self, prompts: Prompts) -> tuple[Prompt, ...]:
        """Those of ``prompts`` that lie on the plane."""
        return tuple(p for p in prompts if self.plane.holds(p))

    def merged(self, other: Ask) -> Ask:
        """This and an older one of the same plane, of which nothing was written, as one step of the history."""
        return replace(self, undoable=self.undoable or other.undoable, added=(*other.added, *self.added))


@dataclass
class AskInFlight:
    """One prediction in flight: what was asked, and how everything was then."""

    ask: Ask
    session: SliceSession
    request: Any
    held: tuple[Prompt, ...]
    voxels: int
    state: tuple
    ticket: Any = None

    def cancel(self) -> None:
        """Nothing of it is written."""
        self.session.cancel()
        if self.ticket is not None:
            self.ticket.cancel()
