"""Headers of DICOM files as plain Python values: tolerant of whatever a modality writes, never the pixels."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydicom import config, dcmread
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_node.errors import BadInput

config.settings.reading_validation_mode = config.IGNORE  # tolerant in; writers check what goes out

ODD_VALUES = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    InvalidDicomError,
    struct.error,
    zlib.error,
)
"""What pydicom raises on bytes that break the standard; it has no family of its own for them.
An OSError is among them only where it has no errno: then it isn't the file system's."""
BULK = frozenset({"OB", "OB or OW", "OD", "OF", "OL", "OV", "OW", "UN"})
"""Value representations of binary bulk (PS3.5 6.2), left out of plain values."""
BULK_BYTES = 65_536
"""Longer elements stay in the file until they are asked for, and are no header values, save sequences."""
BULK_ITEMS = 256
"""Lists with more values than this are data (contours, tables), no header values."""

_SLICE_TAGS = tuple(
    Tag(keyword)
    for keyword in (
        "AcquisitionNumber",
        "EchoNumbers",
        "EchoTime",
        "FrameOfReferenceUID",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "ImageType",
        "ImagesInAcquisition",
        "InConcatenationNumber",
        "InConcatenationTotalNumber",
        "InstanceNumber",
        "NumberOfFrames",
        "PixelSpacing",
        "Rows",
        "Columns",
        "SliceThickness",
        "StackID",
        "TemporalPositionIdentifier",
        "TriggerTime",
    )
)
_GROUPS = (Tag("SharedFunctionalGroupsSequence"), Tag("PerFrameFunctionalGroupsSequence"))
_NOT_LIFTED = ("Referenced", "Derivation")
"""Functional groups that speak of other images, by how their keywords begin; private ones may, too."""
_KNOWN = tuple(Tag(name) for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "Modality"))


def read_header(path: Path) -> FileDataset:
    """Reads a file's data set up to its pixels; elements above 64 KiB stay in the file until asked for.

    A missing preamble, file meta information or transfer syntax is tolerated, as is a truncated end;
    odd values raise only where they are used.

    Raises:
        BadInput: the file holds no DICOM data set that names its class, instance, study or modality.
        OSError: the file can't be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ds = dcmread(path, force=True, stop_before_pixels=True, defer_size=BULK_BYTES)
            if ds.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                # pydicom would look for deferred values in the compressed bytes
                ds = dcmread(path, force=True, stop_before_pixels=True)
            known = any(tag in ds for tag in _KNOWN) or "MediaStorageSOPClassUID" in ds.file_meta
        except ODD_VALUES as error:
            _raise_if_of_file_system(error)
            raise BadInput(f"not a DICOM file that can be read: {type(error).__name__}") from error
    if not known:
        raise BadInput("not a DICOM file: it names no SOP class, instance, study or modality")
    return ds


def plain(ds: Dataset) -> dict[str, Any]:
    """Gives a data set's public elements by keyword, as values that JSON can hold.

    Strings are decoded by Specific Character Set; PN, UI, dates and times are str, IS int, DS float, AT
    "ggggeeee"; several values are a list, a sequence is a list of dicts. Empty, private, binary and bulk
    elements are left out; a value that can't be converted is given as the text that stands in the file.
    Of an enhanced multi-frame object, the attributes of the shared and of the first frame's functional
    groups (PS3.3 C.7.6.16) stand at the top, as in a single-frame object, in place of these sequences.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = dict(_plain_items(ds))
        for tag in _GROUPS:
            for group in _functional_groups(ds, tag):
                values = dict(_plain_items(group)) | values
        return values


def slice_fields(ds: Dataset) -> dict[str, Any]:
    """Gives the few elements that judging a stack needs (position, orientation, numbers), as `plain` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ((tag, _value(ds, tag)) for tag in _SLICE_TAGS if tag in ds)
        return {keyword_for_tag(tag): value for tag, value in found if value is not None}


def instance_number(header: Mapping[str, Any] | Dataset) -> int:
    """InstanceNumber (0020,0013) of a data set or of plain values; past all others where there is none."""
    try:
        return int(header.get("InstanceNumber") or 2**31)
    except (TypeError, ValueError):
        return 2**31


def _raise_if_of_file_system(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _plain_items(ds: Dataset) -> Iterator[tuple[str, Any]]:
    for element in list(ds.values()):
        keyword = keyword_for_tag(element.tag)
        if not keyword or element.tag.is_private or element.tag in _GROUPS or _is_bulk(element):
            continue
        value = _value(ds, element.tag)
        if value is not None:
            yield keyword, value


def _is_bulk(element: DataElement | RawDataElement) -> bool:
    vr = element.VR or dictionary_VR(element.tag)
    if vr == "UN":  # written without knowledge of its VR; the dictionary may know better
        vr = dictionary_VR(element.tag)
    if vr == "SQ":
        return False
    length = element.length if isinstance(element, RawDataElement) else 0
    return vr in BULK or length > BULK_BYTES


def _functional_groups(ds: Dataset, tag: int) -> Iterator[Dataset]:
    """Yields the items of the functional groups that hold for the first frame."""
    try:
        item = ds[tag].value[0] if tag in ds else Dataset()
        for group in item:
            of_images = group.tag.is_private or group.keyword.startswith(_NOT_LIFTED)
            if group.VR == "SQ" and group.value and not of_images:
                yield group.value[0]
    except ODD_VALUES as error:
        _raise_if_of_file_system(error)


def _value(ds: Dataset, tag: int) -> Any:
    """Returns an element's plain value, or None where it is empty or bulk."""
    try:
        return _convert(ds[tag].value, ds[tag].VR)
    except ODD_VALUES as error:
        _raise_if_of_file_system(error)
        raw = ds._dict.get(Tag(tag))  # the only way to bytes that pydicom can't convert
        content = raw.value if isinstance(raw, RawDataElement) else None
        return content.decode(default_encoding).strip("\0 ") or None if isinstance(content, bytes) else None


def _convert(value: Any, vr: str) -> Any:
    if value is None or isinstance(value, bytes):
        return None
    if isinstance(value, Sequence):
        items = [dict(_plain_items(item)) for item in value[:BULK_ITEMS]]
        return items or None
    if isinstance(value, MultiValue | list):
        return [_scalar(item, vr) for item in value] if 0 < len(value) <= BULK_ITEMS else None
    return _scalar(value, vr)


def _scalar(value: Any, vr: str) -> Any:
    if vr == "AT":
        return f"{int(value):08X}"
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value).strip("\0 ") or None
