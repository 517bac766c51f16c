"""The layout manager: any of Slicer's layouts, laid out as vtkMRMLLayoutLogic describes it, and the main window around it."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree

import slicer
from PySide6 import QtCore, QtWidgets

from .citations import CTK, SLICER, cpp
from .sliceviews import qMRMLSliceWidget


class ctkLayoutManager(QtCore.QObject):
    cpp = cpp(CTK, "Libs/Widgets/ctkLayoutManager.h", "", "viewport setViewport")


class qMRMLLayoutManager(ctkLayoutManager):
    cpp = cpp(
        SLICER,
        "Libs/MRML/Widgets/qMRMLLayoutManager.h",
        "enabled layout threeDViewCount tableViewCount plotViewCount",
        "mrmlScene viewWidget sliceWidget sliceViewNames threeDWidget mrmlSliceLogics layoutLogic setLayout setEnabled"
        " resetThreeDViews resetSliceViews",
        ["layoutChanged(int)"],
    )
    layoutChanged = QtCore.Signal(int)


class qSlicerLayoutManager(qMRMLLayoutManager):
    """Creates slice widgets as layouts need them; they stay when the layout changes, as in Slicer."""

    cpp = cpp(SLICER, "Base/QTGUI/qSlicerLayoutManager.h")

    def __init__(self, host, viewport, view_order=0):
        super().__init__()
        self._host, self._viewport, self._widgets, self._enabled = host, viewport, {}, True
        self.view_order = view_order
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(host.scene)
        self._box = QtWidgets.QVBoxLayout(viewport)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._tree = None
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    enabled = QtCore.Property(bool, lambda self: self._enabled, lambda self, on: setattr(self, "_enabled", on))
    layout = QtCore.Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), lambda self, value: self.setLayout(value))
    threeDViewCount = QtCore.Property(int, lambda self: 0)
    tableViewCount = QtCore.Property(int, lambda self: 0)
    plotViewCount = QtCore.Property(int, lambda self: 0)

    def mrmlScene(self):
        return self._host.scene

    def viewport(self):
        return self._viewport

    def setViewport(self, viewport):
        raise NotImplementedError("The test host has one viewport.")

    def layoutLogic(self):
        return self._logic

    def mrmlSliceLogics(self):
        return self._host.application_logic.GetSliceLogics()

    def setEnabled(self, on):
        self._enabled = on

    def sliceViewNames(self):
        """Of every view there has been, shown or not, in the order of a hash table (qMRMLLayoutViewFactory::viewNodeNames)."""
        return sorted(self._widgets, key=lambda name: hashlib.sha256(f"{self.view_order} {name}".encode()).digest())

    def sliceWidget(self, name):
        return self._widgets.get(name)

    def viewWidget(self, node):
        return next((w for w in self._widgets.values() if w.mrmlSliceNode() is node), None)

    def threeDWidget(self, index):
        return None

    def resetThreeDViews(self):
        pass

    def resetSliceViews(self):
        for widget in self._widgets.values():
            widget.sliceLogic().FitSliceToBackground()
            widget.sliceLogic().SnapSliceOffsetToIJK()

    def setLayout(self, layout):
        node = self._logic.GetLayoutNode()
        node.SetViewArrangement(int(layout))
        for widget in self._widgets.values():
            widget.setParent(None)
            widget.mrmlSliceNode().SetMappedInLayout(0)
        if self._tree is not None:
            self._tree.deleteLater()
        self._tree = self._build(ElementTree.fromstring(node.GetCurrentLayoutDescription()))
        self._box.addWidget(self._tree)
        self.layoutChanged.emit(int(layout))

    def _build(self, element):
        if element.tag == "view":
            return self._view(element)
        container = QtWidgets.QWidget() if element.get("type") != "tab" else QtWidgets.QTabWidget()
        if element.get("type") == "tab":
            layout = None
        else:
            layout = QtWidgets.QGridLayout(container)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(2)
        for index, item in enumerate(element.findall("item")):
            child = self._build(next(iter(item)))
            if layout is None:
                container.addTab(child, item.get("name", ""))
                continue
            row, column = (index, 0) if element.get("type") == "vertical" else (0, index)
            row, column = int(item.get("row", row)), int(item.get("column", column))
            layout.addWidget(child, row, column, int(item.get("rowspan", 1)), int(item.get("colspan", 1)))
            layout.setRowStretch(row, 1)
            layout.setColumnStretch(column, 1)
        return container

    def _view(self, element):
        name = element.get("singletontag")
        if element.get("class") != "vtkMRMLSliceNode" or name is None:
            blank = QtWidgets.QFrame()
            blank.setStyleSheet("background: #8c8cc0;")
            return blank
        if name not in self._widgets:
            node = self._host.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
            self._widgets[name] = qMRMLSliceWidget(node, self._host)
        self._widgets[name].mrmlSliceNode().SetMappedInLayout(1)
        self._widgets[name].setVisible(True)
        return self._widgets[name]

    def close(self):
        for widget in self._widgets.values():
            widget.close_view()
        self._widgets.clear()
        self._logic.SetMRMLScene(None)
