"""The image planes of a file, from its header alone: where each lies, and how its pixels are stored."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.errors import BadInput
from dicom_node.geometry import Frame
from dicom_node.headers import ODD_VALUES
from dicom_node.volume.scan import scan
from dicom_node.volume.stacks import Slice

_KEYWORDS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "AcquisitionNumber",
    "AcquisitionTime", "ContentTime", "SliceThickness", "EchoNumbers", "EchoTime", "InversionTime",
    "DiffusionBValue", "TriggerTime", "TemporalPositionIdentifier", "StackID", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "ImagerPixelSpacing",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "RescaleType", "Units",
    "GridFrameOffsetVector", "DoseGridScaling", "DoseUnits", "SpacingBetweenSlices",
    "DetectorInformationSequence", "RealWorldValueMappingSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_TAGS: list[Any] = [Tag(keyword) for keyword in _KEYWORDS]
_WANTED = {int(Tag(keyword)): keyword for keyword in _KEYWORDS}
_FULL_PARSER_ONLY = frozenset(int(Tag(keyword)) for keyword in _KEYWORDS if keyword.endswith("Sequence"))
_NUMBERS = {"US": "<H", "US or SS": "<H", "UL": "<I", "FD": "<d", "FL": "<f"}
"""How binary numbers stand in a little endian file, by value representation; the others are text."""
_FORMATS = {keyword: _NUMBERS.get(dictionary_VR(keyword)) for keyword in _KEYWORDS}
"""Looked up once: the dictionary takes longer than a header's values."""

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


UNITS = {"HU": "[hnsf'U]", "BQML": "Bq/ml", "GML": "g/ml{SUVbw}", "CNTS": "{counts}", "GY": "Gy"}
"""UCUM codes for Rescale Type (PS3.3 C.11.1.1.2), PET Units (C.8.9.1.1.3) and Dose Units (C.8.8.3)."""
NO_UNIT = ("", "1", "{counts}", "[arb'U]")
"""UCUM codes that say nothing more than the stored values do."""


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
        unit: UCUM code of the values after rescale.
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
        OSError: the file can't be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _planes_of(path)
        except ODD_VALUES as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BadInput(f"an image header can't be understood: {error}") from error


def _planes_of(path: Path) -> list[Plane]:
    scanned = scan(path, _WANTED, _FULL_PARSER_ONLY)
    if scanned is not None:
        fields = {_WANTED[tag]: _value(_WANTED[tag], content) for tag, content in scanned.values.items()}
        header = _Attributes([fields])
        syntax, offset, frames = UID(scanned.transfer_syntax_uid), scanned.offset, []
    else:
        with path.open("rb") as file:
            ds = dcmread(file, force=True, stop_before_pixels=True, specific_tags=_TAGS)
            offset = file.tell()
        header, syntax, frames = _Attributes([ds]), _syntax(ds), _frames(ds)
    if not header.get("Rows") or not header.get("Columns"):
        return []
    encoding = _encoding(header, syntax, offset)
    if not frames:
        numbers = range(1, encoding.frames + 1) if header.get("NumberOfFrames") else [None]
        return [_plane(path, header, encoding, number) for number in numbers]
    return [_plane(path, attributes, encoding, number) for number, attributes in enumerate(frames, start=1)]


def _value(keyword: str, content: bytes) -> Any:
    """Converts the bytes of a scanned element as pydicom would: a value, a list of them, or None."""
    number = _FORMATS[keyword]
    if number is None:
        text = content.decode("latin-1").strip("\0 ")
        return [part.strip() for part in text.split("\\")] if "\\" in text else text
    values = [value for (value,) in struct.iter_unpack(number, content)]
    return values if len(values) > 1 else (values or [None])[0]


def _syntax(ds: Dataset) -> UID:
    """Transfer Syntax UID, or what pydicom found where the file doesn't say."""
    stated = ds.file_meta.get("TransferSyntaxUID")
    return UID(stated or (ImplicitVRLittleEndian if ds.original_encoding[0] else ExplicitVRLittleEndian))


def _frames(ds: Dataset) -> list[_Attributes]:
    """The attributes of each frame of an enhanced object; empty for any other."""
    if "PerFrameFunctionalGroupsSequence" not in ds:
        return []
    shared = _groups(ds.get("SharedFunctionalGroupsSequence") or [Dataset()])
    return [_Attributes([*_groups([item]), *shared, ds]) for item in ds.PerFrameFunctionalGroupsSequence]


def _groups(items: Sequence[Dataset]) -> list[Dataset]:
    """Returns the data sets in which the attributes of functional groups stand (PS3.3 C.7.6.16)."""
    groups = [e for e in items[0] if e.VR == "SQ" and e.value and not e.tag.is_private]
    return [group.value[0] for group in groups if not group.keyword.startswith(("Referenced", "Derivation"))]


