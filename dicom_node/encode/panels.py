"""Single slices as pictures: windowed, in true proportions, with outlines and the patient's directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import Dataset

from dicom_node.boxes import around
from dicom_node.encode.context import EncodeContext, instances, once
from dicom_node.encode.lettering import WHITE, write
from dicom_node.encode.outlines import outlines, without_collinear
from dicom_node.encode.planes import functional_group
from dicom_node.encode.segments import color_of
from dicom_node.encode.window import grey, window_of
from dicom_node.findings import Segmentation
from dicom_node.geometry import Volume

PARALLEL = 0.99
"""Cosine of the angle between the normals of slices of one orientation: a scout lies otherwise."""


def chosen_slices(masks: Sequence[Segmentation], volume: Volume, count: int) -> list[int]:
    """Slices spread evenly over where there is anything to see; over the whole volume without masks."""
    filled = np.zeros(volume.grid.shape[0], dtype=bool)
    for mask in masks:
        if (box := around(mask.boxes)) is not None:
            part = mask.array[(..., *box)]
            filled[box[0]] |= part.any(axis=(*range(part.ndim - 3), -2, -1))
    where = np.flatnonzero(filled) if filled.any() else np.arange(len(filled))
    positions = (np.arange(count) + 0.5) / count * len(where)
    return sorted({int(where[int(position)]) for position in positions})


def direction_letters(vector: NDArray[np.float64]) -> str:
    """The patient's direction that a vector in LPS points to most: L, R, P, A, H or F."""
    axis = int(np.abs(vector).argmax())
    return ("LR", "PA", "HF")[axis][0 if vector[axis] > 0 else 1]


@dataclass(frozen=True, slots=True)
class View:
    """The part of every slice that is shown, and how it lies on a panel.

    Attributes:
        size: (width, height) of a panel in pixels.
        corner: (column, row) of the part's top left corner, in image pixels.
        scale: panel pixels for one image pixel, (x, y).
        offset: (x, y) of the part's top left corner on the panel.
    """

    size: tuple[int, int]
    corner: NDArray[np.float64]
    extent: NDArray[np.float64]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]

    def place(self, points: NDArray[np.float64]) -> list[tuple[float, float]]:
        """Maps (n, 2) image coordinates (column, row) to the panel."""
        return [(float(x), float(y)) for x, y in (points - self.corner) * self.scale + self.offset]

    def shown(self, picture: Image.Image) -> Image.Image:
        """The part of a slice's picture, of any mode, on a panel that is black elsewhere."""
        width, height = (int(size) for size in np.rint(self.extent * self.scale).clip(1))
        (left, top), (right, bottom) = self.corner.tolist(), (self.corner + self.extent).tolist()
        resized = picture.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, right, bottom))
        panel = Image.new(picture.mode, self.size)
        panel.paste(resized, (round(float(self.offset[0])), round(float(self.offset[1]))))
        return panel


def view_of(masks: Sequence[Segmentation], volume: Volume, size: tuple[int, int]) -> View:
    """Shows what the masks cover with its surroundings, at least 160 mm; the whole slice without masks."""
    _, rows, columns = volume.grid.shape
    spacing = np.array(volume.grid.spacing[:0:-1])
    whole = np.array([columns, rows], dtype=float)
    low, high = _bounds(masks, whole)
    center, extent = (low + high) / 2, (high - low) * 1.3
    extent = np.minimum(np.maximum(extent, 160 / spacing), whole)
    scale = float((np.array(size) / (extent * spacing)).min()) * spacing
    extent = np.minimum(np.array(size) / scale, whole)
    corner = np.clip(center - extent / 2, 0, whole - extent)
    return View(size, corner, extent, scale, (np.array(size) - extent * scale) / 2)


