"""The options frame of the effect: shows the parameters of the editor node and changes them; keeps nothing itself."""

from __future__ import annotations

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from ..shared import options
from ..shared.widgets import button, choose, choose_or_add, combo, described

#: A prediction that takes longer shows that it is being computed; the moving bar has the window composed anew for each of its frames.
BUSY_AFTER_MS = 150


class EffectOptions:
    """``effect``: the MultiverSegPromptEffect whose parameters are shown. ``widget``: the frame to add to the editor."""

    def __init__(self, effect) -> None:
        self.effect = effect
        self._updating = False
        self._connections: list[tuple] = []
        self.widget = qt.QWidget()
        self.widget.setObjectName("multiverSegOptions")
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._tools())
        layout.addLayout(self._actions())
        self.busyBar = described(qt.QProgressBar(), _("A prediction is being computed."), _("Busy"))
        self.busyBar.setRange(0, 0)
        self.busyBar.setTextVisible(False)
        self.busyBar.setMaximumHeight(6)
        self.busyBar.setVisible(False)
        policy = self.busyBar.sizePolicy
        policy.setRetainSizeWhenHidden(True)  # nothing moves when it comes and goes
        self.busyBar.setSizePolicy(policy)
        layout.addWidget(self.busyBar)
        self.statusLabel = described(qt.QLabel(), _("Model, device, number of examples and time of the last prediction."), _("Status"))
        self.statusLabel.setWordWrap(True)
        layout.addWidget(self.statusLabel)
        layout.addWidget(self._more())
        self._patience = qt.QTimer()
        self._patience.setSingleShot(True)
        self._patience.setInterval(BUSY_AFTER_MS)
        self._connect(self._patience, "timeout()", lambda: self._show(self.effect.presenter.status()))

    # Building

    def _tools(self):
        row = qt.QHBoxLayout()
        self.toolButtons = {}
        group = qt.QButtonGroup(self.widget)
        texts = {
            "point": (_("Point"), "P", _("Click: a point. Drag: a scribble.")),
            "scribble": (_("Scribble"), "S", _("Every press draws, also a short one.")),
            "box": (_("Box"), "B", _("Drag a box around the structure; the tool then goes back to points.")),
        }
        for tool, (text, key, tip) in texts.items():
            self.toolButtons[tool] = button(text, f"{tip} ({key})", text, checkable=True)
            self._connect(self.toolButtons[tool], "clicked()", lambda tool=tool: self.effect.setTool(tool))
            group.addButton(self.toolButtons[tool])
            row.addWidget(self.toolButtons[tool])
        self.signButton = button("+", "", _("Sign of the prompts"))
        self._connect(self.signButton, "clicked()", self.effect.toggleSign)
        row.addWidget(self.signButton)
        return row

    def _actions(self):
        row = qt.QHBoxLayout()
        actions = (
            ("runButton", _("Run"), _("Predict the slice now (M)."), self.effect.run),
            ("clearButton", _("Clear"), _("Remove the prompts of this slice; the segment stays (R)."), self.effect.clear),
            ("acceptButton", _("Accept"), _("The structure is done here: its largest slice becomes an example (E)."), self.effect.accept),
            ("cancelButton", _("Cancel"), _("Stop the prediction; nothing is written (Esc)."), self.effect.cancel),
        )
        for name, text, tip, command in actions:
            setattr(self, name, button(text, tip, text))
            self._connect(getattr(self, name), "clicked()", command)
            row.addWidget(getattr(self, name))
        return row

    def _more(self):
        box = ctk.ctkCollapsibleGroupBox()
        box.setTitle(_("Options"))
        box.collapsed = True
        form = qt.QFormLayout(box)
        self.liveCheckBox = described(qt.QCheckBox(), _("Predict after every prompt. Off: only with Run (M)."), _("Live update"))
        self.structureComboBox = combo(_("Whose examples the network sees. Empty: the structure named like the segment."), _("Structure"))
        self.structureComboBox.setEditable(True)
        self.selectionComboBox = combo(
            _("Which examples are shown to the network when there are more than the limit."), _("Selection of examples")
        )
        self.capSpinBox = described(qt.QSpinBox(), _("At most this many examples per prediction: more are slower."), _("Limit of examples"))
        self.capSpinBox.setRange(0, 64)
        self.thresholdSlider = described(
            ctk.ctkSliderWidget(), _("Probability from which a pixel belongs to the structure."), _("Threshold")
        )
        self.thresholdSlider.minimum, self.thresholdSlider.maximum = 0.05, 0.95
        self.thresholdSlider.singleStep, self.thresholdSlider.decimals = 0.05, 2
        self.windowComboBox = combo(_("Which intensities the network sees. For CT choose the window of the organ."), _("Image window"))
        self.fovComboBox = combo(
            _("The part of the slice that is given to the network: small structures need a small one."), _("Field of view")
        )
        self.fovSpinBox = described(qt.QDoubleSpinBox(), _("Side of the fixed field of view."), _("Side of the field of view"))
        self.fovSpinBox.setRange(5.0, 1000.0)
        self.fovSpinBox.setSuffix(" mm")
        self.roiSelector = described(slicer.qMRMLNodeComboBox(), _("The region of interest."), _("Region of interest"))
        self.roiSelector.nodeTypes = ["vtkMRMLMarkupsROINode"]
        self.roiSelector.addEnabled = True
        self.roiSelector.noneEnabled = True
        self.roiSelector.setMRMLScene(slicer.mrmlScene)
        for label, field in (
            (_("Live update:"), self.liveCheckBox),
            (_("Structure:"), self.structureComboBox),
            (_("Examples:"), self.selectionComboBox),
            (_("At most:"), self.capSpinBox),
            (_("Threshold:"), self.thresholdSlider),
            (_("Window:"), self.windowComboBox),
            (_("Field of view:"), self.fovComboBox),
            (_("Side:"), self.fovSpinBox),
            (_("Region:"), self.roiSelector),
        ):
            form.addRow(label, field)
        self._fill()
        self._connect_controls()
        return box

    def _fill(self) -> None:
        for number, (text, value, help_text) in enumerate(selections()):
            self.selectionComboBox.addItem(text, value)
            self.selectionComboBox.setItemData(number, help_text, qt.Qt.ToolTipRole)
        for text, value in windows():
            self.windowComboBox.addItem(text, value)
        for text, value in ((_("Whole slice"), "whole"), (_("Fixed size"), "fixed"), (_("Region of interest"), "roi")):
            self.fovComboBox.addItem(text, value)

    def _connect(self, widget, signal: str, receiver) -> None:
        widget.connect(signal, receiver)
        self._connections.append((widget, signal, receiver))

    def close(self) -> None:
        """The effect is about to be destroyed. Slicer keeps what is connected to a widget alive as long as that."""
        for widget, signal, receiver in self._connections:
            widget.disconnect(signal, receiver)
        self._connections.clear()

    def _connect_controls(self) -> None:
        """Each control writes its own parameter and no other."""
        self._connect(self.liveCheckBox, "toggled(bool)", lambda checked: self._set("LiveUpdate", 1 if checked else 0))
        for box, name in ((self.selectionComboBox, "Selection"), (self.windowComboBox, "Window"), (self.fovComboBox, "FieldOfView")):
            self._connect(box, "currentIndexChanged(int)", lambda index, box=box, name=name: self._set(name, str(box.itemData(index))))
        self._connect(self.structureComboBox.lineEdit(), "editingFinished()", self._set_structure)
        self._connect(self.structureComboBox, "activated(int)", lambda index: self._set_structure())
        self._connect(self.capSpinBox, "valueChanged(int)", lambda value: self._set("Cap", int(value)))
        self._connect(self.thresholdSlider, "valueChanged(double)", lambda value: self._set("Threshold", float(value)))
        self._connect(self.fovSpinBox, "valueChanged(double)", lambda value: self._set("FieldOfViewMm", float(value)))
        self._connect(self.roiSelector, "currentNodeChanged(vtkMRMLNode*)", self._set_roi)

    def _set_structure(self) -> None:
        self._set("Structure", self.structureComboBox.currentText.strip())

    def _set(self, name: str, value) -> None:
        effect = self.effect.scriptedEffect
        if not self._updating and effect.parameterSetNode() is not None:
            effect.setParameter(name, value)

    def _set_roi(self, node) -> None:
        effect = self.effect.scriptedEffect
        if not self._updating and effect.parameterSetNode() is not None:
            effect.setNodeReference(options.ROI_REFERENCE, node)

    # Parameters

    def update_from_parameters(self) -> None:
        effect = self.effect.scriptedEffect
        if effect.parameterSetNode() is None:
            return
        option = self.effect.option
        self._updating = True
        try:
            for tool, tool_button in self.toolButtons.items():
                tool_button.checked = tool == option("Tool")
            negative = option("Sign") == "-"
            self.signButton.text = "−" if negative else "+"
            self.signButton.toolTip = (
                (_("Prompts are negative.") if negative else _("Prompts are positive."))
                + " "
                + _("Toggle: T; Ctrl turns it for one prompt.")
            )
            self.liveCheckBox.checked = option("LiveUpdate") != "0"
            choose_or_add(self.structureComboBox, option("Structure"))
            choose(self.selectionComboBox, option("Selection"))
            choose(self.windowComboBox, option("Window"))
            choose(self.fovComboBox, option("FieldOfView"))
            self.capSpinBox.value = int(option("Cap"))
            self.thresholdSlider.value = float(option("Threshold"))
            self.fovSpinBox.value = float(option("FieldOfViewMm"))
            self.fovSpinBox.enabled = option("FieldOfView") == "fixed"
            self.roiSelector.enabled = option("FieldOfView") == "roi"
            self.roiSelector.setCurrentNode(effect.nodeReference(options.ROI_REFERENCE))
        finally:
            self._updating = False

    # Showing

    def start(self) -> None:
        """The effect became active."""
        self._updating = True  # filling a list selects something in it, which is no choice of the user's
        try:
            self.roiSelector.setMRMLScene(slicer.mrmlScene)
            self.structureComboBox.clear()
            self.structureComboBox.addItem("")
            for name in self.effect.presenter.structures():
                self.structureComboBox.addItem(name)
        finally:
            self._updating = False
        self.update_from_parameters()
        self.show_status(self.effect.presenter.status())

    def stop(self) -> None:
        """The effect is no longer active."""
        self._patience.stop()
        self.busyBar.setVisible(False)

    def show_status(self, status) -> None:
        """``status``: a surroundings.Status. That something is computed is shown only once it takes a while."""
        if status.busy and not self.busyBar.visible:
            if not self._patience.isActive():
                self._patience.start()
            return
        self._patience.stop()
        self._show(status)

    def _show(self, status) -> None:
        self.busyBar.setVisible(status.busy)
        self.cancelButton.enabled = status.busy
        self.statusLabel.text = status.text
        style = "color: #c0392b;" if status.problem else ""
        if self.statusLabel.styleSheet != style:  # setting it has Qt work out the panel's style anew
            self.statusLabel.setStyleSheet(style)

    def show_error(self, text: str) -> None:
        from .surroundings import Status

        self.show_status(Status(text, problem=True))


def selections() -> list[tuple[str, str, str]]:
    """(title, name, help) of the context-selection strategies."""
    from ...core.selection import STRATEGIES

    return [(_(plugin.title), plugin.name, _(plugin.help)) for plugin in STRATEGIES]


def windows() -> list[tuple[str, str]]:
    """(text, value) of the image windows: what the slice has, what the view shows, and CT presets."""
    from ...core.imaging import CT_PRESETS

    names = [
        (_("Minimum to maximum of the slice"), "minmax"),
        (_("Window of the view"), "display"),
        (_("Percentiles 0.5 to 99.5"), "percentiles"),
    ]
    ct = [
        (_("CT {name} ({low:.0f} to {high:.0f})").format(name=name, low=low, high=high), name) for name, (low, high) in CT_PRESETS.items()
    ]
    return names + ct
