"""Headers that can't be true are refused before a C++ reader sees them: it would end the process, take all memory, or wait for ever."""

from __future__ import annotations

import gzip
import os
import struct
import time

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from file_cases import ball, segmentation
from MultiverSegLib.core.errors import MultiverSegError, SegmentationError, VolumeError
from MultiverSegLib.core.notices import noticed
from MultiverSegLib.mrml.segments import load_segmentation
from MultiverSegLib.mrml.volume_files import load_volume, read_plain
from MultiverSegLib.mrml.volumes import array_of

NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "4 5 6",
    "space directions": "(1,0,0) (0,1,0) (0,0,1)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(0,0,0)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "0 0 0",
    "ElementSpacing": "1 1 1",
    "DimSize": "4 5 6",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}
VOXELS = np.arange(120, dtype="<i2").tobytes()


def nrrd(path, voxels=VOXELS, **changes):
    fields = {**NRRD, **{key.replace("_", " "): value for key, value in changes.items()}}
    path.write_bytes(("NRRD0004\n" + "".join(f"{k}: {v}\n" for k, v in fields.items()) + "\n").encode() + voxels)
    return path


def meta(path, voxels=VOXELS, **changes):
    fields = {**META, **changes}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # the last line
    path.write_bytes("".join(f"{k} = {v}\n" for k, v in fields.items()).encode() + voxels)
    return path


def refused(path, told) -> None:
    for read in (load_volume, read_plain):
        start = time.perf_counter()
        with pytest.raises(VolumeError) as caught:
            read(path)
        assert told in str(caught.value) and "\n" not in str(caught.value), str(caught.value)
        assert time.perf_counter() - start < 5


def test_the_files_that_are_changed_below_are_good_ones(host, tmp_path):
    for path in (nrrd(tmp_path / "a.nrrd"), meta(tmp_path / "a.mha")):
        assert array_of(load_volume(path)).ravel().tolist() == list(range(120))


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"sizes": "2000 2000 1000"}, "header claims too much"),
        ({"sizes": "2000 2000 1000", "encoding": "gzip"}, "header claims too much"),
        ({"sizes": "60000 60000 60000"}, "header claims too much"),
        ({"sizes": "4 5 6 7"}, "4 values for 3 dimensions"),
        ({"sizes": "4 5 0"}, "sizes can't be"),
        ({"dimension": "4096"}, "can't have 4096 dimensions"),
        ({"type": "block"}, "blocks"),
        ({"type": "colour"}, "unknown type"),
        ({"space_origin": "(nan,0,0)"}, "space origin in its header is not a finite number"),
        ({"space_directions": "(1,0,0) (0,inf,0) (0,0,1)"}, "not a finite number"),
        ({"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}, "degenerate voxel grid"),
        ({"space_directions": "(1,0,0) (0,1,0) (-0.24,0.76,60000)"}, "voxels of 60000 mm: check the unit"),
        ({"data_file": "/dev/zero"}, "outside of the header's folder"),
        ({"data_file": "../a.raw"}, "outside of the header's folder"),
        ({"data_file": "gone.raw"}, "gone.raw is missing"),
        ({"data_file": "pipe.raw"}, "not a regular file"),
    ],
)
def test_nrrd(host, tmp_path, changes, told):
    os.mkfifo(tmp_path / "pipe.raw")
    refused(nrrd(tmp_path / "a.nrrd", **changes), told)
    host.messages.clear()


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"NDims": "4096"}, "can't have 4096 dimensions"),
        ({"DimSize": "2000 2000 1000"}, "header claims too much"),
        ({"DimSize": "4 -5 6"}, "DimSize can't be"),
        ({"ElementType": "MET_OTHER"}, "unknown type"),
        ({"Offset": "0 nan 0"}, "Offset in its header is not a finite number"),
        ({"ElementSpacing": "1 1 1e30"}, "check the unit"),
        ({"CompressedData": "True"}, "no CompressedDataSize"),
        ({"CompressedData": "True", "CompressedDataSize": "9999"}, "cut short"),
        ({"ElementDataFile": "pipe.raw"}, "not a regular file"),
        ({"ElementDataFile": "/dev/zero"}, "outside of the header's folder"),
        ({"ElementDataFile": "/etc/passwd"}, "outside of the header's folder"),
        ({"ElementDataFile": "LIST\n/etc/passwd"}, "outside of the header's folder"),
        ({"ElementDataFile": "gone.raw"}, "gone.raw is missing"),
    ],
)
def test_metaimage(host, tmp_path, changes, told):
    os.mkfifo(tmp_path / "pipe.raw")
    refused(meta(tmp_path / "a.mhd", **changes), told)
    host.messages.clear()


