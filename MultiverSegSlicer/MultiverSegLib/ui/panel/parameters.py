"""The state of the module's panel: one parameter node with typed fields, saved with the scene."""

from slicer import (
    vtkMRMLMarkupsClosedCurveNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLMarkupsROINode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
)
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class MultiverSegParameters:
    """``axis``: "axial", "coronal" or "sagittal". ``firstSlice``, ``lastSlice``: voxel indices along it; last < first: all slices.

    ``positiveSegment``, ``negativeSegment``: ids of painted segments that serve as prompts.
    """

    sourceVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    structure: str = ""
    axis: str = "axial"
    firstSlice: int = 0
    lastSlice: int = -1
    positivePoints: vtkMRMLMarkupsFiducialNode
    negativePoints: vtkMRMLMarkupsFiducialNode
    box: vtkMRMLMarkupsROINode
    curve: vtkMRMLMarkupsClosedCurveNode
    positiveSegment: str = ""
    negativeSegment: str = ""
