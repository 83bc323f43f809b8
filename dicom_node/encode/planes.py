"""Where each slice of a volume lies, in the source's own words, and which source image it is.

Positions are copied from the source's attributes where a slice is a source image, so that the result's
frames lie on the source's to the last digit; else they are written from the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.valuerep import DSfloat, format_number_as_ds

from dicom_node.encode.common import series_references
from dicom_node.encode.context import EncodeContext, instances, once
from dicom_node.geometry import Frame, Grid


@dataclass(frozen=True)
class Plane:
    """One slice: its Image Position (Patient), and the source image that it is, if it is one."""

    position: tuple[DSfloat, DSfloat, DSfloat]
    source: Dataset | None = None
    frame: Frame | None = None


@dataclass(frozen=True)
class Planes:
    """The slices of one volume with what they share.

    Attributes:
        orientation: Image Orientation (Patient): direction of rows, then of columns.
        pixel_spacing: Pixel Spacing: between rows, then between columns, in mm.
        slice_spacing: between slice centres, in mm.
        planes: one for each k.
    """

    orientation: tuple[DSfloat, ...]
    pixel_spacing: tuple[DSfloat, DSfloat]
    slice_spacing: DSfloat
    slice_thickness: DSfloat
    planes: tuple[Plane, ...]

    @cached_property
    def references(self) -> DicomSequence:
        """Items by series of the source images that the slices are; none where they are none."""
        sources = {str(plane.source.SOPInstanceUID): plane.source for plane in self.planes if plane.source}
        return series_references(sources.values())


def ds_number(value: float) -> DSfloat:
    """A decimal string of at most 16 characters (VR DS) that is nearest to the value."""
    return DSfloat(format_number_as_ds(float(value)))


def functional_group(ds: Dataset, name: str, number: int | None) -> Dataset:
    """The item of a functional group of a multi-frame header's frame; the header itself for a single frame.

    Args:
        ds: header.
        name: keyword of the functional group's sequence.
        number: frame number, from 1; None for a single frame.
    """
    if number is None or "PerFrameFunctionalGroupsSequence" not in ds:
        return ds
    for groups in (
        ds.PerFrameFunctionalGroupsSequence[number - 1],
        *ds.get("SharedFunctionalGroupsSequence", ()),
    ):
        if name in groups:
            return groups[name].value[0]  # type: ignore[no-any-return]  # pydicom types values as Any
    return ds


@once
def planes_of(context: EncodeContext, role: str) -> Planes:
    """Finds each slice's source image, and takes positions, orientation and spacing from there."""
    volume, by_uid = context.volumes[role], instances(context)
    if not volume.frames:
        return _resampled(volume.grid)
    planes = tuple(_source_plane(frame, by_uid[frame.sop_instance_uid]) for frame in volume.frames)
    first, number = by_uid[volume.frames[0].sop_instance_uid], volume.frames[0].number
    measures = functional_group(first, "PixelMeasuresSequence", number)
    spacing = ds_number(volume.grid.spacing[0])
    return Planes(
        orientation=tuple(
            functional_group(first, "PlaneOrientationSequence", number).ImageOrientationPatient
        ),
        pixel_spacing=(measures.PixelSpacing[0], measures.PixelSpacing[1]),
        slice_spacing=spacing,
        slice_thickness=measures.get("SliceThickness") or spacing,
        planes=planes,
    )


def _resampled(grid: Grid) -> Planes:
    spacing_k, spacing_j, spacing_i = (ds_number(value) for value in grid.spacing)
    directions = grid.directions
    return Planes(
        orientation=tuple(ds_number(value) for value in (*directions[:, 2], *directions[:, 1])),
        pixel_spacing=(spacing_j, spacing_i),
        slice_spacing=spacing_k,
        slice_thickness=spacing_k,
        planes=tuple(Plane(_position(grid.to_patient((k, 0, 0)))) for k in range(grid.shape[0])),
    )


def _source_plane(frame: Frame, source: Dataset) -> Plane:
    group = functional_group(source, "PlanePositionSequence", frame.number)
    x, y, z = group.ImagePositionPatient
    return Plane((x, y, z), source, frame)


def _position(point: NDArray[np.float64]) -> tuple[DSfloat, DSfloat, DSfloat]:
    x, y, z = (ds_number(value) for value in point)
    return x, y, z
