"""Small files as hospitals and other programs have them: a bright ball in noise, as an image, a DICOM series, a multi-frame file, a DICOM SEG.

The ball's centre is RAS -5, -1, 46, in slice k = 12 of 24; nothing here is written with what is tested.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

CENTRE = (-5.0, -1.0, 46.0)
#: A point and a box for ``multiverseg segment``.
PROMPTS = ("--point=-5,-1,46", "--box=-17,-13,46,7,11,46")


def ball(shape=(24, 64, 64), spacing=(1.0, 1.0, 3.0), radius=12.0):
    """(SimpleITK image int16, mask bool [k, j, i])."""
    k, j, i = np.indices(shape)
    away = [(i - 35) * spacing[0], (j - 29) * spacing[1], (k - shape[0] // 2) * spacing[2]]
    inside = np.square(away).sum(axis=0) <= radius**2
    voxels = np.where(inside, 300, -100) + np.random.default_rng(0).normal(0, 15, shape)
    image = sitk.GetImageFromArray(voxels.astype(np.int16))
    image.SetSpacing(spacing)
    image.SetOrigin((-30, -28, 10))
    return image, inside


def write(path: Path, image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), True)
    return path


def mask_like(image, inside, path: Path) -> Path:
    """A label map on the image's grid."""
    mask = sitk.GetImageFromArray(np.asarray(inside).astype(np.uint8))
    mask.CopyInformation(image)
    return write(path, mask)


def centre_of(path: Path) -> np.ndarray:
    """RAS of the middle of what is labelled in a written file."""
    image = sitk.ReadImage(str(path))
    found = np.argwhere(sitk.GetArrayFromImage(image) > 0).mean(axis=0)[::-1]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(found.tolist())) * [-1, -1, 1]


def voxels_of(path: Path) -> int:
    return int((sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0).sum())


def segmentation(path: Path, layers, names) -> Path:
    """A .seg.nrrd on the ball's grid with a layer for each segment."""
    fields = {"Segmentation_MasterRepresentation": "Binary labelmap", "Segmentation_ContainedRepresentationNames": "Binary labelmap|"}
    for n, name in enumerate(names):
        fields |= {f"Segment{n}_ID": f"S{n}", f"Segment{n}_Name": name, f"Segment{n}_LabelValue": "1", f"Segment{n}_Layer": str(n)}
        fields[f"Segment{n}_Extent"] = "0 63 0 63 0 23"
    head = (
        f"NRRD0005\ntype: uchar\ndimension: 4\nspace: left-posterior-superior\nsizes: {len(layers)} 64 64 24\n"
        "space directions: none (1,0,0) (0,1,0) (0,0,3)\nkinds: list domain domain domain\nencoding: raw\nspace origin: (-30,-28,10)\n"
    )
    text = head + "".join(f"{key}:={value}\n" for key, value in fields.items()) + "\n"
    path.write_bytes(text.encode() + np.stack(layers, -1).astype(np.uint8).tobytes())
    return path


def dataset(sop: str, modality: str = "CT"):
    """A DICOM data set with what every image has."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = sop, meta.MediaStorageSOPInstanceUID, modality
    data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = "P1", "Ball^One", "", "O"
    data.StudyID, data.StudyDate, data.StudyTime, data.AccessionNumber, data.ReferringPhysicianName = "1", "20260101", "120000", "", ""
    data.Manufacturer, data.PositionReferenceIndicator = "test", ""
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 1
    return data


def series(folder: Path, image, name=lambda k: f"IM{k:03d}", edit=None, modality="CT") -> Path:
    """A CT series, one file a slice; ``edit(data, k)`` changes a data set before it is written."""
    from pydicom.uid import generate_uid

    array, spacing = sitk.GetArrayFromImage(image), image.GetSpacing()
    study, uid, frame = generate_uid(), generate_uid(), generate_uid()
    for k, pixels in enumerate(array):
        data = dataset("1.2.840.10008.5.1.4.1.1.2", modality)
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, uid, frame
        data.SeriesNumber, data.InstanceNumber, data.SeriesDescription = 3, k + 1, "ball"
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [f"{v:.8g}" for v in image.TransformIndexToPhysicalPoint([0, 0, k])]
        data.PixelSpacing, data.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        data.Rows, data.Columns = pixels.shape
        data.RescaleIntercept, data.RescaleSlope = 0, 1
        data.PixelData = pixels.astype("<i2").tobytes()
        if edit:
            edit(data, k)
        path = folder / name(k)
        path.parent.mkdir(parents=True, exist_ok=True)
        data.save_as(path, enforce_file_format=True)
    return folder


def enhanced(path: Path, image, order, slopes=None, edit=None) -> Path:
    """An enhanced CT whose frames are the slices ``order``; ``slopes``: a RescaleSlope for each frame, the stored values divided by it."""
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid

    array = sitk.GetArrayFromImage(image)
    data = dataset("1.2.840.10008.5.1.4.1.1.2.1")
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = generate_uid(), generate_uid(), generate_uid()
    data.SeriesNumber, data.InstanceNumber = 1, 1
    data.Rows, data.Columns = array.shape[1:]
    data.NumberOfFrames = len(order)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = [1, 1], 3, 3
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    frames, stored = [], []
    for n, k in enumerate(order):
        frame, place, content, values = Dataset(), Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [f"{v:.8g}" for v in image.TransformIndexToPhysicalPoint([0, 0, k])]
        content.StackID, content.InStackPositionNumber = "1", k + 1
        slope = slopes[n] if slopes else 1
        values.RescaleIntercept, values.RescaleSlope, values.RescaleType = 0, slope, "HU"
        frame.PlanePositionSequence, frame.FrameContentSequence, frame.PixelValueTransformationSequence = [place], [content], [values]
        frames.append(frame)
        stored.append(np.round(array[k] / slope))
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    data.PixelData = np.stack(stored).astype("<i2").tobytes()
    if edit:
        edit(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def dicom_seg(path: Path, series_folder: Path, masks: dict[str, np.ndarray], kind: str = "BINARY") -> Path:
    """A DICOM SEG of the series, made by highdicom; masks [k, j, i] by name."""
    import highdicom as hd
    import pydicom

    source = sorted((pydicom.dcmread(f) for f in series_folder.rglob("IM*")), key=lambda d: float(d.ImagePositionPatient[2]))
    described = [
        hd.seg.SegmentDescription(
            segment_number=n,
            segment_label=name,
            segmented_property_category=hd.sr.CodedConcept("123037004", "SCT", "Anatomical Structure"),
            segmented_property_type=hd.sr.CodedConcept("10200004", "SCT", "Liver"),
            algorithm_type="MANUAL",
        )
        for n, name in enumerate(masks, start=1)
    ]
    pixels = np.stack(list(masks.values()), -1)
    hd.seg.Segmentation(
        source_images=source,
        pixel_array=pixels.astype(np.float32 if kind == "FRACTIONAL" else np.uint8),
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=hd.UID(),
        series_number=9,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="y",
        software_versions="1",
        device_serial_number="1",
    ).save_as(path)
    return path