class _Attributes:
    """Looks a keyword up in several headers, the nearest to the frame first."""

    def __init__(self, headers: Sequence[Mapping[str, Any] | Dataset]) -> None:
        self.headers = headers

    def get(self, keyword: str) -> Any:
        """The first value that isn't empty, or None."""
        for header in self.headers:
            value = header.get(keyword)
            if value is not None and value != "":
                return value
        return None

    def text(self, keyword: str) -> str:
        """The value as text, empty where there is none."""
        value = self.get(keyword)
        return "" if value is None else str(value)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values as text."""
        value = self.get(keyword)
        return (value,) if isinstance(value, str) else tuple(str(v) for v in value or ())

    def floats(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """As many numbers as there must be, or None."""
        value = self.get(keyword)
        values = [value] if isinstance(value, int | float | str) else list(value or [])
        try:
            return tuple(float(v) for v in values) if len(values) == count else None
        except ValueError:  # odd values, such as "5mm", count as none
            return None

    def number(self, keyword: str, default: float) -> float:
        """One number, or the default where there is none."""
        return (self.floats(keyword, 1) or (default,))[0]


def _plane(path: Path, header: _Attributes, encoding: Encoding, number: int | None) -> Plane:
    spacing = header.floats("PixelSpacing", 2) or header.floats("ImagerPixelSpacing", 2) or (1.0, 1.0)
    orientation, position = _place(header, number)
    slope, intercept, unit = _scale(header)
    return Plane(
        path=path,
        frame=Frame(header.text("SOPClassUID"), header.text("SOPInstanceUID"), number),
        instance_number=int(header.number("InstanceNumber", 0)),
        modality=header.text("Modality"),
        image_type=header.texts("FrameType") or header.texts("ImageType"),
        frame_of_reference_uid=header.text("FrameOfReferenceUID"),
        shape=(int(header.get("Rows")), int(header.get("Columns"))),
        orientation=orientation,
        position=position,
        spacing=(spacing[0], spacing[1]),
        thickness=header.number("SliceThickness", 0.0),
        slope=slope,
        intercept=intercept,
        unit=unit,
        encoding=encoding,
        split={key: str(value) for key in SPLIT_KEYWORDS if (value := header.get(key)) is not None},
    )


def _place(header: _Attributes, number: int | None) -> tuple[tuple[float, ...] | None, ...]:
    """Orientation and position of a frame; frames of older multi-frame objects lie along their normal."""
    detector = header.get("DetectorInformationSequence")
    if detector and "RECON TOMO" in header.texts("ImageType"):  # NM, PS3.3 C.8.4.15
        header = _Attributes([*header.headers, detector[0]])
    orientation = header.floats("ImageOrientationPatient", 6)
    position = header.floats("ImagePositionPatient", 3)
    if number is None or orientation is None or position is None:
        return orientation, position
    offset = 0.0
    if offsets := header.get("GridFrameOffsetVector"):  # RT Dose, PS3.3 C.8.8.3.2
        first, this = float(offsets[0]), float(offsets[number - 1])
        offset = this - first
    elif detector:
        offset = (number - 1) * header.number("SpacingBetweenSlices", 0.0)
    normal = np.cross(orientation[:3], orientation[3:])
    return orientation, tuple(float(v) for v in np.asarray(position) + offset * normal)


def _scale(header: _Attributes) -> tuple[float, float, str]:
    """Slope, intercept and unit: a real world value map that names a unit, else the modality's rescale."""
    # in an enhanced object the map's attributes stand among the functional groups'
    for item in header.get("RealWorldValueMappingSequence") or [header]:
        codes = item.get("MeasurementUnitsCodeSequence")
        unit = str(codes[0].get("CodeValue", "")) if codes else ""
        slope = item.get("RealWorldValueSlope")
        if slope is not None and unit not in NO_UNIT and header.text("RescaleType") != "HU":
            return float(slope), float(item.get("RealWorldValueIntercept") or 0.0), unit
    stated = header.text("Units") or header.text("RescaleType") or header.text("DoseUnits")
    if not stated and header.text("Modality") == "CT":
        stated = "HU"
    slope = header.number("RescaleSlope", header.number("DoseGridScaling", 1.0))
    return slope, header.number("RescaleIntercept", 0.0), UNITS.get(stated, "1")


def _encoding(header: _Attributes, syntax: UID, offset: int) -> Encoding:
    bits = int(header.number("BitsAllocated", 16))
    signed = bool(header.number("PixelRepresentation", 0))
    stored = int(header.number("BitsStored", bits))
    return Encoding(
        transfer_syntax_uid=syntax,
        offset=offset,
        frames=max(int(header.number("NumberOfFrames", 1)), 1),
        samples=int(header.number("SamplesPerPixel", 1)),
        photometric=header.text("PhotometricInterpretation") or "MONOCHROME2",
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=int(header.number("HighBit", stored - 1)),
        signed=signed,
        padding=_padding(header, bits, signed),
    )


def _padding(header: _Attributes, bits: int, signed: bool) -> tuple[int, int] | None:
    """Returns the range of Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2) as stored values."""
    value, limit = header.get("PixelPaddingValue"), header.get("PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = sorted(_as_stored(int(v), bits, signed) for v in (value, value if limit is None else limit))
    return ends[0], ends[1]


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """Reads a padding value by Pixel Representation: many writers give a signed one as unsigned."""
    value %= 1 << bits
    return value - (1 << bits) if signed and value >= 1 << (bits - 1) else value
