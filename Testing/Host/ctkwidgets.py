"""The ``ctk`` module: stand-ins for CTK's widgets with the interface that their headers declare."""

from __future__ import annotations

import types
from fnmatch import fnmatch

from PySide6 import QtCore, QtGui, QtWidgets

from .citations import CTK, cpp, host_classes
from .properties import forwarded, stored
from .pythonqt import class_of
from .qtmodule import dialogs

_CREATED, _EXPLICIT = QtCore.Qt.WidgetAttribute.WA_WState_Created, QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide
_WANTED = "visibilityToParent"  # dynamic property of a child: whether it is to be seen when the button is expanded
HEADER = 24  # height in pixels of a collapsible button's title bar


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A title bar that shows and hides the widgets below it."""

    cpp = cpp(CTK, "Libs/Widgets/ctkCollapsibleButton.h", "collapsed collapsedHeight", "", ["contentsCollapsed(bool)"])
    contentsCollapsed = QtCore.Signal(bool)
    collapsed = stored(bool, "collapsed", False, "_update_contents", "contentsCollapsed")
    collapsedHeight = stored(int, "collapsedHeight", 10)

    def __init__(self, *args):
        text = args[0] if args and isinstance(args[0], str) else ""
        super().__init__(args[-1] if args and isinstance(args[-1], QtWidgets.QWidget) else None)
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, HEADER, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self._forcing = self._created = False
        self._children: list[QtWidgets.QWidget] = []
        self.toggled.connect(lambda on: setattr(self, "collapsed", not on))

    def _update_contents(self):
        if self.isChecked() == self.collapsed:
            self.setChecked(not self.collapsed)
        self._adopt()
        for child in self._contents():
            self._set_child_visibility(child)
        self.setMaximumHeight(HEADER if self.collapsed else 16777215)
        self.updateGeometry()

    # What follows is setChildVisibility, childEvent, eventFilter and setVisible of ctkCollapsibleButton.cpp: the contents of a collapsed
    # button are really hidden, also those that are added or shown while it is collapsed; what was hidden itself stays so afterwards.
    def _contents(self):
        return [child for child in self.children() if isinstance(child, QtWidgets.QWidget)]

    def _adopt(self):
        """New children. (C++ does this in childEvent, where PySide6 does not know a child's class yet.)"""
        for child in self._contents():
            if child not in self._children:
                self._children.append(child)
                if child.testAttribute(_EXPLICIT) and child.isHidden():
                    child.setProperty(_WANTED, False)
                child.installEventFilter(self)
                self._set_child_visibility(child)

    def _set_child_visibility(self, child):
        if not self.testAttribute(_CREATED):
            return
        self._forcing = True
        visible = not self.collapsed and child.property(_WANTED) is not False
        if child.testAttribute(_CREATED) or not visible:
            child.setVisible(visible)
        if child.property(_WANTED) is not False:
            child.setAttribute(_EXPLICIT, False)
        self._forcing = False

    def setVisible(self, show):
        before, self._forcing = self._forcing, True
        super().setVisible(show)
        self._forcing = before
        if not self._created and self.testAttribute(_CREATED):
            self._created = True
            self._adopt()
            for child in self._contents():
                self._set_child_visibility(child)

    def event(self, event):
        if event.type() == QtCore.QEvent.Type.LayoutRequest:
            self._adopt()
        return super().event(event)

    def eventFilter(self, child, event):
        if not self._forcing and event.type() == QtCore.QEvent.Type.ShowToParent:
            child.setProperty(_WANTED, True)
            self._set_child_visibility(child)
        elif not self._forcing and event.type() == QtCore.QEvent.Type.HideToParent:
            child.setProperty(_WANTED, False)
        return super().eventFilter(child, event)

    def hitButton(self, position):
        return position.y() < HEADER

    def sizeHint(self):
        width = self.fontMetrics().horizontalAdvance(self.text()) + 40
        if self.collapsed or self.layout() is None:
            return QtCore.QSize(width, HEADER)
        hint = self.layout().sizeHint()
        return QtCore.QSize(max(width, hint.width()), hint.height())

    def minimumSizeHint(self):
        if self.collapsed or self.layout() is None:
            return QtCore.QSize(40, HEADER)
        return self.layout().minimumSize()

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        painter.fillRect(0, 0, self.width(), HEADER, self.palette().brush(QtGui.QPalette.ColorRole.Midlight))
        arrow = QtWidgets.QStyle.PrimitiveElement
        option = QtWidgets.QStyleOption()
        option.initFrom(self)
        option.rect = QtCore.QRect(6, 7, 10, 10)
        self.style().drawPrimitive(arrow.PE_IndicatorArrowRight if self.collapsed else arrow.PE_IndicatorArrowDown, option, painter, self)
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(22, 0, self.width() - 22, HEADER, QtCore.Qt.AlignmentFlag.AlignVCenter, self.text())


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    cpp = cpp(CTK, "Libs/Widgets/ctkCollapsibleGroupBox.h", "collapsed collapsedHeight")
    collapsedHeight = stored(int, "collapsedHeight", 14)

    def __init__(self, *args):
        super().__init__(*args)
        self.setCheckable(True)
        self._hidden: list[QtWidgets.QWidget] = []
        self.toggled.connect(self._expand)

    def _expand(self, on):
        if not on:
            self._hidden = [c for c in self.children() if isinstance(c, QtWidgets.QWidget) and not c.isHidden()]
        for child in self._hidden:
            child.setVisible(on)
        self.setMaximumHeight(16777215 if on else 24)

    def _collapsed(self):
        return not self.isChecked()

    def _set_collapsed(self, value):
        self.setChecked(not value)

    collapsed = QtCore.Property(bool, _collapsed, _set_collapsed)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box; the slider has 1000 steps, the spin box holds the value."""

    cpp = cpp(
        CTK,
        "Libs/Widgets/ctkSliderWidget.h",
        "decimals singleStep pageStep minimum maximum value prefix suffix tracking spinBoxVisible",
        "reset setValue setSpinBoxVisible",
        ["valueChanged(double)", "valueIsChanging(double)"],
    )
    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimals = forwarded(int, "_box", "decimals", "setDecimals")
    singleStep = forwarded(float, "_box", "singleStep", "setSingleStep")
    prefix = forwarded(str, "_box", "prefix", "setPrefix")
    suffix = forwarded(str, "_box", "suffix", "setSuffix")
    value = forwarded(float, "_box", "value", "setValue")
    pageStep = stored(float, "pageStep", 1.0)
    tracking = stored(bool, "tracking", True)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, 1000)
        self._box = QtWidgets.QDoubleSpinBox()
        self._box.setRange(0, 100)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self._follow)
        self._slider.sliderMoved.connect(self._moved)

    def _span(self):
        return self._box.maximum() - self._box.minimum()

    def _follow(self, value):
        self._slider.setValue(round(1000 * (value - self._box.minimum()) / self._span()) if self._span() else 0)
        self.valueChanged.emit(value)

    def _moved(self, position):
        self._box.setValue(self._box.minimum() + position / 1000 * self._span())

    def _minimum(self):
        return self._box.minimum()

    def _maximum(self):
        return self._box.maximum()

    def _set_minimum(self, value):
        self._box.setMinimum(value)
        self._follow_silently()

    def _set_maximum(self, value):
        self._box.setMaximum(value)
        self._follow_silently()

    def _follow_silently(self):
        self._slider.setValue(round(1000 * (self._box.value() - self._box.minimum()) / self._span()) if self._span() else 0)

    minimum = QtCore.Property(float, _minimum, _set_minimum)
    maximum = QtCore.Property(float, _maximum, _set_maximum)

    def _spin_box_visible(self):
        return not self._box.isHidden()

    def setSpinBoxVisible(self, visible):
        self._box.setVisible(visible)

    spinBoxVisible = QtCore.Property(bool, _spin_box_visible, setSpinBoxVisible)

    def setValue(self, value):
        self._box.setValue(value)

    def reset(self):
        self._box.setValue(0)


class ctkRangeWidget(QtWidgets.QWidget):
    """Two spin boxes that keep minimum <= minimumValue <= maximumValue <= maximum."""

    cpp = cpp(
        CTK,
        "Libs/Widgets/ctkRangeWidget.h",
        "decimals singleStep minimum maximum minimumValue maximumValue prefix suffix tracking symmetricMoves",
        "reset setMinimumValue setMaximumValue setValues",
        ["minimumValueChanged(double)", "maximumValueChanged(double)", "valuesChanged(double,double)", "rangeChanged(double,double)"],
    )
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    valuesChanged = QtCore.Signal(float, float)
    rangeChanged = QtCore.Signal(float, float)
    minimum = stored(float, "minimum", 0.0, "_update_range")
    maximum = stored(float, "maximum", 99.0, "_update_range")
    tracking = stored(bool, "tracking", True)
    symmetricMoves = stored(bool, "symmetricMoves", False)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._low, self._high = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()
        for box in (self._low, self._high):
            box.setRange(0, 99)
            layout.addWidget(box)
        self._high.setValue(99)
        self._low.valueChanged.connect(lambda v: self.setValues(v, max(v, self._high.value()), "low"))
        self._high.valueChanged.connect(lambda v: self.setValues(min(v, self._low.value()), v, "high"))

    def _both(name, setter):
        def write(self, value):
            for box in (self._low, self._high):
                getattr(box, setter)(value)

        return lambda self: getattr(self._low, name)(), write

    decimals = QtCore.Property(int, *_both("decimals", "setDecimals"))
    singleStep = QtCore.Property(float, *_both("singleStep", "setSingleStep"))
    prefix = QtCore.Property(str, *_both("prefix", "setPrefix"))
    suffix = QtCore.Property(str, *_both("suffix", "setSuffix"))

    def _update_range(self):
        for box in (self._low, self._high):
            box.setRange(self.minimum, self.maximum)
        self.rangeChanged.emit(self.minimum, self.maximum)

    def setValues(self, low, high, moved=""):
        for box, value in ((self._low, low), (self._high, high)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        if moved != "high":
            self.minimumValueChanged.emit(self._low.value())
        if moved != "low":
            self.maximumValueChanged.emit(self._high.value())
        self.valuesChanged.emit(self._low.value(), self._high.value())

    def setMinimumValue(self, value):
        self._low.setValue(value)

    def setMaximumValue(self, value):
        self._high.setValue(value)

    def reset(self):
        self.setValues(0, 0)

    minimumValue = QtCore.Property(float, lambda self: self._low.value(), setMinimumValue)
    maximumValue = QtCore.Property(float, lambda self: self._high.value(), setMaximumValue)


class ctkPathLineEdit(QtWidgets.QWidget):
    """A line for a path with a browse button; the browse dialog is answered from `qtmodule.dialogs`.

    Every text that the name filters allow is told at once, while it is typed and whether or not such a path exists: the validator is
    made of the name filters alone (updateFilter, updateHasValidInput in ctkPathLineEdit.cpp).
    """

    Dirs, Files, Drives, Readable, Writable, Executable = 0x001, 0x002, 0x004, 0x010, 0x020, 0x040
    cpp = cpp(
        CTK,
        "Libs/Widgets/ctkPathLineEdit.h",
        "label filters currentPath settingKey showBrowseButton showHistoryButton nameFilters",
        "setCurrentPath browse retrieveHistory addCurrentPathToHistory",
        ["validInputChanged(bool)", "currentPathChanged(QString)"],
        "Dirs Files Drives Readable Writable Executable",
    )
    validInputChanged = QtCore.Signal(bool)
    currentPathChanged = QtCore.Signal(str)
    label = stored(str, "label", "")
    filters = stored(int, "filters", 0x007)
    settingKey = stored(str, "settingKey", "")
    nameFilters = stored("QStringList", "nameFilters", [])
    currentPath = forwarded(str, "_line", "text", "setText")

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._history, self._button, self._valid = QtWidgets.QComboBox(), QtWidgets.QToolButton(), False
        self._history.setEditable(True)
        self._history.setInsertPolicy(QtWidgets.QComboBox.InsertPolicy.NoInsert)
        self._line = self._history.lineEdit()
        self._button.setText("...")
        layout.addWidget(self._history)
        layout.addWidget(self._button)
        self._line.textChanged.connect(self._text_changed)
        self._button.clicked.connect(lambda: self.browse())

    def _text_changed(self, text):
        patterns = [pattern for entry in self.nameFilters for pattern in entry.partition("(")[2].rstrip(")").split()]
        before, self._valid = self._valid, bool(text) and (not patterns or any(fnmatch(text, pattern) for pattern in patterns))
        if self._valid:
            self.currentPathChanged.emit(text)
        if self._valid != before:
            self.validInputChanged.emit(self._valid)

    showBrowseButton = QtCore.Property(bool, lambda s: not s._button.isHidden(), lambda s, on: s._button.setVisible(on))
    showHistoryButton = stored(bool, "showHistoryButton", True)

    def setCurrentPath(self, path):
        self._line.setText(path)

    def browse(self):
        path = dialogs.ask("", kind="ctkPathLineEdit.browse", title=self.label, text=self.label)
        if path:
            self._line.setText(path)

    def retrieveHistory(self):
        pass

    def addCurrentPathToHistory(self):
        key = "ctkPathLineEdit/" + (self.settingKey or self.objectName())
        settings = QtCore.QSettings()
        settings.setValue(key, [self._line.text(), *(settings.value(key) or [])])


class ctkDirectoryButton(QtWidgets.QWidget):
    cpp = cpp(
        CTK,
        "Libs/Widgets/ctkDirectoryButton.h",
        "directory caption text",
        "browse",
        ["directoryChanged(QString)", "directorySelected(QString)"],
    )
    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)
    directory = stored(str, "directory", ".", "_update_text", "directoryChanged")
    caption = stored(str, "caption", "")
    text = stored(str, "text", "", "_update_text")

    def __init__(self, *args):
        super().__init__(args[-1] if args and isinstance(args[-1], QtWidgets.QWidget) else None)
        self._button = QtWidgets.QPushButton()
        QtWidgets.QHBoxLayout(self).addWidget(self._button)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self._button.clicked.connect(lambda: self.browse())
        if args and isinstance(args[0], str):
            self.directory = args[0]

    def _update_text(self):
        self._button.setText(self.text or self.directory)

    def browse(self):
        path = dialogs.ask("", kind="ctkDirectoryButton.browse", title=self.caption, text=self.caption)
        if path:
            self.directory = path
            self.directorySelected.emit(path)
        return path


class ctkComboBox(QtWidgets.QComboBox):
    cpp = cpp(CTK, "Libs/Widgets/ctkComboBox.h", "defaultText forceDefault", "setCurrentUserDataAsString")
    defaultText = stored(str, "defaultText", "")
    forceDefault = stored(bool, "forceDefault", False)

    def setCurrentUserDataAsString(self, value):
        self.setCurrentIndex(self.findData(value))


class ctkMessageBox(QtWidgets.QMessageBox):
    cpp = cpp(CTK, "Libs/Widgets/ctkMessageBox.h", "dontShowAgain dontShowAgainSettingsKey dontShowAgainVisible", "setDontShowAgain")
    dontShowAgain = stored(bool, "dontShowAgain", False)
    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")
    dontShowAgainVisible = stored(bool, "dontShowAgainVisible", False)

    def setDontShowAgain(self, value):
        self.dontShowAgain = value


class CtkModule(types.ModuleType):
    """``import ctk``: a class without a counterpart in the host raises AttributeError."""

    def __getattr__(self, name):
        cls = host_classes().get(name)
        if cls is None or not name.startswith("ctk"):
            raise AttributeError(f"module 'ctk' has no attribute '{name}' (or the test host has no counterpart for it)")
        return class_of(cls)
