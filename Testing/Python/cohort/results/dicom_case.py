"""A case that came from a DICOM series, for the exports that refer to one."""

import numpy as np

LIVER = "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~~^^~^^"


def write_series(folder, array):
    """A CT series of ``array`` [k, j, i], tilted, its files in an order that is not the slices'."""
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True)
    angle = 0.2
    row, col = (np.cos(angle), np.sin(angle), 0), (-np.sin(angle), np.cos(angle), 0)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for k, pixels in enumerate(array):
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = pydicom.dataset.FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
        data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = "1", "Test^Case", "19700101", "O"
        data.StudyID, data.StudyDate, data.StudyTime, data.AccessionNumber, data.ReferringPhysicianName = "1", "20260101", "120000", "", ""
        data.SeriesNumber, data.InstanceNumber, data.Modality, data.SeriesDescription = 3, k + 1, "CT", "thin"
        data.Manufacturer, data.PositionReferenceIndicator = "test", ""
        data.ImageOrientationPatient, data.ImagePositionPatient = [*row, *col], [-20.0, 10.0, 5.0 + 2.5 * k]
        data.PixelSpacing, data.SliceThickness = [0.8, 0.9], 2.5
        data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = *pixels.shape, 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        data.RescaleIntercept, data.RescaleSlope = 0, 1
        data.PixelData = pixels.astype(np.int16).tobytes()
        data.save_as(folder / f"IM{(k * 7) % len(array):03d}", enforce_file_format=True)
