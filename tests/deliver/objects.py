"""Small DICOM objects to deliver, made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from dicom_node.config.models import DestinationConfig
from dicom_node.records import Delivery


def destination(
    port: int, *, ae_title: str = "PACS", host: str = "127.0.0.1", timeout: float = 30
) -> DestinationConfig:
    return DestinationConfig(ae_title=ae_title, host=host, port=port, timeout=timeout)


def write_object(
    folder: Path,
    *,
    sop_class: str = SecondaryCaptureImageStorage,
    syntax: UID = ExplicitVRLittleEndian,
    pixels: int = 32,
) -> Delivery:
    """Writes an image of `pixels` squared into a folder; gives the delivery that it is owed by."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID = "Phantom^Square", "PHANTOM"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "OT", 1, 1
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.StudyID = ""
    ds.Rows = ds.Columns = pixels
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = np.random.default_rng(7).integers(0, 256, (pixels, pixels), np.uint8).tobytes()
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    if syntax == RLELossless:
        ds.compress(RLELossless)
    number = len(list(folder.iterdir())) + 1
    path = folder / f"{number:04d}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return Delivery(number, ds.SOPInstanceUID, sop_class, "pacs", path.name, 1, ds.StudyInstanceUID)
