"""Errors whose message is one line that a user can act on. Logic raises them; the command line and the widget show them."""

from __future__ import annotations


class MultiverSegError(Exception):
    """What went wrong, with which file or node, and what to do about it."""


class VolumeError(MultiverSegError):
    """A volume can't be read or is not a scalar 3D image."""


class SegmentationError(MultiverSegError):
    """A segmentation or one of its segments is missing, empty or can't be written."""


class PromptError(MultiverSegError):
    """Prompts are missing, malformed or miss the image."""


class ContextError(MultiverSegError):
    """A context folder or archive is damaged, foreign, or of another image size."""


class CohortError(MultiverSegError):
    """A cohort folder is damaged, of a newer version, held by someone else, or lacks the case asked for."""


class CheckpointError(MultiverSegError):
    """A checkpoint is missing, damaged, of another architecture, or not safe to load."""


class DeviceError(MultiverSegError):
    """The requested device is not available or ran out of memory with no fall-back left."""


class Cancelled(MultiverSegError):
    """The caller cancelled; nothing was written."""
