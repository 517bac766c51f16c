"""Draws the icons of the module and the effect: ``QT_QPA_PLATFORM=offscreen python Testing/make_icons.py``.

The mark: a slice with a segmented structure, its positive prompt, and behind it the slices of the cohort it learns from.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtGui, QtWidgets

SIZE = 128
ICONS = Path(__file__).resolve().parent.parent / "Resources" / "Icons"
#: Line colour by theme, so that the mark shows on light and on dark panels.
LINE = {"": "#2b3a4a", "-dark": "#dfe7ef"}
SLICE = {"": "#ffffff", "-dark": "#33414f"}


def _organ() -> QtGui.QPainterPath:
    path = QtGui.QPainterPath(QtCore.QPointF(40, 62))
    path.cubicTo(38, 40, 66, 32, 82, 44)
    path.cubicTo(98, 56, 96, 78, 78, 82)
    path.cubicTo(66, 85, 62, 76, 54, 84)
    path.cubicTo(44, 92, 42, 76, 40, 62)
    return path


def _slice(painter: QtGui.QPainter, x: float, y: float, fill: str, line: str, opacity: float) -> None:
    painter.setOpacity(opacity)
    painter.setPen(QtGui.QPen(QtGui.QColor(line), 4))
    painter.setBrush(QtGui.QColor(fill))
    painter.drawRoundedRect(QtCore.QRectF(x, y, 84, 84), 10, 10)
    painter.setOpacity(1)


def draw(theme: str, effect: bool) -> QtGui.QImage:
    """The module's icon, or the effect's (one slice with a stroke, nothing behind it)."""
    image = QtGui.QImage(SIZE, SIZE, QtGui.QImage.Format_ARGB32)
    image.fill(QtCore.Qt.transparent)
    painter = QtGui.QPainter(image)
    painter.setRenderHint(QtGui.QPainter.Antialiasing)
    line, fill = LINE[theme], SLICE[theme]
    if not effect:
        _slice(painter, 38, 6, fill, line, 0.45)
        _slice(painter, 28, 16, fill, line, 0.7)
    painter.translate(*((0, 0) if effect else (-6, 12)))
    frame = QtCore.QRectF(14, 14, 100, 100) if effect else QtCore.QRectF(22, 18, 84, 84)
    painter.setPen(QtGui.QPen(QtGui.QColor(line), 4))
    painter.setBrush(QtGui.QColor(fill))
    painter.drawRoundedRect(frame, 10, 10)
    if effect:
        painter.translate(64, 64)
        painter.scale(1.35, 1.35)
        painter.translate(-68, -62)
    painter.setPen(QtGui.QPen(QtGui.QColor("#1f9d61"), 5))
    painter.setBrush(QtGui.QColor(46, 204, 113, 150))
    painter.drawPath(_organ())
    if effect:
        painter.setPen(QtGui.QPen(QtGui.QColor("#ffffff"), 6, QtCore.Qt.SolidLine, QtCore.Qt.RoundCap))
        painter.drawPolyline([QtCore.QPointF(52, 66), QtCore.QPointF(60, 58), QtCore.QPointF(72, 60), QtCore.QPointF(80, 54)])
        painter.setPen(QtGui.QPen(QtGui.QColor("#e74c3c"), 13, QtCore.Qt.SolidLine, QtCore.Qt.RoundCap))
        painter.drawPoint(QtCore.QPointF(95, 87))
    else:
        painter.setPen(QtGui.QPen(QtGui.QColor("#ffffff"), 6, QtCore.Qt.SolidLine, QtCore.Qt.RoundCap))
        painter.drawLine(QtCore.QPointF(68, 50), QtCore.QPointF(68, 70))
        painter.drawLine(QtCore.QPointF(58, 60), QtCore.QPointF(78, 60))
    painter.end()
    return image


def thumbnails() -> None:
    """Pictures of the sample data, 260 x 280: of each cohort one volume, and a mosaic of several, with the labels outlined."""
    for folder, axis, one, several in (
        ("SampleCohort", 1, "SampleHippocampus", "SampleCohort"),
        ("SampleHeart", 0, "SampleHeart", "SampleHearts"),
    ):
        cohort = ICONS.parent / folder
        tiles = [_tile(path, cohort / "labels" / path.name, axis) for path in sorted((cohort / "images").glob("*.nii.gz"))]
        _mosaic(one, tiles, 1, 1)
        _mosaic(several, tiles, 3, 3)


def _mosaic(name: str, tiles: list[QtGui.QImage], columns: int, rows: int) -> None:
    image = QtGui.QImage(260, 280, QtGui.QImage.Format_RGB32)
    image.fill(QtCore.Qt.black)
    painter = QtGui.QPainter(image)
    width, height = 260 // columns, 280 // rows
    for index in range(columns * rows):
        scaled = tiles[index].scaled(width - 4, height - 4, QtCore.Qt.KeepAspectRatio, QtCore.Qt.SmoothTransformation)
        x = (index % columns) * width + (width - scaled.width()) // 2
        painter.drawImage(x, (index // columns) * height + (height - scaled.height()) // 2, scaled)
    painter.end()
    image.save(str(ICONS / f"{name}.png"))


def _tile(image_path: Path, label_path: Path, axis: int) -> QtGui.QImage:
    """The slice with most of the label along the array axis, the last row on top."""
    import numpy as np
    import SimpleITK as sitk

    volume = sitk.GetArrayFromImage(sitk.ReadImage(str(image_path))).astype(float)
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(label_path))) > 0
    index = int(label.sum(tuple(other for other in range(3) if other != axis)).argmax())
    grey, mask = volume.take(index, axis)[::-1], label.take(index, axis)[::-1]
    scale = max(1, 210 // max(grey.shape))
    grey = np.clip((grey - grey.min()) / max(np.percentile(grey, 99.5) - grey.min(), 1e-6), 0, 1) * 255
    rgb = np.repeat(np.kron(grey, np.ones((scale, scale)))[..., None], 3, 2).astype(np.uint8)
    mask = np.kron(mask, np.ones((scale, scale))).astype(bool)
    inner = mask.copy()
    for axis in (0, 1):
        for shift in (-2, 2):
            inner &= np.roll(mask, shift, axis)
    rgb[mask & ~inner] = (46, 204, 113)
    rgb = np.ascontiguousarray(rgb)
    return QtGui.QImage(rgb.data, rgb.shape[1], rgb.shape[0], 3 * rgb.shape[1], QtGui.QImage.Format_RGB888).copy()


def main() -> None:
    _application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    ICONS.mkdir(parents=True, exist_ok=True)
    for theme in LINE:
        draw(theme, effect=False).save(str(ICONS / f"MultiverSegSlicer{theme}.png"))
        draw(theme, effect=True).save(str(ICONS / f"MultiverSegPrompt{theme}.png"))
    thumbnails()


if __name__ == "__main__":
    main()
