"""Reading and writing nodes as ``slicer.util.load*`` and ``save*`` ask the application to, with MRML's own readers and writers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .headless import HeadlessScene

_TYPES = {
    "SegmentationFile": (".seg.nrrd", ".seg.nhdr", ".seg.vtm"),
    "MarkupsFile": (".mrk.json", ".fcsv"),
    "SceneFile": (".mrml", ".mrb"),
    "TransformFile": (".tfm", ".h5", ".mat"),
    "ColorTableFile": (".ctbl",),
    "TableFile": (".csv", ".tsv"),
    "TextFile": (".txt", ".json"),
    "ModelFile": (".stl", ".obj", ".ply", ".vtp", ".vtk"),
}
#: Bits of vtkSlicerVolumesLogic's loading options, by the property that slicer.util passes.
_VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8, "discardOrientation": 16}


class FileManager:
    """The calls of qSlicerCoreIOManager that ``slicer.util`` makes."""

    def __init__(self, host: HeadlessScene) -> None:
        self._host = host

    def fileType(self, file_name: Any) -> str:
        name = str(file_name).lower()
        return next((kind for kind, endings in _TYPES.items() if name.endswith(endings)), "VolumeFile")

    def fileWriterFileType(self, node: Any) -> str:
        return node.GetClassName() if node else "SceneFile"

    def loadNodes(self, kind: str, properties: dict, loaded: Any, messages: Any = None) -> bool:
        path = os.path.abspath(str(properties["fileName"]))
        if kind == "SceneFile":
            return self._load_scene(path, bool(properties.get("clear")))
        if kind == "MarkupsFile":
            ids = self._host.logic("Markups").LoadMarkups(path, properties.get("name") or None, messages) or ""
            nodes = [self._host.scene.GetNodeByID(node_id) for node_id in ids.split(",") if node_id]
        else:
            nodes = [self._load_node(kind, path, properties, messages)]
        for node in filter(None, nodes):
            loaded.AddItem(node)
        return any(nodes)

    def saveNodes(self, kind: str, properties: dict, messages: Any = None) -> bool:
        path = os.path.abspath(str(properties["fileName"]))
        scene = self._host.scene
        if kind == "SceneFile":
            scene.SetURL(path)
            scene.SetRootDirectory(os.path.dirname(path))
            return bool(scene.Commit() if path.lower().endswith(".mrml") else scene.WriteToMRB(path))
        node = scene.GetNodeByID(properties["nodeID"])
        if node is None or not node.IsA("vtkMRMLStorableNode"):
            return False
        node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        storage.ResetFileNameList()
        if "useCompression" in properties:
            storage.SetUseCompression(int(bool(properties["useCompression"])))
        written = bool(storage.WriteData(node))
        if messages is not None and storage.GetUserMessages().GetNumberOfMessages():
            messages.AddMessages(storage.GetUserMessages())
        return written

    def _load_scene(self, path: str, clear: bool) -> bool:
        scene = self._host.scene
        if path.lower().endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear))
        scene.SetURL(path)
        return bool(scene.Connect() if clear else scene.Import())

    def _load_node(self, kind: str, path: str, properties: dict, messages: Any) -> Any:
        logic, name = self._host.logic, properties.get("name") or ""
        if kind == "VolumeFile":
            return self._load_volume(path, name or Path(path).name.split(".")[0], properties)
        if kind == "SegmentationFile":
            colors = self._host.scene.GetNodeByID(properties["colorNodeID"]) if properties.get("colorNodeID") else None
            return logic("Segmentations").LoadSegmentationFromFile(
                path, bool(properties.get("autoOpacities", True)), name, colors, messages
            )
        if kind == "TransformFile":
            return logic("Transforms").AddTransform(path, self._host.scene, messages)
        if kind == "ModelFile":
            import slicer

            system = properties.get("coordinateSystem", slicer.vtkMRMLStorageNode.CoordinateSystemLPS)
            return logic("Models").AddModel(path, system, messages)
        if kind == "ColorTableFile":
            return logic("Colors").LoadColorFile(path, name or None, messages)
        if kind == "TableFile":
            return logic("Tables").AddTable(path, name or None)
        if kind == "TextFile":
            return logic("Texts").AddText(path, name or None)
        raise NotImplementedError(kind)

    def _load_volume(self, path: str, name: str, properties: dict) -> Any:
        import vtk

        options = sum(bit for option, bit in _VOLUME_OPTIONS.items() if properties.get(option))
        files = None
        if properties.get("fileNames"):
            files = vtk.vtkStringArray()
            for file_name in properties["fileNames"]:
                files.InsertNextValue(str(file_name))
        return self._host.logic("Volumes").AddArchetypeVolume(path, name, options, files)
