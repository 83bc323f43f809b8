"""Coded concepts and UIDs anywhere in an object: complete, of known schemes, and well-formed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.tag import Tag

from dicom_node.encode.gate.units import quantity

SCHEMES = frozenset(
    {"SCT", "DCM", "UCUM", "LN", "RADLEX", "UMLS", "FMA", "RFC5646", "ISO639_2", "NCIt", "MA", "DC", "SRT"}
)
"""Schemes that results use (PS3.16 section 8); private ones begin with 99."""
_MANY = (0x52009230, 0x30060040)
"""Per-frame functional groups and contours: thousands of items alike, which have checks of their own."""
_OWN_UIDS = {
    Tag(keyword): keyword
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "DimensionOrganizationUID", "TrackingUID")
}
"""UIDs made here, which must be well-formed (PS3.5 9.1); those of sources are repeated as they are."""
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


Place = tuple[str, Dataset]
"""A data set within an object, and the path of keywords to it."""


def walk(ds: Dataset, path: str = "") -> list[Place]:
    """Every data set within, itself first, with the path of keywords; frames and contours left out."""
    found = [(path, ds)]
    for tag, element in list(ds.items()):
        if element.VR == "SQ" and tag not in _MANY:
            within = f"{path}.{_keyword(tag)}" if path else _keyword(tag)
            for item in ds[tag].value or ():
                found += walk(item, within)
    return found


_keyword = cache(keyword_for_tag)


def code_faults(ds: Dataset, places: Iterable[Place]) -> Iterator[str]:
    """Code items without value, meaning or a known scheme; units that aren't UCUM; malformed UIDs.

    Args:
        ds: the object.
        places: all data sets within, by `walk`.
    """
    declared = {
        str(item.get("CodingSchemeDesignator")) for item in ds.get("CodingSchemeIdentificationSequence") or ()
    }
    for path, item in places:
        if path.endswith("CodeSequence") and "CodingSchemeIdentificationSequence" not in path:
            yield from _code_item(item, path, declared)
        for tag in _OWN_UIDS.keys() & item.keys():
            value = str(item[tag].value)
            if len(value) > 64 or not _UID.fullmatch(value):
                yield f"{path}.{_OWN_UIDS[tag]} is no UID".lstrip(".")


def _code_item(item: Dataset, path: str, declared: set[str]) -> Iterator[str]:
    scheme = str(item.get("CodingSchemeDesignator") or "")
    value = str(item.get("CodeValue") or item.get("LongCodeValue") or "")
    if not value or not item.get("CodeMeaning") or not scheme:
        yield f"{path}: a code without value, scheme or meaning"
    elif scheme not in SCHEMES and not (scheme.startswith("99") and scheme in declared):
        yield f"{path}: the coding scheme {scheme} is unknown, and the object doesn't declare it"
    elif path.endswith("MeasurementUnitsCodeSequence"):
        if scheme != "UCUM":
            yield f"{path}: a unit that isn't UCUM's"
        elif quantity(value) is None:
            yield f"{path}: {value} is no UCUM unit"
