"""Slicer's own Segment Editor module, as far as other modules reach into it: ``widgetRepresentation().self().editor``."""

import qt
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget


class SegmentEditor(ScriptedLoadableModule):
    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = "Segment Editor"
        self.parent.categories = ["", "Segmentation"]


class SegmentEditorWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        super().setup()
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.parameterSetNode = None
        self.editor.setMaximumNumberOfUndoStates(10)
        self.selectParameterNode()
        self.editor.setMRMLScene(slicer.mrmlScene)
        self.layout.addWidget(self.editor)

    def selectParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag("SegmentEditor")
            node = slicer.mrmlScene.AddNode(node)
        if node != self.parameterSetNode:
            self.parameterSetNode = node
            self.editor.setMRMLSegmentEditorNode(node)

    def enter(self):
        self.selectParameterNode()
        self.editor.updateWidgetFromMRML()
        self.editor.setupViewObservations()
        self.editor.installKeyboardShortcuts()
        qt.QApplication.processEvents()

    def exit(self):
        self.editor.setActiveEffect(None)
        self.editor.uninstallKeyboardShortcuts()
        self.editor.removeViewObservations()

    def cleanup(self):
        self.exit()
