"""DICOM series written here with pydicom, file names in no useful order."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from MultiverSegLib.core.errors import VolumeError
from MultiverSegLib.mrml.volume_files import load_volume
from MultiverSegLib.mrml.volumes import array_of, ijk_to_ras
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from volume_cases import rotation

SHAPE = (7, 5, 6)
VOXELS = np.random.default_rng(0).integers(-1000, 1500, SHAPE).astype(np.int16)
TURN = rotation([1, 0.4, 0.2], 15)
SPACING = (0.8, 0.6, 2.5)  # i, j, k


def write_series(folder, voxels=VOXELS, positions=None, series=None, description="Thorax", **changes) -> list[str]:
    """One file per slice; ``positions`` in units of the slice spacing along the normal."""
    folder.mkdir(exist_ok=True)
    series = series or generate_uid()
    names = np.random.default_rng(1).permutation(len(voxels))
    uids = []
    for number, plane in enumerate(voxels):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.SeriesDescription, data.Modality = series, description, "CT"
        data.StudyInstanceUID, data.FrameOfReferenceUID = "1.2.3", "1.2.4"
        data.Rows, data.Columns = plane.shape
        data.PixelSpacing = [SPACING[1], SPACING[0]]
        data.ImageOrientationPatient = [*TURN[:, 0], *TURN[:, 1]]
        along = number if positions is None else positions[number]
        data.ImagePositionPatient = [f"{v:.10g}" for v in np.array([-50.0, 20, 300]) + TURN[:, 2] * SPACING[2] * along]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 0
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        data.PixelData = (plane.astype(np.int32) + 1024).astype(np.uint16).tobytes()
        for key, value in changes.items():
            setattr(data, key, value(number) if callable(value) else value)
        data.save_as(folder / f"{names[number]:03d}.dcm", enforce_file_format=True)
        uids.append(str(data.SOPInstanceUID))
    return uids


def refused(folder) -> str:
    with pytest.raises(VolumeError) as caught:
        load_volume(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_slices_are_sorted_along_the_normal_and_lie_where_the_headers_say(host, tmp_path):
    uids = write_series(tmp_path / "series")
    (tmp_path / "series" / "notes.txt").write_text("not an image")
    volume = load_volume(tmp_path / "series")
    assert volume.GetName() == "Thorax"
    assert np.array_equal(array_of(volume), VOXELS)
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = TURN * SPACING, [-50, 20, 300]
    assert np.allclose(ijk_to_ras(volume), np.diag([-1.0, -1, 1, 1]) @ lps, atol=1e-5)
    assert volume.GetAttribute("DICOM.instanceUIDs").split() == uids


def test_a_single_file_is_a_volume_of_one_slice(host, tmp_path):
    write_series(tmp_path / "one", VOXELS[:1])
    assert np.array_equal(array_of(load_volume(tmp_path / "one")), VOXELS[:1])
    assert np.array_equal(array_of(load_volume(tmp_path / "one" / "000.dcm")), VOXELS[:1])


def test_a_folder_without_images(host, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no DICOM images" in refused(tmp_path / "empty")


def test_several_series_are_listed_and_one_can_be_chosen(host, tmp_path):
    from MultiverSegLib.mrml.dicom import load_dicom

    (tmp_path / "two").mkdir()
    write_series(tmp_path / "two" / "a", description="Arterial", series="1.2.840.1")
    write_series(tmp_path / "two" / "b", VOXELS[:3], description="Venous", series="1.2.840.2")
    message = refused(tmp_path / "two")
    assert "Arterial (7 images)" in message
    assert "Venous (3 images)" in message
    assert np.array_equal(array_of(load_dicom(tmp_path / "two", series="1.2.840.2")), VOXELS[:3])


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"positions": [0, 1, 2, 4, 5, 6, 7]}, "unevenly spaced"),
        ({"positions": [0, 1, 2, 2, 3, 4, 5]}, "one position"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"ImageOrientationPatient": lambda n: [1, 0, 0, 0, 1, 0] if n else [0, 1, 0, 0, 0, 1]}, "no single volume"),
        ({"ImagePositionPatient": lambda n: [0, n, 2 * n], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "tilted gantry"),
    ],
)
def test_what_is_no_evenly_spaced_stack_is_refused(host, tmp_path, changes, told):
    write_series(tmp_path / "series", **changes)
    assert told in refused(tmp_path / "series")


def test_damaged_files_among_the_images_are_left_out(host, tmp_path):
    write_series(tmp_path / "series")
    (tmp_path / "series" / "zz.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"garbage")
    assert array_of(load_volume(tmp_path / "series")).shape == SHAPE


def test_headers_are_what_pydicom_reads(tmp_path):
    """The writer above is the reference, so check it once against the reader of pydicom."""
    write_series(tmp_path / "series", VOXELS[:1])
    data = pydicom.dcmread(tmp_path / "series" / "000.dcm")
    assert np.array_equal(data.pixel_array.astype(int) - 1024, VOXELS[0])


def test_a_slice_that_was_cut_short_is_named(host, tmp_path):
    write_series(tmp_path / "series")
    cut = tmp_path / "series" / "003.dcm"
    cut.write_bytes(cut.read_bytes()[:-20])
    for path in (tmp_path / "series", cut):
        with pytest.raises(VolumeError, match=r"003\.dcm was cut short"):
            load_volume(path)


def test_slices_with_scales_of_their_own_as_in_pet(host, tmp_path):
    from MultiverSegLib.mrml.volume_files import read_plain

    slopes = [1, 1.5, 0.25, 2, 0.1, 3, 600]
    write_series(tmp_path / "pet", RescaleSlope=lambda n: slopes[n], RescaleIntercept=0)
    wanted = (VOXELS.astype(float) + 1024) * np.array(slopes)[:, None, None]
    for read in (load_volume, read_plain):
        assert np.allclose(array_of(read(tmp_path / "pet")), wanted)
