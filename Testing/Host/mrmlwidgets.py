"""Stand-ins for Slicer's MRML widgets, on real MRML: node selectors, segment selector and the plain containers."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .citations import SLICER, cpp
from .ctkwidgets import ctkCollapsibleButton, ctkRangeWidget, ctkSliderWidget
from .properties import stored

_WIDGETS = "Libs/MRML/Widgets/"


def observe(target, event, method):
    """Observe a VTK object from a Qt object; returns a function that stops it."""
    tag = target.AddObserver(event, method)
    return lambda: target.RemoveObserver(tag)


class qMRMLWidget(QtWidgets.QWidget):
    cpp = cpp(SLICER, _WIDGETS + "qMRMLWidget.h", "", "mrmlScene setMRMLScene", ["mrmlSceneChanged(vtkMRMLScene*)"])
    mrmlSceneChanged = QtCore.Signal(object)

    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class qSlicerWidget(QtWidgets.QWidget):
    cpp = cpp(SLICER, "Base/QTGUI/qSlicerWidget.h", "", "mrmlScene setMRMLScene", ["mrmlSceneChanged(vtkMRMLScene*)"])
    mrmlSceneChanged = QtCore.Signal(object)
    _scene = None
    mrmlScene = qMRMLWidget.mrmlScene
    setMRMLScene = qMRMLWidget.setMRMLScene


class qMRMLCollapsibleButton(ctkCollapsibleButton):
    cpp = cpp(SLICER, _WIDGETS + "qMRMLCollapsibleButton.h")


class qMRMLSliderWidget(ctkSliderWidget):
    cpp = cpp(SLICER, _WIDGETS + "qMRMLSliderWidget.h", "quantity", "mrmlScene setMRMLScene")
    quantity = stored(str, "quantity", "")

    def mrmlScene(self):
        return self.__dict__.get("_scene")

    def setMRMLScene(self, scene):
        self._scene = scene


class qMRMLRangeWidget(ctkRangeWidget):
    cpp = cpp(SLICER, _WIDGETS + "qMRMLRangeWidget.h", "quantity", "mrmlScene setMRMLScene")
    quantity = stored(str, "quantity", "")
    mrmlScene = qMRMLSliderWidget.mrmlScene
    setMRMLScene = qMRMLSliderWidget.setMRMLScene


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Selector of the scene's nodes of some classes; disabled until it has a scene; without `noneEnabled` it always selects one."""

    cpp = cpp(
        SLICER,
        _WIDGETS + "qMRMLNodeComboBox.h",
        "currentNodeID nodeTypes showHidden showChildNodeTypes hideChildNodeTypes baseName noneEnabled addEnabled removeEnabled"
        " editEnabled renameEnabled selectNodeUponCreation noneDisplay",
        "mrmlScene addAttribute removeAttribute setNodeTypeLabel nodeTypeLabel nodeCount nodeFromIndex currentNode addMenuAction"
        " setMRMLScene setCurrentNode setCurrentNodeID setCurrentNodeIndex addNode removeCurrentNode editCurrentNode renameCurrentNode",
        {
            "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
            "currentNodeChanged(bool)": "currentNodeValidityChanged",
            "currentNodeIDChanged(QString)": "currentNodeIDChanged",
            "nodeActivated(vtkMRMLNode*)": "nodeActivated",
            "nodeAdded(vtkMRMLNode*)": "nodeAdded",
            "nodeAddedByUserAction(vtkMRMLNode*)": "nodeAddedByUserAction",
            "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved",
        },
    )
    currentNodeChanged = QtCore.Signal(object)
    currentNodeValidityChanged = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUserAction = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    nodeTypes = stored("QStringList", "nodeTypes", [], "_refresh")
    showHidden = stored(bool, "showHidden", False, "_refresh")
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True, "_refresh")
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], "_refresh")
    baseName = stored(str, "baseName", "")
    noneEnabled = stored(bool, "noneEnabled", False, "_refresh")
    addEnabled = stored(bool, "addEnabled", True)
    removeEnabled = stored(bool, "removeEnabled", True)
    editEnabled = stored(bool, "editEnabled", False)
    renameEnabled = stored(bool, "renameEnabled", False)
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    noneDisplay = stored(str, "noneDisplay", "None", "_refresh")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._stop, self._attributes, self._labels, self._current, self._updating = None, [], [], {}, None, False
        self._box = QtWidgets.QComboBox()
        QtWidgets.QHBoxLayout(self).addWidget(self._box)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self._box.activated.connect(self._picked)
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setEnabled(False)
        self.destroyed.connect(lambda *_, stop=self._stop: [s() for s in stop])

    # ---- scene ----
    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        while self._stop:
            self._stop.pop()()
        self._scene = scene
        self.setEnabled(scene is not None)
        if scene is not None:
            self._stop.append(observe(scene, scene.NodeAddedEvent, self._node_added))
            self._stop.append(observe(scene, scene.NodeAboutToBeRemovedEvent, self._node_removed))
            for event in (scene.EndImportEvent, scene.EndCloseEvent, scene.EndBatchProcessEvent):
                self._stop.append(observe(scene, event, lambda *_: self._refresh()))
        self._refresh()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_added(self, scene, _event, node):
        if self._accepts(node):
            self.nodeAdded.emit(node)
            if not scene.IsBatchProcessing():
                self._refresh()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_removed(self, scene, _event, node):
        if self._accepts(node):
            self.nodeAboutToBeRemoved.emit(node)
            if not scene.IsBatchProcessing():
                self._refresh(without=node)

    def _accepts(self, node):
        if not any(node.IsA(c) if self.showChildNodeTypes else node.GetClassName() == c for c in self.nodeTypes):
            return False
        if any(node.IsA(c) for c in self.hideChildNodeTypes) or (node.GetHideFromEditors() and not self.showHidden):
            return False
        wanted = [(name, value) for kind, name, value in self._attributes if node.IsA(kind)]
        return all(node.GetAttribute(n) == v if v is not None else node.GetAttribute(n) is not None for n, v in wanted)

    def _nodes(self, without=None):
        if self._scene is None:
            return []
        every = (self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes()))
        return [n for n in every if n is not without and self._accepts(n)]

    def _refresh(self, without=None):
        if not hasattr(self, "_box"):
            return
        nodes = self._nodes(without)
        self._box.clear()
        if self.noneEnabled or not nodes:
            self._box.addItem(self.noneDisplay, "")
        for node in nodes:
            self._box.addItem(node.GetName() or "", node.GetID())
        current = self._current if self._current in nodes else None
        if current is None and not self.noneEnabled and nodes:
            current = nodes[0]
        self._select(current)

    # ---- selection ----
    def currentNode(self):
        return self._current

    def _select(self, node):
        self._box.setCurrentIndex(max(self._box.findData(node.GetID() if node else ""), 0))
        if node is self._current:
            return
        self._current = node
        self.currentNodeChanged.emit(node)
        self.currentNodeValidityChanged.emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def setCurrentNode(self, node):
        node = self._scene.GetNodeByID(node) if isinstance(node, str) and self._scene else node or None
        self._select(node if node is not None and node in self._nodes() else None)

    def setCurrentNodeID(self, node_id):
        self.setCurrentNode(node_id or None)

    def setCurrentNodeIndex(self, index):
        self.setCurrentNode(self.nodeFromIndex(index))

    currentNodeID = QtCore.Property(str, lambda self: self._current.GetID() if self._current else "", setCurrentNodeID)

    def _picked(self, index):
        self.setCurrentNodeID(self._box.itemData(index))
        self.nodeActivated.emit(self._current)

    def nodeCount(self):
        return len(self._nodes())

    def nodeFromIndex(self, index):
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    # ---- what the menu does ----
    def addAttribute(self, node_type, name, value=None):
        self._attributes.append((node_type, name, None if value is None else str(value)))
        self._refresh()

    def removeAttribute(self, node_type, name):
        self._attributes = [a for a in self._attributes if a[:2] != (node_type, name)]
        self._refresh()

    def setNodeTypeLabel(self, label, node_type):
        self._labels[node_type] = label

    def nodeTypeLabel(self, node_type):
        return self._labels.get(node_type, "")

    def addNode(self, node_type=None):
        node = self._scene.CreateNodeByClass(node_type or self.nodeTypes[0])
        node.UnRegister(None)
        node.SetName(self._scene.GenerateUniqueName(self.baseName or node.GetNodeTagName()))
        for kind, name, value in self._attributes:
            if node.IsA(kind):
                node.SetAttribute(name, value or "")
        node = self._scene.AddNode(node)
        self.nodeAddedByUserAction.emit(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        return node

    def removeCurrentNode(self):
        if self._current is not None:
            self._scene.RemoveNode(self._current)

    def editCurrentNode(self):
        pass

    def renameCurrentNode(self):
        pass

    def addMenuAction(self, action):
        pass


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation selector with a combo box of its segments below."""

    cpp = cpp(
        SLICER,
        "Modules/Loadable/Segmentations/Widgets/qMRMLSegmentSelectorWidget.h",
        "noneEnabled segmentationNodeSelectorVisible",
        "currentNode currentNodeID currentSegmentID setCurrentNode setCurrentNodeID setCurrentSegmentID",
        {
            "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
            "currentSegmentChanged(QString)": "currentSegmentChanged",
        },
    )
    currentNodeChanged = QtCore.Signal(object)
    currentSegmentChanged = QtCore.Signal(str)
    noneEnabled = stored(bool, "noneEnabled", False, "_refresh")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._selector, self._box, self._stop, self._segment = qMRMLNodeComboBox(self), QtWidgets.QComboBox(self), [], ""
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._selector)
        layout.addWidget(self._box)
        self._selector.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._selector.noneEnabled = True
        self._selector.currentNodeChanged.connect(self._node_changed)
        self._box.activated.connect(lambda index: self.setCurrentSegmentID(self._box.itemData(index)))
        self.mrmlSceneChanged.connect(self._selector.setMRMLScene)

    segmentationNodeSelectorVisible = QtCore.Property(bool, lambda s: not s._selector.isHidden(), lambda s, on: s._selector.setVisible(on))

    def currentNode(self):
        return self._selector.currentNode()

    def currentNodeID(self):
        return self._selector.currentNodeID

    def setCurrentNode(self, node):
        self._selector.setCurrentNode(node)

    def setCurrentNodeID(self, node_id):
        self._selector.setCurrentNodeID(node_id)

    def _node_changed(self, node):
        while self._stop:
            self._stop.pop()()
        if node is not None:
            segmentation = node.GetSegmentation()
            for event in (
                slicer.vtkSegmentation.SegmentAdded,
                slicer.vtkSegmentation.SegmentRemoved,
                slicer.vtkSegmentation.SegmentModified,
            ):
                self._stop.append(observe(segmentation, event, lambda *_: self._refresh()))
        self._refresh()
        self.currentNodeChanged.emit(node)

    def _refresh(self):
        if not hasattr(self, "_box"):
            return
        node = self.currentNode()
        ids = list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []
        self._box.clear()
        if self.noneEnabled:
            self._box.addItem("None", "")
        for segment_id in ids:
            self._box.addItem(node.GetSegmentation().GetSegment(segment_id).GetName(), segment_id)
        keep = self._segment if self._segment in ids else "" if self.noneEnabled or not ids else ids[0]
        self.setCurrentSegmentID(keep)

    def currentSegmentID(self):
        return self._segment

    def setCurrentSegmentID(self, segment_id):
        self._box.setCurrentIndex(self._box.findData(segment_id))
        if segment_id != self._segment:
            self._segment = segment_id
            self.currentSegmentChanged.emit(segment_id)
