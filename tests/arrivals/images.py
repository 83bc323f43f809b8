"""Series of every sort that arrives, by the words of the table's second column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from dicom_node.phantom import axial_grid, write_series

SLICES = 8
DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"


def ct(folder: Path, study: str, **attributes: Any) -> list[Path]:
    """Eight even slices, numbered from 1."""
    grid = axial_grid((SLICES, 16, 16), (2.0, 1.0, 1.0))
    array = np.arange(grid.shape[0] * 256, dtype=np.int16).reshape(grid.shape)
    return write_series(array, grid, folder, "CT", {"StudyInstanceUID": study, **attributes})


def renumbered(folder: Path, study: str) -> list[Path]:
    """Numbers that don't run from 1: nothing shows whether earlier ones are missing."""
    return [_changed(path, InstanceNumber=number + 101) for number, path in enumerate(ct(folder, study))]


def one_image(folder: Path, study: str, **attributes: Any) -> list[Path]:
    """A series of a single image."""
    return ct(folder, study, **attributes)[:1]


def dose_report(folder: Path, study: str) -> list[Path]:
    """An X-Ray Radiation Dose SR."""
    (path,) = one_image(folder, study, Modality="SR")
    ds = dcmread(path)
    del ds.PixelData
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = DOSE_SR
    ds.save_as(path)
    return [path]


def cine(folder: Path, study: str) -> list[Path]:
    """One multi-frame object."""
    folder.mkdir(parents=True)
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1", generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, generate_uid()
    ds.PatientID, ds.PatientName, ds.Modality = "CINE", "Cine", "US"
    ds.Rows = ds.Columns = 8
    ds.NumberOfFrames, ds.SamplesPerPixel, ds.PhotometricInterpretation = 30, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation, ds.PixelData = 7, 0, bytes(30 * 64)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "cine.dcm"
    ds.save_as(path, enforce_file_format=True)
    return [path]


def _changed(path: Path, **attributes: Any) -> Path:
    ds = dcmread(path)
    ds.update(attributes)
    ds.save_as(path)
    return path


KINDS: Mapping[str, Callable[[Path, str], list[Path]]] = {
    "CT": ct,
    "CT, counted": lambda folder, study: ct(folder, study, ImagesInAcquisition=SLICES, AcquisitionNumber=1),
    "CT, renumbered": renumbered,
    "CT, urgent": lambda folder, study: ct(folder, study, RequestedProcedurePriority="STAT"),
    "CT, slow": lambda folder, study: ct(folder, study, SeriesDescription="slow"),
    "CT, delivered": lambda folder, study: ct(folder, study, SeriesDescription="delivered"),
    "CT, derived": lambda folder, study: ct(folder, study, ImageType=["DERIVED", "SECONDARY", "MPR"]),
    "localizer": lambda folder, study: one_image(
        folder, study, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ),
    "dose report": dose_report,
    "cine": cine,
}
ROUTES = [
    {"name": "slow", "when": {"SeriesDescription": "slow"}, "run": "slow"},
    {"name": "delivered", "when": {"SeriesDescription": "delivered"}, "run": "quick", "send": ["pacs"]},
    {
        "name": "kept",
        "when": {
            "Modality": "CT",
            "SeriesDescription": [{"not": ["slow", "delivered"]}, {"present": False}],
            "not": {"any": [{"localizer": True}, {"derived": True}]},
        },
        "run": "quick",
    },
]
"""The rules of the site that all arrivals meet: CT is run, but for what only helps, or was computed."""
