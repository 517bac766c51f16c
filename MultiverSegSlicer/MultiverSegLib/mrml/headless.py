"""A headless stand-in for the Slicer application, so that the same logic code runs in a test, on the command line and in Slicer.

The ``slicer-core`` wheel brings MRML, its logics and ``slicer.util``, but not what the Qt application sets up around them: the scene, the module
logics, the readers and writers, default colours, subject hierarchy items. ``start()`` sets these up and publishes them as ``slicer.mrmlScene``,
``slicer.app`` and ``slicer.modules``; inside the application it does nothing.

    scene = start()
    volume = load_volume("image.nrrd")
    ...
    scene.close()
"""

from __future__ import annotations

import atexit
import colorsys
import os
import sys
import types
from pathlib import Path
from typing import Any

from ..core.files import ScratchFolder
from .headless_files import FileManager

_TABLES = ("GenericColors", "GenericAnatomyColors", "DarkBrightChartColors")
#: Nodes without a subject hierarchy item in the application.
_WITHOUT_ITEM = ("vtkMRMLDisplayNode", "vtkMRMLColorNode", "vtkMRMLStorageNode", "vtkMRMLSubjectHierarchyNode", "vtkMRMLScriptedModuleNode")
_WITH_ITEM = ("vtkMRMLDisplayableNode", "vtkMRMLTransformNode", "vtkMRMLStorableNode")


def in_slicer() -> bool:
    """True inside the real application."""
    slicer = sys.modules.get("slicer")
    if slicer is None:
        try:
            import slicer
        except ImportError:
            return False
    return hasattr(slicer, "qSlicerApplication")


class ApplicationScene:
    """What ``start`` returns inside the application: everything is there already, and nothing is ours to close."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []

    @property
    def scene(self) -> Any:
        import slicer

        return slicer.mrmlScene

    def close(self) -> None:
        """Nothing to close: the scene belongs to the application."""


class _Module:
    """What logic code uses of an application module."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name, self.path = name, ""
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


class _Application:
    """The part of qSlicerApplication that needs no Qt and that ``slicer.util`` calls."""

    applicationName = "Slicer"

    def __init__(self, host: HeadlessScene) -> None:
        self._host = host

    def applicationLogic(self) -> Any:
        return self._host.application_logic

    def mrmlScene(self) -> Any:
        return self._host.scene

    def coreIOManager(self) -> FileManager:
        return self._host.files

    ioManager = coreIOManager

    def moduleManager(self) -> _Application:
        return self

    def module(self, name: str) -> _Module | None:
        return self._host.modules.get(name)

    def modulesNames(self) -> list[str]:
        return list(self._host.modules)

    def layoutManager(self) -> None:
        return None

    def mainWindow(self) -> None:
        return None

    def testingEnabled(self) -> bool:
        return True

    def processEvents(self) -> None:
        pass

    def translate(self, _context: str, text: str) -> str:
        return text

    def pauseRender(self) -> None:
        self._host.application_logic.PauseRender()

    def resumeRender(self) -> None:
        self._host.application_logic.ResumeRender()

    def startupEnvironment(self) -> dict[str, str]:
        return dict(os.environ)

    @property
    def temporaryPath(self) -> str:
        return self._host.folder


