"""The visible part of the Segment Editor: selectors, segment list, effect buttons, the active effect's options, masking."""

from __future__ import annotations

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .mrmlwidgets import observe, qMRMLNodeComboBox

_MASKS = ("Everywhere", "Inside all segments", "Inside all visible segments", "Outside all segments", "Outside all visible segments")
_MASK_MODES = (
    "EditAllowedEverywhere",
    "EditAllowedInsideAllSegments",
    "EditAllowedInsideVisibleSegments",
    "EditAllowedOutsideAllSegments",
    "EditAllowedOutsideVisibleSegments",
)


class EditorPanel:
    """Builds the widgets into `owner`, a qMRMLSegmentEditorWidget, and keeps them in step with the parameter node."""

    def __init__(self, owner):
        self._owner, self._stop = owner, []
        layout = QtWidgets.QVBoxLayout(owner)
        layout.setContentsMargins(0, 0, 0, 0)
        self._selectors = {}
        form = QtWidgets.QFormLayout()
        layout.addLayout(form)
        for key, label, kind in (
            ("segmentation", "Segmentation:", "vtkMRMLSegmentationNode"),
            ("volume", "Source volume:", "vtkMRMLScalarVolumeNode"),
        ):
            box = qMRMLNodeComboBox()
            box.setObjectName("SegmentationNodeComboBox" if key == "segmentation" else "SourceVolumeNodeComboBox")
            box.nodeTypes, box.noneEnabled = [kind], True
            form.addRow(label, box)
            self._selectors[key] = (box, form.labelForField(box))
        self._selectors["volume"][0].hideChildNodeTypes = ["vtkMRMLLabelMapVolumeNode"]
        self._selectors["segmentation"][0].currentNodeChanged.connect(lambda node: self._picked(owner.setSegmentationNode, node))
        self._selectors["volume"][0].currentNodeChanged.connect(lambda node: self._picked(owner.setSourceVolumeNode, node))
        self._buttons(layout)
        self._table = QtWidgets.QTableWidget(0, 2)
        self._table.setHorizontalHeaderLabels(["", "Name"])
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.verticalHeader().hide()
        self._table.setColumnWidth(0, 28)
        self._table.setMaximumHeight(110)
        self._table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.SingleSelection)
        self._table.itemSelectionChanged.connect(self._row_picked)
        layout.addWidget(self._table)
        self._effects_box = QtWidgets.QGroupBox("Effects")
        self._effect_row = QtWidgets.QHBoxLayout(self._effects_box)
        self._effect_buttons, self._frames = {}, {}
        self._group = QtWidgets.QButtonGroup(owner)
        layout.addWidget(self._effects_box)
        self._options = QtWidgets.QGroupBox()
        self._options.setVisible(False)
        self._options_layout = QtWidgets.QVBoxLayout(self._options)
        self._help = QtWidgets.QLabel()
        self._help.setWordWrap(True)
        self._help.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
        self._options_layout.addWidget(self._help)
        layout.addWidget(self._options)
        self._masking(layout)
        layout.addStretch(1)

    def _buttons(self, layout):
        row = QtWidgets.QHBoxLayout()
        layout.addLayout(row)
        self.add, self.remove, self.undo, self.redo = (QtWidgets.QPushButton(t) for t in ("+ Add", "– Remove", "Undo", "Redo"))
        for button, function in (
            (self.add, self._add_segment),
            (self.remove, self._remove_segment),
            (self.undo, self._owner.undo),
            (self.redo, self._owner.redo),
        ):
            row.addWidget(button)
            button.clicked.connect(lambda _=False, f=function: f())

    def _masking(self, layout):
        self._mask_box = QtWidgets.QGroupBox("Masking")
        self._mask_box.setVisible(False)
        form = QtWidgets.QFormLayout(self._mask_box)
        self._mask, self._overwrite = QtWidgets.QComboBox(), QtWidgets.QComboBox()
        for box in (self._mask, self._overwrite):
            box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._mask.addItems(_MASKS)
        self._overwrite.addItems(["All segments", "Visible segments", "None"])
        form.addRow("Editable area:", self._mask)
        form.addRow("Modify other segments:", self._overwrite)
        self._mask.activated.connect(
            lambda i: self._owner.mrmlSegmentEditorNode().SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, _MASK_MODES[i]))
        )
        self._overwrite.activated.connect(lambda i: self._owner.mrmlSegmentEditorNode().SetOverwriteMode(i))
        layout.addWidget(self._mask_box)

    def _picked(self, setter, node):
        if not self._owner._updating:
            setter(node)

    # ---- segments ----
    def _add_segment(self):
        segmentation = self._owner.segmentationNode()
        if segmentation is not None:
            self._owner.setCurrentSegmentID(segmentation.GetSegmentation().AddEmptySegment())

    def _remove_segment(self):
        segmentation, segment_id = self._owner.segmentationNode(), self._owner.currentSegmentID()
        if segmentation is not None and segment_id:
            segmentation.GetSegmentation().RemoveSegment(segment_id)

    def observe_segmentation(self, node):
        while self._stop:
            self._stop.pop()()
        if node is None:
            return
        segmentation = node.GetSegmentation()
        for event in ("SegmentAdded", "SegmentRemoved", "SegmentModified"):
            self._stop.append(observe(segmentation, getattr(slicer.vtkSegmentation, event), lambda *_: self._segments_changed()))

    def _segments_changed(self):
        node = self._owner.mrmlSegmentEditorNode()
        segmentation = node.GetSegmentationNode() if node else None
        ids = list(segmentation.GetSegmentation().GetSegmentIDs()) if segmentation else []
        if node is not None and (node.GetSelectedSegmentID() or "") not in ids:
            node.SetSelectedSegmentID(ids[0] if ids else "")
        self._fill_table(node)

    def _fill_table(self, node):
        segmentation = node.GetSegmentationNode().GetSegmentation() if node and node.GetSegmentationNode() else None
        ids = list(segmentation.GetSegmentIDs()) if segmentation else []
        self._table.blockSignals(True)
        self._table.setRowCount(len(ids))
        for row, segment_id in enumerate(ids):
            segment = segmentation.GetSegment(segment_id)
            swatch = QtWidgets.QTableWidgetItem()
            swatch.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            self._table.setItem(row, 0, swatch)
            item = QtWidgets.QTableWidgetItem(segment.GetName())
            item.setData(QtCore.Qt.ItemDataRole.UserRole, segment_id)
            self._table.setItem(row, 1, item)
            if segment_id == node.GetSelectedSegmentID():
                self._table.selectRow(row)
        self._table.blockSignals(False)

    def _row_picked(self):
        row = self._table.currentRow()
        if row >= 0 and self._table.item(row, 1) is not None:
            self._owner.setCurrentSegmentID(self._table.item(row, 1).data(QtCore.Qt.ItemDataRole.UserRole))

    # ---- selectors ----
    def set_scene(self, scene):
        self._owner._updating = True
        for box, _ in self._selectors.values():
            box.setMRMLScene(scene)
        self._owner._updating = False

    def selected(self, key):
        """What the selector shows, which is not what the node holds while the scene is in a batch."""
        return self._selectors[key][0].currentNode()

    def _visible(self, key):
        return not self._selectors[key][0].isHidden()

    def _set_visible(self, key, on):
        for widget in self._selectors[key]:
            widget.setVisible(on)

    def segmentation_visible(self):
        return self._visible("segmentation")

    def set_segmentation_visible(self, on):
        self._set_visible("segmentation", on)

    def volume_visible(self):
        return self._visible("volume")

    def set_volume_visible(self, on):
        self._set_visible("volume", on)

    # ---- effects ----
    def add_effect(self, effect):
        button = QtWidgets.QToolButton()
        button.setObjectName(effect.name)
        button.setText(effect.title)
        button.setToolTip(effect.title)
        button.setCheckable(True)
        button.setIcon(effect.icon())
        button.setIconSize(QtCore.QSize(24, 24))
        button.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.clicked.connect(lambda on: self._owner.setActiveEffect(effect if on else None))
        self._effect_buttons[effect] = button
        self._effect_row.addWidget(button)
        frame = effect.optionsFrame()
        frame.setVisible(False)
        self._options_layout.addWidget(frame)

    def order_effects(self, effects):
        for effect, button in self._effect_buttons.items():
            button.setVisible(effect in effects)
        for effect in effects:
            self._effect_row.removeWidget(self._effect_buttons[effect])
            self._effect_row.addWidget(self._effect_buttons[effect])

    def show_effect(self, effect):
        self._options.setVisible(effect is not None)
        self._mask_box.setVisible(effect is not None)
        self._options.setTitle(effect.title if effect else "")
        text = effect.helpText() if effect else ""  # ctkFittedTextBrowser shows what stands before the first line break
        self._help.setText(text.split("<br>")[0] + ' <a href="#more">Show details.</a></html>' if "<br>" in text else text)
        for known, button in self._effect_buttons.items():
            button.setChecked(known is effect)

    def update(self, node, effects):
        self._selectors["segmentation"][0].setCurrentNode(node.GetSegmentationNode())
        self._selectors["volume"][0].setCurrentNode(node.GetSourceVolumeNode())
        self._fill_table(node)
        enabled = node.GetSourceVolumeNode() is not None and not self._owner.readOnly
        self._effects_box.setEnabled(enabled)
        self._options.setEnabled(enabled)
        for effect in effects:
            self._effect_buttons[effect].setEnabled(not effect.requireSegments or bool(node.GetSelectedSegmentID()))
        self._overwrite.setCurrentIndex(node.GetOverwriteMode())
        modes = [getattr(slicer.vtkMRMLSegmentationNode, name) for name in _MASK_MODES]
        self._mask.setCurrentIndex(modes.index(node.GetMaskMode()) if node.GetMaskMode() in modes else 0)

    def update_undo(self, logic):
        self.undo.setEnabled(bool(logic.CanUndo()))
        self.redo.setEnabled(bool(logic.CanRedo()))
