"""Writes any array on any grid as a single-frame CT or MR series that passes a validator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from dicom_node.geometry import Grid

Modality = Literal["CT", "MR"]
Scalar = TypeVar("Scalar", bound=np.generic)
SOP_CLASS_UIDS: Mapping[Modality, str] = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
}

_MODULES: Mapping[Modality, Mapping[str, Any]] = {
    "CT": {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "BodyPartExamined": "CHEST",
        "KVP": "120",
        "ConvolutionKernel": "STANDARD",
        "GantryDetectorTilt": "0",
        "RescaleType": "HU",
        "WindowCenter": "40",
        "WindowWidth": "400",
    },
    "MR": {
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "BodyPartExamined": "HEAD",
        "ScanningSequence": ["GR", "IR"],
        "SequenceVariant": "MP",
        "ScanOptions": "",
        "MRAcquisitionType": "3D",
        "RepetitionTime": "2000",
        "EchoTime": "3",
        "InversionTime": "900",
        "FlipAngle": "9",
        "EchoTrainLength": "1",
        "MagneticFieldStrength": "3",
    },
}
"""CT Image (PS3.3 C.8.2.1) and MR Image (C.8.3.1) attributes, as a scanner would fill them."""
_FIXED: Mapping[str, Any] = {
    "PatientName": "PHANTOM^TEST",
    "PatientID": "PHANTOM",
    "PatientBirthDate": "",
    "PatientSex": "O",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "StudyID": "1",
    "SeriesNumber": 1,
    "AcquisitionNumber": 1,
    "Manufacturer": "dicom-node",
    "ManufacturerModelName": "phantom",
    "SoftwareVersions": "1",
    "DeviceSerialNumber": "1",
    "PatientPosition": "HFS",
    "PositionReferenceIndicator": "",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
}
"""What is the same in every series: patient, equipment and pixel format."""


def axial_grid(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Grid:
    """Makes a grid of axial slices from the feet to the head, centred on a point in LPS mm.

    Args:
        shape: (slices, rows, columns).
        spacing: mm along (k, j, i).
        centre: where the middle of the grid lies.
    """
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag(np.asarray(spacing)[::-1]))
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine)


def reoriented(
    array: NDArray[Scalar], grid: Grid, axes: Sequence[int], flips: Sequence[bool]
) -> tuple[NDArray[Scalar], Grid]:
    """Gives the same volume with its array axes permuted, then reversed where `flips` says so.

    Args:
        array: (k, j, i).
        grid: where it lies.
        axes: which old axis becomes the new axis 0, 1 and 2.
        flips: for each new axis, whether it runs backwards.
    """
    moved = np.transpose(array, axes)
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, list(axes)]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (moved.shape[axis] - 1)
            affine[:3, axis] *= -1
            moved = np.flip(moved, axis)
    return np.ascontiguousarray(moved), Grid((moved.shape[0], moved.shape[1], moved.shape[2]), affine)


def write_series(
    array: NDArray[np.generic],
    grid: Grid,
    folder: Path,
    modality: Modality,
    attributes: Mapping[str, Any] | None = None,
    *,
    slope: float = 1.0,
    intercept: float | None = None,
) -> list[Path]:
    """Writes one file a slice, in the order of k, and returns their paths.

    Args:
        array: (k, j, i), in the modality's units (HU for CT).
        grid: its place in the patient; k need not run along the slices' normal (gantry tilt).
        folder: made where it doesn't exist.
        modality: "CT" or "MR".
        attributes: DICOM keywords that replace or join those written; UIDs are random where not given.
        slope: Rescale Slope of the stored int16.
        intercept: Rescale Intercept; None: -1024 for CT, else 0.

    Raises:
        ValueError: the array doesn't fit the grid, or its stored values don't fit int16.
    """
    if array.shape != grid.shape:
        raise ValueError(f"array of shape {array.shape} on a grid of shape {grid.shape}")
    intercept = (-1024.0 if modality == "CT" else 0.0) if intercept is None else intercept
    stored = np.rint((array.astype(np.float32) - intercept) / slope)
    if stored.min() < -32768 or stored.max() > 32767:
        raise ValueError("stored values don't fit 16 bits; choose another slope or intercept")
    folder.mkdir(parents=True, exist_ok=True)
    common = _common(grid, modality)
    if modality == "CT" or (slope, intercept) != (1.0, 0.0):  # no attributes of the MR Image module
        common |= {"RescaleSlope": _ds(slope), "RescaleIntercept": _ds(intercept)}
    common |= dict(attributes or {})
    paths = []
    for k, pixels in enumerate(stored.astype("<i2")):
        ds = _slice(common, grid, k)
        ds.PixelData = pixels.tobytes()
        paths.append(folder / f"{k + 1:04d}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def _common(grid: Grid, modality: Modality) -> dict[str, Any]:
    """Returns everything that all slices of a series share."""
    now = datetime.now().astimezone()
    day, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    return {
        **_FIXED,
        **_MODULES[modality],
        "SOPClassUID": SOP_CLASS_UIDS[modality],
        "StudyInstanceUID": generate_uid(prefix=None),
        "SeriesInstanceUID": generate_uid(prefix=None),
        "FrameOfReferenceUID": generate_uid(prefix=None),
        "StudyDate": day,
        "SeriesDate": day,
        "AcquisitionDate": day,
        "ContentDate": day,
        "StudyTime": time,
        "SeriesTime": time,
        "AcquisitionTime": time,
        "ContentTime": time,
        "Modality": modality,
        "Rows": grid.shape[1],
        "Columns": grid.shape[2],
        "PixelSpacing": [_ds(grid.spacing[1]), _ds(grid.spacing[2])],
        "SliceThickness": _ds(grid.spacing[0]),
        "ImageOrientationPatient": [_ds(v) for v in (*grid.directions[:, 2], *grid.directions[:, 1])],
    }


def _slice(common: Mapping[str, Any], grid: Grid, k: int) -> Dataset:
    ds = Dataset()
    for keyword, value in common.items():
        setattr(ds, keyword, value)
    ds.SOPInstanceUID = generate_uid(prefix=None)
    ds.InstanceNumber = k + 1
    ds.ImagePositionPatient = [_ds(v) for v in grid.to_patient((k, 0, 0))]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2, VR DS)."""
    return format_number_as_ds(float(value))