def test_detached_voxels_beside_their_header_are_read(host, tmp_path):
    (tmp_path / "v.raw").write_bytes(VOXELS)
    for path in (nrrd(tmp_path / "a.nhdr", b"", data_file="v.raw"), meta(tmp_path / "a.mhd", b"", ElementDataFile="v.raw")):
        assert array_of(load_volume(path)).ravel().tolist() == list(range(120))


def nifti(path, sform=None, qform=None, **fields):
    image = nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.eye(4))
    image.set_sform(sform if sform is not None else np.eye(4), 1 if sform is not None else 0)
    image.set_qform(qform if qform is not None else np.eye(4), 0 if sform is not None and qform is None else 1)
    for key, value in fields.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


def test_nifti(host, tmp_path):
    sheared = np.eye(4)
    sheared[0, 1] = 1e-3
    refused(nifti(tmp_path / "sheared.nii.gz", sform=sheared), "sform matrix is sheared by 0.001")
    refused(nifti(tmp_path / "flat.nii", sform=np.diag([1.0, 1, 0, 1])), "sform matrix is degenerate")
    refused(nifti(tmp_path / "far.nii", sform=np.diag([1.0, 1, 1e9, 1]), pixdim=[1, 1, 1, 1e9, 1, 1, 1, 1]), "check the unit")
    content = bytearray(nifti(tmp_path / "nan.nii", sform=np.eye(4)).read_bytes())
    content[108:112] = struct.pack("<f", float("nan"))
    (tmp_path / "offset.nii").write_bytes(content)
    refused(tmp_path / "offset.nii", "vox_offset in its header is not a finite number")
    content[108:112] = struct.pack("<f", 352)
    content[280:284] = struct.pack("<f", float("nan"))
    (tmp_path / "nan.nii").write_bytes(content)
    refused(tmp_path / "nan.nii", "sform in its header is not a finite number")
    nibabel.save(nibabel.Nifti2Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), tmp_path / "two.nii.gz")
    refused(tmp_path / "two.nii.gz", "it is NIfTI-2, which is not read: convert it")
    (tmp_path / "unpacked.nii.gz").write_bytes(nifti(tmp_path / "plain.nii").read_bytes())
    assert array_of(load_volume(tmp_path / "unpacked.nii.gz")).shape == (6, 5, 4)
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(bytes(400))[:20])
    refused(tmp_path / "cut.nii.gz", "can't be read")
    host.messages.clear()
    with noticed() as told:
        load_volume(nifti(tmp_path / "both.nii.gz", sform=sheared, qform=np.eye(4)))
        load_volume(nifti(tmp_path / "scales.nii.gz", sform=np.diag([1.0, 1, 2, 1]), pixdim=[1, 1, 1, 1, 1, 1, 1, 1]))
    assert any("qform is used" in text for text in told) and any("1 x 1 x 2 and 1 x 1 x 1 mm" in text for text in told)


@pytest.mark.parametrize("part", np.linspace(0.02, 0.99, 16))
@pytest.mark.parametrize("packed", [False, True])
def test_a_segmentation_that_was_cut_short(host, tmp_path, packed, part):
    _, inside = ball()
    whole = segmentation(tmp_path / "a.seg.nrrd", [inside, ~inside], ["a", "b"])
    if packed:
        image = sitk.ReadImage(str(whole))
        sitk.WriteImage(image, str(whole), True)
    content = whole.read_bytes()
    voxels = content.index(b"\n\n") + 2
    (tmp_path / "cut.seg.nrrd").write_bytes(content[: voxels + int(part * (len(content) - voxels))])
    with pytest.raises(SegmentationError, match=r"cut\.seg\.nrrd"):
        load_segmentation(tmp_path / "cut.seg.nrrd")
    host.messages.clear()


def test_a_transform_that_is_not_finite_is_told(host, tmp_path):
    import slicer
    import vtk
    from MultiverSegLib.core.prompts import Box, Prompts
    from MultiverSegLib.mrml.prompt_markups import prompts_from_markups, prompts_to_markups

    above = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, float("nan"))
    above.SetMatrixTransformToParent(matrix)
    volume = load_volume(nrrd(tmp_path / "a.nrrd"))
    (roi,) = prompts_to_markups(Prompts((Box((1, 2, 3), (4, 5, 6)),)))
    for node in (volume, roi):
        node.SetAndObserveTransformNodeID(above.GetID())
    from MultiverSegLib.mrml.volumes import ijk_to_ras

    for call, node in ((ijk_to_ras, volume), (prompts_from_markups, roi)):
        with pytest.raises(MultiverSegError, match="finite"):
            call(node)
    host.messages.clear()
