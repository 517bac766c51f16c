"""A scripted module as Slicer's template makes it, for the tests of the host."""

import enum
import pathlib
from typing import Annotated, Optional

import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Default, Minimum, WithinRange, parameterNodeWrapper, parameterPack
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class Axis(enum.Enum):
    AXIAL = 1
    CORONAL = 2


@parameterPack
class Range:
    low: Annotated[float, Default(1.0)]
    high: Annotated[float, Default(5.0)]


@parameterNodeWrapper
class HostSampleParameters:
    volume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    threshold: Annotated[float, WithinRange(0, 100)] = 50
    count: Annotated[int, Minimum(1)] = 8
    live: bool = True
    structure: str
    axis: Axis
    model: Annotated[str, Choice(["compact", "full"]), Default("full")]
    folder: pathlib.Path
    limit: Optional[int]  # noqa: UP045  (Slicer's wrapper does not know `int | None`)
    names: list[str]
    range: Range


class HostSample(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Host Sample")
        self.parent.categories = ["Testing"]
        self.started = False
        slicer.app.connect("startupCompleted()", self.onStartup)

    def onStartup(self):
        self.started = True


class HostSampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.calls = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from HostSampleLib import ui

        ui.loads.append(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/HostSample.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = HostSampleLogic()
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.parameters = self.logic.getParameterNode()
        self.tag = self.parameters.connectGui(self.ui)

    def cleanup(self):
        self.calls.append("cleanup")
        self.removeObservers()

    def enter(self):
        self.calls.append("enter")

    def exit(self):
        self.calls.append("exit")

    def onSceneEndClose(self, caller, event):
        self.parameters = self.logic.getParameterNode()

    def onApply(self):
        with slicer.util.tryWithErrorDisplay("Failed."):
            self.calls.append(self.logic.double(self.parameters.threshold))


class HostSampleLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return HostSampleParameters(super().getParameterNode())

    def double(self, value):
        if value > 90:
            raise ValueError("too much")
        return 2 * value


class HostSampleTest(ScriptedLoadableModuleTest):
    ran = 0

    def runTest(self):
        self.delayDisplay("running")
        assert HostSampleLogic().double(2) == 4
        assert vtk.vtkVersion is not None
        HostSampleTest.ran += 1
