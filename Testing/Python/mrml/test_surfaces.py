"""The closed surface is the one that Slicer's own conversion makes of the same voxels, with its outside outside."""

import numpy as np
import pytest
import slicer
import vtk
from MultiverSegLib.mrml.segments import add_segment, new_segmentation, set_segment
from MultiverSegLib.mrml.surfaces import closed_surface
from MultiverSegLib.mrml.volumes import ijk_to_ras
from volume_cases import VolumeCase, rotation
from vtk.util.numpy_support import vtk_to_numpy

MATRIX = np.eye(4)
MATRIX[:3, :3], MATRIX[:3, 3] = rotation([0.3, 1, 0.2], 25) * [0.7, 0.9, 2.5], [-12, 30, 4]


def shape(kind):
    k, j, i = np.indices((16, 24, 28))
    ball = ((k - 7) / 5.0) ** 2 + ((j - 11) / 8.0) ** 2 + ((i - 13) / 9.0) ** 2 <= 1
    if kind == "with a hole and a second part":
        ball &= ((k - 7) / 2.0) ** 2 + ((j - 11) / 3.0) ** 2 + ((i - 13) / 3.0) ** 2 > 1
        ball[13:15, 2:6, 3:8] = True
    if kind == "at the border":
        ball[0:3, 0:5, 0:5] = True
    return ball


@pytest.mark.parametrize("kind", ["ball", "with a hole and a second part", "at the border"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_it_is_slicers_own(host, kind, mirrored):
    matrix = MATRIX @ np.diag([-1.0, 1, 1, 1]) if mirrored else MATRIX
    mask = shape(kind)
    volume = VolumeCase(np.zeros(mask.shape, np.int16), matrix).node()
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "part")
    set_segment(segmentation, segment_id, volume, mask)
    assert segmentation.CreateClosedSurfaceRepresentation()
    theirs = vtk.vtkPolyData()
    segmentation.GetClosedSurfaceRepresentation(segment_id, theirs)
    ours = closed_surface(mask, ijk_to_ras(volume))
    assert ours.GetNumberOfPolys() == theirs.GetNumberOfPolys() > 100
    points = [vtk_to_numpy(surface.GetPoints().GetData()).astype(float) for surface in (ours, theirs)]
    assert points[0].shape == points[1].shape
    distance = np.sqrt(((points[0][:, None] - points[1][None]) ** 2).sum(-1)).min(1)
    assert distance.max() < 1e-3, "mm"
    volumes = [_volume(surface) for surface in (ours, theirs)]
    assert volumes[0] == pytest.approx(abs(volumes[1]), rel=1e-5), "positive: not turned inside out, as Slicer's is on a mirrored grid"


def _volume(surface):
    """Signed: by the divergence theorem, from the order of each triangle's corners."""
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(float)
    corners = points[vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)] - points.mean(0)
    return float(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def test_slicer_has_the_settings_that_ours_assumes(host):
    rule = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule()
    assert float(rule.GetConversionParameter(rule.GetSmoothingFactorParameterName())) == 0.5
    assert float(rule.GetConversionParameter(rule.GetDecimationFactorParameterName())) == 0.0
