"""The attributes that PS3.3 requires of each kind of object, by the standard's own tables (iods.json)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.tag import Tag

_CHECKED_ELSEWHERE = ("PerFrameFunctionalGroupsSequence", "ContentSequence", "ContourSequence")


@cache
def _tables() -> dict[str, Any]:
    return dict(json.loads(Path(__file__).with_name("iods.json").read_text()))


@dataclass
class _Rules:
    """What a data set at one place must hold, and the rules of the sequences within."""

    required: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Keyword and type, by tag."""
    within: dict[str, _Rules] = field(default_factory=dict)


@cache
def _rules(sop_class_uid: str) -> _Rules | None:
    """Keywords with their types; at the top those of modules alone that the IOD makes mandatory."""
    modules = _tables()["sop_classes"].get(sop_class_uid)
    if modules is None:
        return None
    top = _Rules()
    for module, usage in modules.items():
        for path, attributes in _tables()["modules"].get(module, {}).items():
            place = top
            for keyword in path.split(".") if path else ():
                place = place.within.setdefault(keyword, _Rules())
            if path or usage == "M":
                place.required.update({Tag(keyword): (keyword, kind) for keyword, kind in attributes.items()})
    return top


def iod_faults(ds: Dataset) -> Iterator[str]:
    """Attributes of type 1 that are missing or empty, of type 2 that are missing, and broken conditions."""
    rules = _rules(str(ds.get("SOPClassUID")))
    if rules is None:
        yield "the SOP class is none that results may have"
        return
    yield from _walk(ds, "", rules)
    for condition, keyword, why in _CONDITIONS:
        if condition(ds) and ds.get(keyword) in (None, ""):
            yield f"{keyword} is missing: {why}"


def _walk(ds: Dataset, path: str, rules: _Rules) -> Iterator[str]:
    present = ds.keys()
    for tag, (keyword, kind) in rules.required.items():
        if tag not in present:
            yield f"{path}.{keyword} is missing (type {kind})".lstrip(".")
        elif kind == "1" and ds.get_item(tag).value in (None, "", b"", []):
            yield f"{path}.{keyword} is empty (type 1)".lstrip(".")
    for keyword, within in rules.within.items():
        if keyword in ds and keyword not in _CHECKED_ELSEWHERE:
            for item in ds[keyword].value or ():
                yield from _walk(item, f"{path}.{keyword}".lstrip("."), within)


def _several_samples(ds: Dataset) -> bool:
    return int(ds.get("SamplesPerPixel") or 1) > 1


def _lossy(ds: Dataset) -> bool:
    return str(ds.get("LossyImageCompression") or "00") == "01"


def _has_pixels(ds: Dataset) -> bool:
    return "Rows" in ds


def _is_secondary_capture(ds: Dataset) -> bool:
    return str(ds.SOPClassUID).startswith("1.2.840.10008.5.1.4.1.1.7")


_CONDITIONS: tuple[tuple[Callable[[Dataset], bool], str, str], ...] = (
    (_several_samples, "PlanarConfiguration", "there are several samples a pixel (C.7.6.3.1.3)"),
    (_lossy, "LossyImageCompressionRatio", "the image was compressed with loss (C.7.6.1.1.5)"),
    (_lossy, "LossyImageCompressionMethod", "the image was compressed with loss (C.7.6.1.1.5)"),
    (_has_pixels, "PhotometricInterpretation", "there are pixels"),
    (_has_pixels, "BitsAllocated", "there are pixels"),
    (_is_secondary_capture, "BurnedInAnnotation", "a picture says whether it names the patient"),
)
"""Conditional attributes (types 1C and 2C) whose conditions results can meet."""
