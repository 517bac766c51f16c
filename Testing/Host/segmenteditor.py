"""qMRMLSegmentEditorWidget for scripted effects, on the real vtkSlicerSegmentEditorLogic and vtkMRMLSegmentEditorNode.

The life of effects and the way of events follow qMRMLSegmentEditorWidget.cxx: one clone per registered effect; the parameter node
decides which one is active; view interactors are observed with priority 1 while one is; an effect that returns True aborts the event.
"""

from __future__ import annotations

import slicer
from PySide6 import QtCore

from .citations import SLICER, cpp
from .editorkeys import EditorKeys
from .editorpanel import EditorPanel
from .editorviews import EditorViews, stop
from .mrmlwidgets import observe, qMRMLWidget
from .properties import stored
from .scriptedeffects import qSlicerSegmentEditorEffectFactory


class qMRMLSegmentEditorWidget(qMRMLWidget):
    cpp = cpp(
        SLICER,
        "Modules/Loadable/Segmentations/Widgets/qMRMLSegmentEditorWidget.h",
        "segmentationNodeSelectorVisible sourceVolumeNodeSelectorVisible autoShowSourceVolumeNode switchToSegmentationsButtonVisible"
        " undoEnabled maximumNumberOfUndoStates readOnly effectButtonStyle effectColumnCount unorderedEffectsVisible"
        " jumpToSelectedSegmentEnabled defaultTerminologyEntry defaultTerminologyEntrySettingsKey",
        "mrmlSegmentEditorNode segmentationNode segmentationNodeID sourceVolumeNode sourceVolumeNodeID currentSegmentID activeEffect"
        " setActiveEffect effectByName availableEffectNames setEffectNameOrder effectNameOrder effectCount effectByIndex"
        " setupViewObservations removeViewObservations interactionNode setMRMLSegmentEditorNode updateWidgetFromMRML"
        " setSegmentationNode setSegmentationNodeID setSourceVolumeNode setSourceVolumeNodeID setCurrentSegmentID"
        " setActiveEffectByName saveStateForUndo setSegmentationNodeSelectorVisible setSourceVolumeNodeSelectorVisible"
        " setAutoShowSourceVolumeNode setSwitchToSegmentationsButtonVisible setUndoEnabled setMaximumNumberOfUndoStates setReadOnly"
        " undo redo updateEffectList installKeyboardShortcuts uninstallKeyboardShortcuts toggleSourceVolumeIntensityMaskEnabled",
        {
            "segmentationNodeChanged(vtkMRMLSegmentationNode*)": "segmentationNodeChanged",
            "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": "sourceVolumeNodeChanged",
            "currentSegmentIDChanged(QString)": "currentSegmentIDChanged",
        },
    )
    segmentationNodeChanged = QtCore.Signal(object)
    sourceVolumeNodeChanged = QtCore.Signal(object)
    currentSegmentIDChanged = QtCore.Signal(str)
    autoShowSourceVolumeNode = stored(bool, "autoShowSourceVolumeNode", True)
    readOnly = stored(bool, "readOnly", False, "updateWidgetFromMRML")
    effectColumnCount = stored(int, "effectColumnCount", 2)
    effectButtonStyle = stored(int, "effectButtonStyle", 0)
    unorderedEffectsVisible = stored(bool, "unorderedEffectsVisible", True, "updateEffectList")
    jumpToSelectedSegmentEnabled = stored(bool, "jumpToSelectedSegmentEnabled", False)
    defaultTerminologyEntry = stored(str, "defaultTerminologyEntry", "")
    defaultTerminologyEntrySettingsKey = stored(str, "defaultTerminologyEntrySettingsKey", "Segmentations/DefaultTerminologyEntry")

    def __init__(self, parent=None):
        super().__init__(parent)
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._node = self._active = self._segmentation = self._volume = None
        self._segment, self._effects, self._order, self._keys = "", [], [], EditorKeys(self)
        self._views = EditorViews(self)
        self._node_observers, self._scene_observers, self._updating = [], [], False
        self._panel = EditorPanel(self)
        self.updateEffectList()
        self.destroyed.connect(lambda *_, lists=(self._views.stops, self._node_observers, self._scene_observers): stop(*lists))

    # ---- properties of the panel ----
    segmentationNodeSelectorVisible = QtCore.Property(
        bool, lambda s: s._panel.segmentation_visible(), lambda s, on: s._panel.set_segmentation_visible(on)
    )
    sourceVolumeNodeSelectorVisible = QtCore.Property(
        bool, lambda s: s._panel.volume_visible(), lambda s, on: s._panel.set_volume_visible(on)
    )
    switchToSegmentationsButtonVisible = stored(bool, "switchToSegmentationsButtonVisible", True)
    undoEnabled = stored(bool, "undoEnabled", True)
    maximumNumberOfUndoStates = QtCore.Property(
        int, lambda s: s.logic.GetMaximumNumberOfUndoStates(), lambda s, n: s.logic.SetMaximumNumberOfUndoStates(n)
    )

    # ---- scene and nodes ----
    def setMRMLScene(self, scene):
        if scene is self.mrmlScene():
            return
        self.logic.SetMRMLScene(scene)
        self._panel.set_scene(scene)
        super().setMRMLScene(scene)
        stop(self._scene_observers)
        if scene is not None:
            self._scene_observers.append(observe(scene, scene.EndCloseEvent, lambda *_: self._scene_closed()))
            self._scene_observers.append(observe(scene, scene.EndBatchProcessEvent, lambda *_: self._batch_ended()))
            if self.interactionNode() is not None:
                self._scene_observers.append(observe(self.interactionNode(), "ModifiedEvent", self._interaction_modified))
            slicer.app._object.layoutManager().layoutChanged.connect(self._layout_changed)
        self.updateWidgetFromMRML()

    def interactionNode(self):
        return self.mrmlScene().GetNodeByID("vtkMRMLInteractionNodeSingleton") if self.mrmlScene() else None

    def _interaction_modified(self, node, _event):
        if self._active is not None:
            self._active.interactionNodeModified(node)

    def _batch_ended(self):
        """onMRMLSceneEndBatchProcessEvent: the selectors, which stood still meanwhile, win over what was put into the node."""
        if self._node is not None:
            segmentation, volume = self._panel.selected("segmentation"), self._panel.selected("volume")
            if self._node.GetSegmentationNode() is not segmentation:
                self.setSegmentationNode(segmentation)
            if self._node.GetSourceVolumeNode() is not volume:
                self.setSourceVolumeNode(volume)
        self.updateWidgetFromMRML()

    def _scene_closed(self):
        self._initialize_parameters()
        self.updateWidgetFromMRML()

    def mrmlSegmentEditorNode(self):
        return self._node

    def setMRMLSegmentEditorNode(self, node):
        if node is self._node:
            return
        stop(self._node_observers)
        self._node = node
        self.logic.SetSegmentEditorNode(node)
        if node is None:
            return
        self._node_observers.append(observe(node, "ModifiedEvent", lambda *_: self.updateWidgetFromMRML()))
        event = slicer.vtkMRMLSegmentEditorNode.EffectParameterModified
        self._node_observers.append(observe(node, event, lambda *_: [effect.updateGUIFromMRML() for effect in self._effects]))
        self._initialize_parameters()
        self.updateWidgetFromMRML()

    def _initialize_parameters(self):
        if self._node is None:
            return
        was = self._node.StartModify()
        for effect in self._effects:
            effect.setParameterSetNode(self._node)
            effect.setMRMLDefaults()
        self._node.EndModify(was)

    def segmentationNode(self):
        return self._panel.selected("segmentation")

    def segmentationNodeID(self):
        return self.segmentationNode().GetID() if self.segmentationNode() else ""

    def setSegmentationNode(self, node):
        if self._node is None:
            _complain("setSegmentationNode failed: need to set segment editor node first", node)
            return
        if self._node.GetSegmentationNode() is node:
            return
        self._node.SetAndObserveSegmentationNode(node)
        self.setActiveEffect(None)

    def setSegmentationNodeID(self, node_id):
        self.setSegmentationNode(self.mrmlScene().GetNodeByID(node_id))

    def sourceVolumeNode(self):
        return self._node.GetSourceVolumeNode() if self._node else None

    def sourceVolumeNodeID(self):
        return self.sourceVolumeNode().GetID() if self.sourceVolumeNode() else ""

    def setSourceVolumeNode(self, node):
        if self._node is None or self._node.GetSegmentationNode() is None:
            _complain("setSourceVolumeNode failed: need to set segment editor and segmentation nodes first", node)
            return
        if self._node.GetSourceVolumeNode() is node:
            return
        self._node.SetAndObserveSourceVolumeNode(node)
        segmentation = self._node.GetSegmentationNode()
        if node is not None and segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is None:
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)

    def setSourceVolumeNodeID(self, node_id):
        self.setSourceVolumeNode(self.mrmlScene().GetNodeByID(node_id))

    def currentSegmentID(self):
        return (self._node.GetSelectedSegmentID() or "") if self._node else ""

    def setCurrentSegmentID(self, segment_id):
        if self._node is not None:
            self._node.SetSelectedSegmentID(segment_id)

    # ---- update ----
    def updateWidgetFromMRML(self):
        scene = self.mrmlScene()
        if self._updating or scene is None or scene.IsClosing() or scene.IsBatchProcessing() or self._node is None:
            return
        node, self._updating = self._node, True
        was = node.StartModify()  # what is changed in here is told afterwards, at once
        try:
            self._update_nodes()
            self._panel.update(node, self._effects)
            self._update_active_effect()
        finally:
            self._updating = False
            node.EndModify(was)

    def _update_nodes(self):
        segmentation, volume = self._node.GetSegmentationNode(), self._node.GetSourceVolumeNode()
        if segmentation is not self._segmentation:
            self._segmentation = segmentation
            self._panel.observe_segmentation(segmentation)
            if segmentation is not None:
                role = segmentation.GetReferenceImageGeometryReferenceRole()
                self._node.SetAndObserveSourceVolumeNode(segmentation.GetNodeReference(role))
                volume = self._node.GetSourceVolumeNode()
                segmentation.CreateDefaultDisplayNodes()
            ids = list(segmentation.GetSegmentation().GetSegmentIDs()) if segmentation else []
            if (self._node.GetSelectedSegmentID() or "") not in ids:
                self._node.SetSelectedSegmentID(ids[0] if ids else "")
            self.segmentationNodeChanged.emit(segmentation)
        if volume is not self._volume:
            self._volume = volume
            if volume is not None and self.autoShowSourceVolumeNode:
                self._views.show(volume)
            self.sourceVolumeNodeChanged.emit(volume)
            for effect in self._effects:
                effect.sourceVolumeNodeChanged()
        segment = self._node.GetSelectedSegmentID() or ""
        if segment != self._segment:
            self._segment = segment
            self.currentSegmentIDChanged.emit(segment)

    def _update_active_effect(self):
        wanted = self.effectByName(self._node.GetActiveEffectName() or "")
        if wanted is self._active:
            return
        previous, self._active = self._active, None
        if previous is not None:
            previous.deactivate()
        if wanted is not None and not self.logic.SetSourceRepresentationToBinaryLabelMap():
            wanted = None
        if wanted is not None:
            self.setupViewObservations()
            node = self.interactionNode()
            if node is not None and node.GetCurrentInteractionMode() != node.ViewTransform:
                node.SetCurrentInteractionMode(node.ViewTransform)
            wanted.activate()
        else:
            self.removeViewObservations()
        self._panel.show_effect(wanted)
        self._views.set_cursor(wanted)
        self._active = wanted

    # ---- effects ----
    def updateEffectList(self):
        if "_effects" not in self.__dict__:
            return
        known = {effect.name for effect in self._effects}
        for prototype in qSlicerSegmentEditorEffectFactory.instance().registeredEffects():
            effect = prototype.clone() if prototype.name not in known else None
            if effect is None:
                continue
            effect.editor = self
            effect.setParent(self)
            self._effects.append(effect)
            self._panel.add_effect(effect)
            effect.setupOptionsFrame()
            if self._node is not None:
                effect.setParameterSetNode(self._node)
                effect.setMRMLDefaults()
        self._panel.order_effects(self._shown())

    def _shown(self):
        rest = [e.name for e in self._effects if e.name not in self._order] if self.unorderedEffectsVisible else []
        return [e for e in (self.effectByName(name) for name in (*self._order, *rest)) if e is not None]

    def availableEffectNames(self):
        return [effect.name for effect in self._effects]

    def setEffectNameOrder(self, names):
        self._order = list(names)
        self.updateEffectList()

    def effectNameOrder(self):
        return list(self._order)

    def effectCount(self):
        return len(self._shown())

    def effectByIndex(self, index):
        shown = self._shown()
        return shown[index] if 0 <= index < len(shown) else None

    def effectByName(self, name):
        return next((effect for effect in self._effects if effect.name == name), None)

    def activeEffect(self):
        return self._active

    def setActiveEffect(self, effect):
        if self._node is not None:
            self._node.SetActiveEffectName(effect.name if effect is not None else "")

    def setActiveEffectByName(self, name):
        self.setActiveEffect(self.effectByName(name))

    # ---- events of the views ----
    def setupViewObservations(self):
        self._views.observe()

    def removeViewObservations(self):
        self._views.stop()

    def _layout_changed(self, _layout):
        if self._views.observed:
            self.setupViewObservations()
            if self.autoShowSourceVolumeNode and self._volume is not None:
                self._views.show(self._volume)
            for effect in self._effects:
                effect.layoutChanged()

    # ---- undo and shortcuts ----
    def saveStateForUndo(self):
        if self.logic.GetMaximumNumberOfUndoStates() > 0:
            self.logic.SaveStateForUndo()
        self._panel.update_undo(self.logic)

    def undo(self):
        self.logic.Undo()
        self._panel.update_undo(self.logic)

    def redo(self):
        self.logic.Redo()
        self._panel.update_undo(self.logic)

    def toggleSourceVolumeIntensityMaskEnabled(self):
        self._node.SetSourceVolumeIntensityMask(not self._node.GetSourceVolumeIntensityMask())

    def installKeyboardShortcuts(self, parent=None):
        self._keys.install(parent or slicer.app._object.mainWindow())

    def uninstallKeyboardShortcuts(self):
        self._keys.uninstall()


def _complain(text, node):
    """Slicer logs it and goes on; nothing is said when a selection is only cleared."""
    if node is not None:
        QtCore.qCritical(text)


for _property in ("segmentationNodeSelectorVisible", "sourceVolumeNodeSelectorVisible", "autoShowSourceVolumeNode", "undoEnabled",
                  "switchToSegmentationsButtonVisible", "maximumNumberOfUndoStates", "readOnly"):  # fmt: skip
    _setter = "set" + _property[0].upper() + _property[1:]
    setattr(qMRMLSegmentEditorWidget, _setter, lambda self, value, name=_property: setattr(self, name, value))
