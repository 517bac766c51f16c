"""The module's panel: fits the parts together and binds them to the parameter node, which alone keeps the state."""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ...core.errors import MultiverSegError
from ..shared import contexts, options, service
from ..shared.widgets import choose, choose_or_add, described
from .gallery import Gallery
from .predict_box import PredictBox
from .setup_box import SetupBox
from .uncertainty import UncertaintyBox

_SINGLETON = "MultiverSeg"


class Panel(VTKObservationMixin):
    """``widget``: the loaded .ui file; ``logic``: MultiverSegSlicerLogic; ``make_cohort``: makes the cohort's part of the panel from the named
    widgets and this panel."""

    def __init__(self, widget, logic, make_cohort) -> None:
        VTKObservationMixin.__init__(self)
        self.widget = widget
        self.logic = logic
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.parameters = None
        self._gui_tag = None
        self._updating = False
        self._missed = False
        self._shown_structure = ""
        self._shown_volume = None
        self.contexts = contexts.shared()
        self.contexts.changed.connect(self._context_changed)
        self.service = service.shared()
        self._make_editor()
        for axis, text in (("axial", _("axial")), ("coronal", _("coronal")), ("sagittal", _("sagittal"))):
            self.ui.axisComboBox.addItem(text, axis)
        self.setup = SetupBox(self.ui, self._setup_changed)
        self.gallery = Gallery(self.ui, self.context, self.context_to_change, self.show_example, self.remove_example)
        self.predict = PredictBox(self.ui, self)
        self.uncertainty = UncertaintyBox(self.ui.editorCollapsibleButton.layout(), self.service.events)
        self.cohort = make_cohort(self.ui, self)
        self.ui.structureComboBox.lineEdit().connect("editingFinished()", self._structure_edited)
        self.ui.structureComboBox.connect("activated(int)", lambda index: self._structure_edited())
        self.ui.axisComboBox.connect("activated(int)", self._axis_chosen)

    def _make_editor(self) -> None:
        self.editor = described(slicer.qMRMLSegmentEditorWidget(), _("Slicer's Segment Editor."), _("Segment Editor"))
        self.editor.setMaximumNumberOfUndoStates(10)
        self.editor.segmentationNodeSelectorVisible = False
        self.editor.sourceVolumeNodeSelectorVisible = False
        self.ui.editorCollapsibleButton.layout().addWidget(self.editor)
        self._select_editor_node()
        self.editor.setMRMLScene(slicer.mrmlScene)
        # the editor knows the effects that were registered before it was made; as the start-up module we are made before all scripted ones
        self.effects = slicer.qSlicerSegmentEditorEffectFactory.instance()
        self.effects.connect("effectRegistered(QString)", self._effect_registered)

    def _effect_registered(self, name) -> None:
        self.editor.updateEffectList()
        if self.parameters is not None:
            self._update()
            self._select_effect()

    def _select_editor_node(self) -> None:
        node = slicer.mrmlScene.GetSingletonNode(_SINGLETON, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(_SINGLETON)
            node = slicer.mrmlScene.AddNode(node)
        if self.editor.mrmlSegmentEditorNode() is not node:
            self.editor.setMRMLSegmentEditorNode(node)
        for event in (vtk.vtkCommand.ModifiedEvent, node.EffectParameterModified):
            if not self.hasObserver(node, event, self._editor_modified):
                self.addObserver(node, event, self._editor_modified)

    def _editor_modified(self, node, event) -> None:
        """The effect's structure and the panel's are one; another segment may mean another structure."""
        if self._updating or self.parameters is None:
            return
        self.cohort.follow_segment()
        structure = node.GetAttribute(f"{options.EFFECT_NAME}.Structure")
        if structure is not None and structure != self.parameters.structure:
            self.parameters.structure = structure
        elif self.structure() != self._shown_structure:
            self._update()

    # Life

    def loaded(self) -> None:
        """Loading is over: shows what was left out meanwhile."""
        if self._missed:
            self._update()

    def enter(self, new_scene: bool = False) -> None:
        """The module is shown, or (``new_scene``) the scene was replaced while it is."""
        self._select_editor_node()
        if new_scene and self.editor.segmentationNode() is not None:
            segmentation = self.editor.segmentationNode()  # given anew, or its undo history stays that of the scene before
            self.editor.setSegmentationNode(None)
            self.editor.setSegmentationNode(segmentation)
        self.editor.setupViewObservations()
        self.editor.installKeyboardShortcuts()
        self._set_parameters(self.logic.getParameterNode())
        self._choose_defaults()
        self.contexts.provider.forget()
        self._update()
        self.setup.show_presence()
        self.cohort.enter()
        self._select_effect()

    def exit(self) -> None:
        """Another module is shown."""
        self.cohort.exit()
        self.predict.cancel()
        self.uncertainty.forget()
        self.editor.setActiveEffect(None)
        self.editor.uninstallKeyboardShortcuts()
        self.editor.removeViewObservations()
        self._set_parameters(None)

    def release_scene(self) -> None:
        """The scene is about to be closed: keep nothing of it."""
        self.predict.cancel()
        self.uncertainty.forget()
        self.cohort.release_scene()
        self.editor.setActiveEffect(None)
        self.editor.setSegmentationNode(None)
        self.editor.removeViewObservations()
        self._set_parameters(None)

    def close(self) -> None:
        """The panel is about to be destroyed (application exit, module reload)."""
        self._set_parameters(None)
        self.removeObservers()
        self.effects.disconnect("effectRegistered(QString)", self._effect_registered)
        self.contexts.changed.disconnect(self._context_changed)
        self.predict.close()
        self.uncertainty.close()
        self.cohort.close()
        self.editor.setActiveEffect(None)
        self.service.close()
        self.editor.uninstallKeyboardShortcuts()
        self.editor.removeViewObservations()
        self.editor.setMRMLSegmentEditorNode(None)
        self.editor.setMRMLScene(None)

    # State

    def _set_parameters(self, parameters) -> None:
        if self.parameters is not None:
            self.parameters.disconnectGui(self._gui_tag)
            self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._update)
        self.parameters = parameters
        if parameters is not None:
            self._gui_tag = parameters.connectGui(self.ui)
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._update)

    def _choose_defaults(self) -> None:
        scene = slicer.mrmlScene
        if self.parameters.sourceVolume is None:
            self.parameters.sourceVolume = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        self._shown_volume = self.parameters.sourceVolume
        if self.parameters.segmentation is None and self.parameters.sourceVolume is not None:
            self.parameters.segmentation = self.logic.tasks.segmentation_for(self.parameters.sourceVolume, self.parameters.structure)

    def _update(self, caller=None, event=None) -> None:
        """Show what the parameter node says."""
        if self._updating or self.parameters is None:
            return
        if _loading():  # nodes are there whose references are not: what is shown now would be taken for the person's choice
            self._missed = True
            return
        self._updating, self._missed = True, False
        try:
            self._follow_volume()
            segmentation, volume = self.parameters.segmentation, self.parameters.sourceVolume
            other = self.editor.segmentationNode() is not segmentation
            if other:
                self.editor.setSegmentationNode(segmentation)
            if segmentation is not None and self.editor.sourceVolumeNode() is not volume:
                self.editor.setSourceVolumeNode(volume)
            if other:
                self._select_effect()
            self._fill_structures()
            choose(self.ui.axisComboBox, self.parameters.axis)
            self.effect_parameter("Structure", self.parameters.structure)
            self.effect_parameter("Axis", self.parameters.axis)
            self._shown_structure = self.structure()
            self.gallery.update()
            self.predict.update()
        finally:
            self._updating = False

    def _follow_volume(self) -> None:
        """Another volume was chosen: its own segmentation takes the results, never the one of the volume before."""
        volume = self.parameters.sourceVolume
        if volume is self._shown_volume:
            return
        self._shown_volume = volume
        self.uncertainty.forget()
        before = self.parameters.segmentation
        if volume is not None and not self.logic.tasks.belongs(before, volume):
            self.parameters.segmentation = self.logic.tasks.segmentation_for(volume, self.parameters.structure)
            self.logic.tasks.show_only(self.parameters.segmentation, before)

    def _select_effect(self) -> None:
        if self.editor.segmentationNode() is not None and self.editor.activeEffect() is None:
            self.editor.setActiveEffectByName(options.EFFECT_NAME)

    def effect_parameter(self, name: str, value: str) -> None:
        """Set a parameter of our effect in the embedded editor; the effect's options show it then."""
        effect = self.editor.effectByName(options.EFFECT_NAME)
        if effect is not None and self.editor.mrmlSegmentEditorNode() is not None:
            effect.setParameter(name, value)

    def _fill_structures(self) -> None:
        box = self.ui.structureComboBox
        names = self.contexts.provider.structures()
        if [box.itemText(i) for i in range(box.count)] != ["", *names]:
            box.clear()
            box.addItem("")
            box.addItems(names)
        choose_or_add(box, self.parameters.structure)

    def _structure_edited(self) -> None:
        if self.parameters is not None and not self._updating:
            self.parameters.structure = self.ui.structureComboBox.currentText.strip()
            self.logic.tasks.name_segment(self.parameters.segmentation, self.segment_id(), self.parameters.structure)
            self.cohort.follow_name(self.parameters.structure)

    def _axis_chosen(self, index) -> None:
        if self.parameters is not None:
            self.parameters.axis = str(self.ui.axisComboBox.itemData(index))

    def _context_changed(self) -> None:
        if self.parameters is not None:
            self._update()

    def _setup_changed(self) -> None:
        self.contexts.provider.forget()
        if self.parameters is not None:
            self._update()

    # What the parts ask for

    def context(self):
        """The ContextSet of the structure chosen now; None without a structure."""
        structure = self.structure()
        try:
            return self.contexts.provider.context(structure) if structure else None
        except MultiverSegError as error:
            self.ui.statusLabel.text = str(error)
            return None

    def context_to_change(self):
        """The same for whoever is about to change it. Raises MultiverSegError where the cohort is held by somebody else."""
        return self.contexts.provider.to_change(self.structure())

    def structure(self) -> str:
        """The structure's name: as chosen, else that of the selected segment."""
        if self.parameters is None:
            return ""
        return self.parameters.structure or self.logic.tasks.segment_name(self.parameters.segmentation, self.segment_id())

    def segment_id(self) -> str:
        return str(self.editor.currentSegmentID() or "")

    def remove_example(self, example) -> None:
        """Take an example out; in a cohort this marks what was predicted with it."""
        self.contexts.provider.remove(self.structure(), example)

    def show_example(self, example) -> None:
        """Show the slice of an example, if the volume of its case is in the scene."""
        if not self.logic.tasks.show_example(example):
            text = _("The volume of the case '{case}' is not in the scene: load it to see the slice.")
            slicer.util.infoDisplay(text.format(case=example.case))


def _loading() -> bool:
    """Whether the scene is being read, or changed in one go."""
    return bool(slicer.mrmlScene.IsImporting() or slicer.mrmlScene.IsBatchProcessing())
