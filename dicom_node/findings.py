"""What a pipeline returns: typed findings, never DICOM. `encode/` dispatches on these types."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dicom_node.boxes import WHOLE, Box, box_of, label_boxes
from dicom_node.geometry import Grid


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (PS3.3 section 8): value, scheme designator, meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One structure in a segmentation.

    Attributes:
        label: what the radiologist reads, unique within the segmentation.
        category: segmented property category (CID 7150), such as "Anatomical Structure".
        type: segmented property type (CID 7151 and the like), such as "Lung".
        laterality: modifier of the type (CID 244), or None.
        color: recommended display colour, sRGB 0..255, or None to let the encoder choose.
        tracking_id: the same from study to study for the same lesion; None: derived from the label.
    """

    label: str
    category: Code
    type: Code
    laterality: Code | None = None
    color: tuple[int, int, int] | None = None
    tracking_id: str | None = None


@dataclass(frozen=True)
class Segmentation:
    """Structures on the grid of an input volume.

    Attributes:
        array: (k, j, i) unsigned integers, 0 for background and n for segments[n - 1]; or
            (s, k, j, i) bool, one mask a segment, which may overlap; or (s, k, j, i) float32 in
            0..1, probability or occupancy.
        segments: in the order of their numbers, from 1.
        role: which input of the case it lies on.
    """

    array: NDArray[np.generic]
    segments: tuple[Segment, ...]
    role: str = "image"
    title: str = "Segmentation"

    def mask(self, number: int, box: Box = WHOLE) -> NDArray[np.bool_]:
        """(k, j, i) bool mask of a segment by its number, from 1, or of a part of it.

        Fractions count from one half.
        """
        if self.array.ndim == 3:
            return np.asarray(self.array[box] == number)
        return _bools(self.array[number - 1][box])

    def section(self, number: int, k: int) -> NDArray[np.bool_]:
        """(j, i) bool mask of a segment on one slice, without looking at the others."""
        if self.array.ndim == 3:
            return np.asarray(self.array[k] == number)
        return _bools(self.array[number - 1, k])

    @cached_property
    def boxes(self) -> tuple[Box | None, ...]:
        """The smallest box around each segment's mask, in the order of numbers; None where it is empty."""
        if self.array.ndim == 3:
            return label_boxes(self.array, len(self.segments))
        return tuple(box_of(self.mask(number)) for number in range(1, len(self.segments) + 1))

    @cached_property
    def filled(self) -> bool:
        """Whether anything was found at all, be it a fraction below one half."""
        return any(self.boxes) or bool(self.array.dtype.kind == "f" and self.array.any())


def _bools(layer: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(layer >= 0.5) if layer.dtype.kind == "f" else np.asarray(layer, dtype=bool)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with its unit, of one segment or of the whole image.

    Attributes:
        name: the concept measured, such as (118565006, SCT, "Volume").
        unit: UCUM code and meaning, such as Code("ml", "UCUM", "ml").
        segment: label of the segment that was measured, or None for the whole image.
        derivation: how it was derived (CID 7464: mean, standard deviation, …), or None.
        doubt: why the number may mislead, in words for the radiologist; None where it is sound.
        digits: decimals worth showing.
        role: which input of the case was measured.
        earlier: the same measurement in earlier studies of the patient, by study date, in the same unit.
    """

    name: Code
    value: float
    unit: Code
    segment: str | None = None
    derivation: Code | None = None
    doubt: str | None = None
    digits: int = 1
    role: str = "image"
    earlier: tuple[tuple[date, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Classification:
    """A qualitative evaluation with its calibrated probability, in 0..1.

    Attributes:
        name: what was judged. value: the answer, such as (52101004, SCT, "Present").
        probability: calibrated; None where the method gives none.
        support: what it rests on, in words.
    """

    name: Code
    value: Code
    probability: float | None = None
    segment: str | None = None
    support: str | None = None
    role: str = "image"


@dataclass(frozen=True, slots=True)
class Detection:
    """A lesion found: a box in index coordinates of the input's grid.

    Attributes:
        lower, upper: (k, j, i) corners of the box, voxel centres, inclusive.
        score: 0..1.
    """

    name: Code
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    score: float
    measurements: tuple[Measurement, ...] = ()
    tracking_id: str | None = None
    role: str = "image"


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Where a model looked: (k, j, i) float32 in 0..1 on the input's grid."""

    array: NDArray[np.float32]
    title: str
    role: str = "image"


@dataclass(frozen=True, slots=True)
class Embedding:
    """What a model makes of an image as a whole, as a vector: kept with its series, to find others alike.

    It makes no DICOM object and is sent to nobody.

    Attributes:
        vector: (d,) float32, finite, not all zero.
        model, version: whose vector it is, such as "rad-dino" and its revision, 128 characters together;
            only vectors of the same model and version are compared.
        of: what it was computed of, in words, such as "mean over 8 key slices".
        role: which input of the case.
    """

    vector: NDArray[np.float32]
    model: str
    version: str
    of: str
    role: str = "image"


@dataclass(frozen=True, slots=True)
class Text:
    """Words for the report; always a draft until a person signs them, but for cautions.

    Attributes:
        sentences: pairs of a sentence and what supports it (None: unsupported).
        kind: where it belongs in a report; "caution": what its reader must bear in mind, such as what was
            done to the images.
    """

    sentences: tuple[tuple[str, str | None], ...]
    kind: Literal["findings", "impression", "note", "caution"] = "findings"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture the pipeline drew itself: (rows, columns, 3) uint8 RGB."""

    array: NDArray[np.uint8]
    title: str


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The pipeline looked and says that it does not apply; the reason is shown in the study."""

    reason: str


Finding = (
    Segmentation
    | Measurement
    | Classification
    | Detection
    | Heatmap
    | Embedding
    | Text
    | Picture
    | NotApplicable
)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Who says so: written into every object (PS3.3 Algorithm Identification, TID 4019).

    Attributes:
        family: CID 7162, such as (123110, DCM, "Artificial Intelligence").
        parameters: the options that shaped the result, by name and as text; no folder of this machine.
    """

    name: str
    version: str
    family: Code = field(default=Code("123110", "DCM", "Artificial Intelligence"))
    parameters: tuple[tuple[str, str], ...] = ()
    source: str | None = None
    """Who published the method or the weights, with the citation."""


__all__ = [
    "Algorithm",
    "Classification",
    "Code",
    "Detection",
    "Embedding",
    "Finding",
    "Grid",
    "Heatmap",
    "Measurement",
    "NotApplicable",
    "Picture",
    "Segment",
    "Segmentation",
    "Text",
]
