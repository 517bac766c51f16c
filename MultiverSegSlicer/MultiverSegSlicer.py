"""MultiverSeg for 3D Slicer: the scripted module. Everything it does is in MultiverSegLib; this file only fits it into Slicer."""

import os

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class MultiverSegSlicer(ScriptedLoadableModule):
    """Module description; registers the Segment Editor effect and the sample data once Slicer has started."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MultiverSeg")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "SegmentEditor"]
        self.parent.contributors = ["MultiverSeg for 3D Slicer contributors"]
        self.parent.helpText = _(
            "Segments a structure interactively, slice by slice, and learns from every accepted case: the next volumes need fewer prompts. "
            "See the <a href='https://github.com/MultiverSeg/SlicerMultiverSegCohort#readme'>documentation</a>. "
            "Research use, not for clinical decisions."
        )
        self.parent.acknowledgementText = _(
            "MultiverSeg: H. E. Wong, J. J. G. Ortiz, J. Guttag, A. V. Dalca, ICCV 2025. ScribblePrompt: H. E. Wong et al., ECCV 2024."
        )
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def onStartupCompleted():
    """Register what other modules need to know: the effect (Segment Editor) and the sample data (Sample Data)."""
    from MultiverSegLib.ui.panel import sample_data

    registerEffect()
    sample_data.register()


def registerEffect():
    """Make the effect known to the Segment Editor (once per session)."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    source = os.path.join(os.path.dirname(__file__), "MultiverSegLib", "ui", "MultiverSegPrompt", "MultiverSegPromptEffect.py")
    effect.setPythonSource(source.replace("\\", "/"))
    effect.self().register()


class MultiverSegSlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self.imported = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from MultiverSegLib.core.resources import resource_path
        from MultiverSegLib.ui.app import make_panel

        uiWidget = slicer.util.loadUI(str(resource_path("UI", "MultiverSegSlicer.ui")))
        self.layout.addWidget(uiWidget)
        self.logic = MultiverSegSlicerLogic()
        self.panel = make_panel(uiWidget, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneImported)
        # after the Segment Editor's own observer, which goes back to what its selectors showed before
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndBatchProcessEvent, self.onBatchEnded, priority=-1.0)
        if self.parent.isEntered:  # reloaded while it is shown
            self.panel.enter()

    def cleanup(self):
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()
            self.panel = None

    def enter(self):
        self.panel.enter()

    def exit(self):
        self.panel.exit()

    def onSceneStartClose(self, caller, event):
        self.panel.release_scene()

    def onSceneImported(self, caller, event):
        self.imported = True

    def onBatchEnded(self, caller, event):
        """What was read is taken over now: before, the Segment Editor would take it back."""
        if self.imported:
            self.imported = False
            self.onSceneChanged(caller, event)
        elif self.parent.isEntered:
            self.panel.loaded()

    def onSceneChanged(self, caller, event):
        if self.parent.isEntered:
            self.panel.enter(new_scene=True)


class MultiverSegSlicerLogic(ScriptedLoadableModuleLogic):
    """What the module can do without its panel; see MultiverSegLib.ui.panel.logic.ModuleLogic."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        from MultiverSegLib.ui.panel.logic import ModuleLogic

        self.tasks = ModuleLogic()

    def getParameterNode(self):
        from MultiverSegLib.ui.panel.parameters import MultiverSegParameters

        return MultiverSegParameters(super().getParameterNode())


class MultiverSegSlicerTest(ScriptedLoadableModuleTest):
    """Self-tests; the scenarios are in MultiverSegLib.ui.selftest, which Testing/Python/MultiverSegSlicerTest.py runs too."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        from MultiverSegLib.ui import selftest

        self.setUp()
        selftest.run(self)
