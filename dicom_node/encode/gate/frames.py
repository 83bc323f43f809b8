"""The functional groups of every frame, read from the bytes that will be sent.

Items of a large segmentation are nearly all alike: their groups are split by length, and each distinct
group is parsed once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filereader import read_dataset

from dicom_node.encode.explicit import dataset_bytes

_DERIVATION, _FRAME_CONTENT, _POSITION, _SEGMENT = 0x00089124, 0x00209111, 0x00209113, 0x0062000A


@dataclass(frozen=True, slots=True)
class FrameGroups:
    """What one frame says of itself; None or empty for what it doesn't say.

    Attributes:
        position: Image Position (Patient). segment: Referenced Segment Number.
        indices: Dimension Index Values. sources: (SOP Class UID, SOP Instance UID, frame number).
    """

    position: tuple[float, ...] | None = None
    segment: int | None = None
    indices: tuple[int, ...] = ()
    sources: tuple[tuple[str, str, int | None], ...] = ()


def frame_groups(ds: Dataset) -> list[FrameGroups]:
    """The groups of each frame, in order; empty where the object has none."""
    return list(_frames(_content(ds, "PerFrameFunctionalGroupsSequence")))


def raw_items(ds: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence, parsed one by one, without parsing the sequence in the data set itself."""
    for item in _items(_content(ds, keyword)):
        yield _dataset(item)


def _content(ds: Dataset, keyword: str) -> bytes:
    """The bytes of a sequence's items, as they will be sent."""
    if keyword not in ds:
        return b""
    held: DataElement | RawDataElement = ds.get_item(keyword)
    if isinstance(held, RawDataElement):
        return held.value or b""
    alone = Dataset()
    setattr(alone, keyword, held.value)
    return next((value for _, value in _elements(dataset_bytes(alone))), b"")


def _frames(content: bytes) -> Iterator[FrameGroups]:
    parsed: dict[bytes, object] = {}

    def once(tag: int, value: bytes) -> object:
        if value not in parsed:
            parsed[value] = _parse(tag, value)
        return parsed[value]

    for item in _items(content):
        groups = dict(_elements(item))
        yield FrameGroups(
            position=once(_POSITION, groups[_POSITION]) if _POSITION in groups else None,  # type: ignore[arg-type]  # _parse gives each tag its own type
            segment=once(_SEGMENT, groups[_SEGMENT]) if _SEGMENT in groups else None,  # type: ignore[arg-type]
            indices=_indices(groups.get(_FRAME_CONTENT, b"")),
            sources=once(_DERIVATION, groups[_DERIVATION]) if _DERIVATION in groups else (),  # type: ignore[arg-type]
        )


def _items(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at + 4)
        yield content[at + 8 : at + 8 + length]
        at += 8 + length


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each sequence of known length: all that an item of functional groups holds."""
    at = 0
    while at < len(content):
        group, element, length = struct.unpack_from("<HH4xI", content, at)
        yield group << 16 | element, content[at + 12 : at + 12 + length]
        at += 12 + length


def _indices(value: bytes) -> tuple[int, ...]:
    """Dimension Index Values of a Frame Content item that holds nothing else, else of a parsed one."""
    if value[8:12] == b"\x20\x00\x57\x91" and len(value) == 16 + int.from_bytes(value[14:16], "little"):
        return struct.unpack_from(f"<{(len(value) - 16) // 4}I", value, 16)
    items = [_dataset(item) for item in _items(value)]
    found = items[0].get("DimensionIndexValues") if items else None
    if found is None:
        return ()
    return (int(found),) if isinstance(found, int) else tuple(int(index) for index in found)


def _dataset(content: bytes) -> Dataset:
    return read_dataset(BytesIO(content), is_implicit_VR=False, is_little_endian=True)


def _parse(tag: int, value: bytes) -> object:
    item = next((_dataset(item) for item in _items(value)), Dataset())
    if tag == _POSITION:
        position = item.get("ImagePositionPatient")
        return tuple(float(coordinate) for coordinate in position) if position else None
    if tag == _SEGMENT:
        return item.get("ReferencedSegmentNumber")
    return tuple(
        (
            str(source.ReferencedSOPClassUID),
            str(source.ReferencedSOPInstanceUID),
            source.get("ReferencedFrameNumber"),
        )
        for source in item.get("SourceImageSequence") or ()
    )
