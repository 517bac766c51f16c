"""Keeps the prompts of a segment in a tag of that segment.

So they are saved and loaded with the segmentation, vanish with the segment, and Slicer's own undo restores prompts and result
together, because the undo history of the Segment Editor copies a segment's tags with its voxels.
"""

from __future__ import annotations

import base64
import json
import zlib

import vtk

from ..core.errors import PromptError
from ..core.prompts import Prompts

TAG = "MultiverSegPrompt.Prompts"


def normalized(prompts: Prompts) -> Prompts:
    """The prompts as they will be read back: coordinates to 0.001 mm."""
    return Prompts.from_json(_rounded(prompts.to_json()))


def encode(prompts: Prompts) -> str:
    """Text without ``|`` (which would cut a tag short when it is written to a file)."""
    text = json.dumps(_rounded(prompts.to_json()), separators=(",", ":"))
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode()


def decode(text: str) -> Prompts:
    """Inverse of ``encode`` (coordinates to 0.001 mm).

    Raises:
        PromptError: the text is damaged.
    """
    try:
        return Prompts.from_json(json.loads(zlib.decompress(base64.urlsafe_b64decode(text.encode()))))
    except (ValueError, zlib.error) as error:
        raise PromptError(f"The prompts saved with the segment are damaged ({error}): clear them (R) and place them again.") from error


def load(segmentation_node, segment_id: str) -> Prompts:
    """The prompts of a segment; none if there is no such segment or its tag is damaged."""
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id) if segmentation_node and segment_id else None
    value = vtk.reference("")
    if segment is None or not segment.GetTag(TAG, value) or not str(value):
        return Prompts()
    try:
        return decode(str(value))
    except PromptError:
        return Prompts()


def save(segmentation_node, segment_id: str, prompts: Prompts) -> None:
    """Write (or, when empty, remove) the prompts of a segment and tell its observers."""
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        return
    if len(prompts):
        segment.SetTag(TAG, encode(prompts))
    else:
        segment.RemoveTag(TAG)
    segment.Modified()


def _rounded(value):
    if isinstance(value, float):
        return round(value, 3) if abs(value) > 1 else round(value, 9)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, (list, tuple)) else value
