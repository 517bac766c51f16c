"""Examples and results as small pictures with a line of text."""

from __future__ import annotations

import numpy as np
import qt
from slicer.i18n import tr as _

THUMBNAIL = 72


def tooltip(example) -> str:
    return _("Case {case}, structure {structure}, {axis} slice, {date}, {model}").format(
        case=example.case, structure=example.structure, axis=example.axis or _("oblique"), date=example.date, model=example.model
    )


def thumbnail(example, size: int = THUMBNAIL):
    """QIcon of an example (or whatever has an ``image`` and a ``mask``): its image in grey, the outline of its mask in green."""
    grey = np.clip(np.asarray(example.image) * 255, 0, 255).astype(np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    if example.mask is not None:
        mask = np.asarray(example.mask) > 0
        inner = mask.copy()
        for axis in (0, 1):
            for shift in (-1, 1):
                inner &= np.roll(mask, shift, axis)
        rgb[mask & ~inner] = (46, 204, 113)
    height, width = rgb.shape[:2]
    header = f"P6 {width} {height} 255\n".encode()
    pixmap = qt.QPixmap()
    pixmap.loadFromData(qt.QByteArray(header + np.ascontiguousarray(rgb).tobytes()), "PPM")
    return qt.QIcon(pixmap.scaled(size, size))