def _bounds(masks: Sequence[Segmentation], whole: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """(column, row) corners of what is filled in any slice; the whole slice where nothing is."""
    box = around(around(mask.boxes) for mask in masks)
    if box is None:
        return np.zeros(2), whole
    _, rows, columns = box
    return np.array([columns.start, rows.start], dtype=float), np.array(
        [columns.stop, rows.stop], dtype=float
    )


def panel(
    k: int, masks: Sequence[Segmentation], role: str, context: EncodeContext, view: View
) -> Image.Image:
    """One slice with the outlines of what lies on it.

    Args:
        k: which slice.
        masks: segmentations of that role.
        role: which input.
        context: the job.
        view: which part of the slice is shown, and where.
    """
    source = source_of(k, role, context)
    picture = base(context.volumes[role].array[k], source, view)
    draw = ImageDraw.Draw(picture)
    for mask in masks:
        for number, segment in enumerate(mask.segments, start=1):
            for line in outlines(mask.section(number, k)):
                points = view.place(without_collinear(line))
                draw.line(points, fill=color_of(segment, number), width=3, joint="curve")
    annotate(draw, context.volumes[role], view, name_of(k, role, context))
    return picture


@dataclass(frozen=True, slots=True)
class Source:
    """The header that describes a slice, with its frame number in a multi-frame instance."""

    ds: Dataset
    frame: int | None


def source_of(k: int, role: str, context: EncodeContext) -> Source:
    """The source image of a slice; the nearest one where the volume was resampled."""
    volume = context.volumes[role]
    if not volume.frames:
        return _nearest(k, role, context)
    frame = volume.frames[k]
    return Source(instances(context)[frame.sop_instance_uid], frame.number)


def name_of(k: int, role: str, context: EncodeContext) -> str:
    """Which image a slice is: "image 48"; where the volume was resampled, which one it is near."""
    source = source_of(k, role, context)
    near = "" if context.volumes[role].frames else "near "
    frame = f", frame {source.frame}" if source.frame is not None else ""
    return f"{near}image {source.ds.get('InstanceNumber', k + 1)}{frame}"


def _nearest(k: int, role: str, context: EncodeContext) -> Source:
    """The source image that lies nearest to a resampled slice; the first one where none says where."""
    origins, sources = _parallel(context, role)
    if not sources:
        return Source(context.sources[role][0], None)
    grid = context.volumes[role].grid
    distances = np.abs((origins - grid.to_patient((k, 0, 0))) @ grid.directions[:, 0])
    return sources[int(distances.argmin())]


@once
def _parallel(context: EncodeContext, role: str) -> tuple[NDArray[np.float64], list[Source]]:
    """Origins (n, 3) in mm and the source images of a role that lie as a resampled volume's slices do."""
    normal = context.volumes[role].grid.directions[:, 0]
    origins, found = [], []
    for ds in context.sources[role]:
        frames = range(1, len(ds.get("PerFrameFunctionalGroupsSequence", ())) + 1)
        for number in frames or [None]:
            position = functional_group(ds, "PlanePositionSequence", number).get("ImagePositionPatient")
            cosines = functional_group(ds, "PlaneOrientationSequence", number).get("ImageOrientationPatient")
            if position and cosines:
                right, down = np.asarray(cosines, float).reshape(2, 3)
                if abs(np.cross(right, down) @ normal) > PARALLEL:
                    origins.append(np.asarray(position, float))
                    found.append(Source(ds, number))
    return np.asarray(origins), found


def base(values: NDArray[np.int16] | NDArray[np.float32], source: Source, view: View) -> Image.Image:
    """One slice in grey, by the source's own window; `values` is (rows, columns) in modality units."""
    center, width = window_of(source.ds, source.frame, values)
    inverted = source.ds.get("PhotometricInterpretation") == "MONOCHROME1"
    return view.shown(Image.fromarray(grey(values, center, width, inverted=inverted))).convert("RGB")


def annotate(draw: ImageDraw.ImageDraw, volume: Volume, view: View, name: str) -> None:
    """Letters of the patient's directions, and which image it is."""
    directions = volume.grid.directions
    right, down = directions[:, 2], directions[:, 1]
    w, h = view.size
    write(draw, (6, h / 2), direction_letters(-right), 26, WHITE, "lm")
    write(draw, (w - 6, h / 2), direction_letters(right), 26, WHITE, "rm")
    write(draw, (w / 2, 4), direction_letters(-down), 26, WHITE, "ma")
    write(draw, (6, h - 6), name, 24, WHITE, "ls")
