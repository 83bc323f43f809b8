"""The image planes of a file, from its header alone: where each lies, and how its pixels are stored."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.errors import BadInput
from dicom_node.geometry import Frame
from dicom_node.headers import ODD_VALUES
from dicom_node.volume.stacks import Slice

_KEYWORDS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "AcquisitionNumber",
    "AcquisitionTime", "ContentTime", "SliceThickness", "EchoNumbers", "EchoTime", "InversionTime",
    "DiffusionBValue", "TriggerTime", "TemporalPositionIdentifier", "StackID", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "ImagerPixelSpacing",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "RescaleType", "Units",
    "RealWorldValueMappingSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_TAGS: list[Any] = [Tag(keyword) for keyword in _KEYWORDS]

SPLIT_KEYWORDS = (
    "StackID",
    "EchoNumbers",
    "EchoTime",
    "EffectiveEchoTime",
    "ImageType",
    "FrameType",
    "ComplexImageComponent",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "InversionTime",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalCardiacTriggerDelayTime",
    "AcquisitionNumber",
    "TriggerTime",
    "AcquisitionTime",
    "ContentTime",
)
"""What tells apart images at one position, the most telling first."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file stores its pixels (PS3.3 C.7.6.3), the same for all its frames.

    Attributes:
        offset: of the pixel data element in the file.
        padding: lowest and highest stored value that stand for no measurement, or None.
    """

    transfer_syntax_uid: UID
    offset: int
    frames: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    padding: tuple[int, int] | None

    @property
    def native(self) -> bool:
        """Uncompressed and little endian: readable straight from the file."""
        return self.transfer_syntax_uid in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane(Slice):
    """One image: a single-frame instance, or a frame of a multi-frame one.

    Attributes:
        image_type: Frame Type of an enhanced object, else Image Type.
        slope, intercept: of the linear rescale to the modality's units.
        unit: what Units or Rescale Type says.
    """

    path: Path
    frame: Frame
    modality: str
    image_type: tuple[str, ...]
    slope: float
    intercept: float
    unit: str
    encoding: Encoding

    @property
    def index(self) -> int:
        """Of the frame in its file, from 0."""
        return (self.frame.number or 1) - 1


def planes_of(path: Path) -> list[Plane]:
    """Reads the planes of one file, without its pixels; empty where it holds no image.

    Raises:
        BadInput: what it says of its image can't be understood.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with path.open("rb") as file:
                ds = dcmread(file, force=True, stop_before_pixels=True, specific_tags=_TAGS)
                offset = file.tell()
            if not ds.get("Rows") or not ds.get("Columns"):
                return []
            return list(_planes(path, ds, _encoding(ds, offset)))
        except ODD_VALUES as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BadInput(f"an image header can't be understood: {error}") from error


def _planes(path: Path, ds: Dataset, encoding: Encoding) -> Iterator[Plane]:
    if "PerFrameFunctionalGroupsSequence" not in ds:
        for number in range(1, encoding.frames + 1):
            yield _plane(path, ds, _Attributes([ds]), encoding, number if "NumberOfFrames" in ds else None)
        return
    shared = _groups(ds.get("SharedFunctionalGroupsSequence") or [Dataset()])
    for number, item in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
        attributes = _Attributes([*_groups([item]), *shared, ds])
        yield _plane(path, ds, attributes, encoding, number)


def _groups(items: Sequence[Dataset]) -> list[Dataset]:
    """Returns the data sets in which the attributes of functional groups stand (PS3.3 C.7.6.16)."""
    sequences = [element for element in items[0] if element.VR == "SQ" and element.value]
    return [
        element.value[0]
        for element in sequences
        if not element.keyword.startswith(("Referenced", "Derivation"))
    ]


class _Attributes:
    """Looks a keyword up in several data sets, the nearest to the frame first."""

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        self.datasets = datasets

    def get(self, keyword: str) -> Any:
        """The first value that isn't empty, or None."""
        for ds in self.datasets:
            value = ds.get(keyword)
            if value is not None and value != "":
                return value
        return None

    def floats(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """As many numbers as there must be, or None."""
        value = self.get(keyword)
        values = [value] if isinstance(value, int | float | str) else list(value or [])
        return tuple(float(v) for v in values) if len(values) == count else None

    def number(self, keyword: str, default: float) -> float:
        """One number, or the default where there is none."""
        return (self.floats(keyword, 1) or (default,))[0]


def _plane(path: Path, ds: Dataset, found: _Attributes, encoding: Encoding, number: int | None) -> Plane:
    spacing = found.floats("PixelSpacing", 2) or found.floats("ImagerPixelSpacing", 2) or (1.0, 1.0)
    return Plane(
        path=path,
        frame=Frame(str(ds.get("SOPClassUID", "")), str(ds.get("SOPInstanceUID", "")), number),
        instance_number=int(found.number("InstanceNumber", 0)),
        modality=str(ds.get("Modality") or ""),
        image_type=tuple(str(v) for v in (found.get("FrameType") or found.get("ImageType") or ())),
        frame_of_reference_uid=str(ds.get("FrameOfReferenceUID") or ""),
        shape=(int(ds.Rows), int(ds.Columns)),
        orientation=found.floats("ImageOrientationPatient", 6),
        position=found.floats("ImagePositionPatient", 3),
        spacing=(spacing[0], spacing[1]),
        thickness=found.number("SliceThickness", 0.0),
        slope=found.number("RescaleSlope", 1.0),
        intercept=found.number("RescaleIntercept", 0.0),
        unit=str(found.get("Units") or found.get("RescaleType") or ""),
        encoding=encoding,
        split={key: str(value) for key in SPLIT_KEYWORDS if (value := found.get(key)) is not None},
    )


def _encoding(ds: Dataset, offset: int) -> Encoding:
    bits = int(ds.get("BitsAllocated") or 16)
    signed = bool(ds.get("PixelRepresentation", 0))
    syntax = ds.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        syntax = ImplicitVRLittleEndian if ds.original_encoding[0] else ExplicitVRLittleEndian
    stored = int(ds.get("BitsStored") or bits)
    return Encoding(
        transfer_syntax_uid=UID(syntax),
        offset=offset,
        frames=max(int(ds.get("NumberOfFrames") or 1), 1),
        samples=int(ds.get("SamplesPerPixel") or 1),
        photometric=str(ds.get("PhotometricInterpretation") or "MONOCHROME2"),
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=int(ds.get("HighBit") or stored - 1),
        signed=signed,
        padding=_padding(ds, bits, signed),
    )


def _padding(ds: Dataset, bits: int, signed: bool) -> tuple[int, int] | None:
    """Returns the range of Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2) as stored values."""
    value = ds.get("PixelPaddingValue")
    if value is None or value == "":
        return None
    limit = ds.get("PixelPaddingRangeLimit")
    ends = sorted(_as_stored(int(v), bits, signed) for v in (value, value if limit in (None, "") else limit))
    return ends[0], ends[1]


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """Reads a padding value by Pixel Representation: many writers give a signed one as unsigned."""
    value %= 1 << bits
    return value - (1 << bits) if signed and value >= 1 << (bits - 1) else value