class HeadlessScene:
    """A scene with the application's logics around it. At most one at a time; ``close`` before the next.

    Attributes:
        scene: the vtkMRMLScene.
        messages: (event, text) of every VTK error and warning since the start; a test asserts that there is none.
    """

    def __init__(self, terminologies: str | Path | None = None) -> None:
        import slicer
        import vtk
        import vtkmodules.vtkRenderingFreeType  # noqa: F401  (factory overrides that markups need)

        self._scratch = ScratchFolder("multiverseg-")
        self.folder = str(self._scratch.path)
        self.messages: list[tuple[str, str]] = []
        self._collect_messages(vtk)
        self.scene = slicer.vtkMRMLScene()
        self.scene.SetRootDirectory(self.folder)
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        self.application_logic = self._make_application_logic(slicer, vtk)
        self.modules: dict[str, _Module] = {}
        self._add_modules(slicer, terminologies)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        self._tags = self._keep_subject_hierarchy(slicer, vtk)
        self.files = FileManager(self)
        self.application = _Application(self)
        self._publish(slicer)
        atexit.register(self.close)

    def logic(self, name: str) -> Any:
        """The logic of a module, e.g. ``logic("Segmentations")``."""
        return self.modules[name].logic()

    def close(self) -> None:
        """Take the scene and the logics down. Nodes and arrays that are still held elsewhere stay readable."""
        if self.scene is None:
            return
        import slicer
        import vtk

        for name in ("mrmlScene", "app", "modules", "moduleNames"):
            if hasattr(slicer, name):
                delattr(slicer, name)
        warnings = vtk.vtkObject.GetGlobalWarningDisplay()
        vtk.vtkObject.GlobalWarningDisplayOff()
        for tag in self._tags:
            self.scene.RemoveObserver(tag)
        self.scene.Clear(1)
        for module in self.modules.values():
            module.logic().SetMRMLScene(None)
            module.logic().SetMRMLApplicationLogic(None)
        self.application_logic.SetMRMLScene(None)
        self.modules.clear()
        self.application = self.files = self.application_logic = self.scene = self._remote = self._data_io = None
        vtk.vtkObject.SetGlobalWarningDisplay(warnings)
        self._scratch.remove()
        atexit.unregister(self.close)

    def _collect_messages(self, vtk: Any) -> None:
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        self._window = vtk.vtkStringOutputWindow()
        vtk.vtkOutputWindow.SetInstance(self._window)
        messages = self.messages

        @vtk.calldata_type(vtk.VTK_STRING)
        def keep(_caller: Any, event: str, text: str) -> None:
            messages.append((event, text))

        for event in ("ErrorEvent", "WarningEvent"):
            self._window.AddObserver(event, keep)

    def _make_application_logic(self, slicer: Any, vtk: Any) -> Any:
        logic = slicer.vtkSlicerApplicationLogic()
        logic.SetTemporaryPath(self.folder)
        logic.SetHomeDirectory(str(self._write_color_tables()))
        logic.SetShareDirectory("share")
        logic.SetMRMLScene(self.scene)
        logic.SetSliceLogics(vtk.vtkCollection())
        logic.SetViewLogics(vtk.vtkCollection())
        self._remote = slicer.vtkMRMLRemoteIOLogic()  # reading scenes goes through it
        cache = os.path.join(self.folder, "cache")
        os.makedirs(cache)
        manager = self._remote.GetCacheManager()
        if hasattr(manager, "CreateSentinelFileInDirectory"):
            manager.CreateSentinelFileInDirectory(cache)
        manager.SetRemoteCacheDirectory(cache)
        self._data_io = slicer.vtkDataIOManagerLogic()
        self._data_io.SetMRMLApplicationLogic(logic)
        self._data_io.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        logic.SetMRMLSceneDataIO(self.scene, self._remote, self._data_io)
        return logic

    def _write_color_tables(self) -> Path:
        """The wheel has no colour files, and labelmap display nodes warn without them."""
        home = Path(self.folder, "home")
        folder = home / "share" / "ColorFiles"
        folder.mkdir(parents=True)
        rows = ["0 background 0 0 0 0"]
        for label in range(1, 256):
            red, green, blue = (int(255 * part) for part in colorsys.hsv_to_rgb(label * 0.618 % 1, 0.6, 0.9))
            rows.append(f"{label} label_{label} {red} {green} {blue} 255")
        for table in _TABLES:
            (folder / f"{table}.txt").write_text("\n".join(rows) + "\n")
        return home

    def _add_modules(self, slicer: Any, terminologies: str | Path | None) -> None:
        colors = self._add_module("Colors", slicer.vtkSlicerColorLogic())
        self.application_logic.SetColorLogic(colors)
        colors.AddDefaultColorNodes()
        if terminologies:
            logic = slicer.vtkSlicerTerminologiesModuleLogic()
            logic.SetModuleShareDirectory(str(terminologies))
            self._add_module("Terminologies", logic)
        for name, class_name in (
            ("Units", "vtkSlicerUnitsLogic"),
            ("SubjectHierarchy", "vtkSlicerSubjectHierarchyModuleLogic"),
            ("Volumes", "vtkSlicerVolumesLogic"),
            ("Markups", "vtkSlicerMarkupsLogic"),
            ("Models", "vtkSlicerModelsLogic"),
            ("Transforms", "vtkSlicerTransformLogic"),
            ("Tables", "vtkSlicerTablesLogic"),
            ("Texts", "vtkSlicerTextsLogic"),
            ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
            ("Sequences", "vtkSlicerSequencesLogic"),
            ("CropVolume", "vtkSlicerCropVolumeLogic"),
        ):
            self._add_module(name, getattr(slicer, class_name)())

    def _add_module(self, name: str, logic: Any) -> Any:
        logic.SetMRMLApplicationLogic(self.application_logic)
        logic.SetMRMLScene(self.scene)
        self.application_logic.SetModuleLogic(name, logic)
        self.modules[name] = _Module(name, logic)
        return logic

    def _keep_subject_hierarchy(self, slicer: Any, vtk: Any) -> list[int]:
        """In the application, Qt plug-ins add and remove the items of nodes; here, two observers do."""
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(scene: Any, _event: str, node: Any) -> None:
            if scene.IsImporting() or node.GetHideFromEditors() or any(node.IsA(name) for name in _WITHOUT_ITEM):
                return
            items = hierarchy(scene)
            if items and any(node.IsA(name) for name in _WITH_ITEM) and not items.GetItemByDataNode(node):
                items.CreateItem(items.GetSceneItemID(), node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(scene: Any, _event: str, node: Any) -> None:
            items = None if scene.IsClosing() else hierarchy(scene)
            item = items.GetItemByDataNode(node) if items else 0
            if item:
                items.RemoveItem(item, False, False)

        hierarchy(self.scene)
        scene = self.scene
        return [scene.AddObserver(scene.NodeAddedEvent, added), scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed)]

    def _publish(self, slicer: Any) -> None:
        modules, names = types.ModuleType("slicer.modules"), types.ModuleType("slicer.moduleNames")
        for name, module in self.modules.items():
            setattr(modules, name.lower(), module)
            setattr(names, name, name)
        sys.modules["slicer.modules"], sys.modules["slicer.moduleNames"] = modules, names
        slicer.modules, slicer.moduleNames = modules, names
        slicer.app, slicer.mrmlScene = self.application, self.scene
        if not hasattr(slicer, "qSlicerScriptedLoadableModule"):  # slicer.util asks whether a module is one
            slicer.qSlicerScriptedLoadableModule = type("qSlicerScriptedLoadableModule", (), {})


_host: HeadlessScene | None = None


def start(terminologies: str | Path | None = None) -> HeadlessScene | ApplicationScene:
    """Start the headless scene, or return the running one; inside the application, one that does nothing.

    Args:
        terminologies: folder with Slicer's ``*.term.json`` files, which the wheel lacks. Without it segments keep the default "Tissue" terminology.
    """
    global _host
    if in_slicer():
        return ApplicationScene()
    if _host is None or _host.scene is None:
        _host = HeadlessScene(terminologies)
    return _host
