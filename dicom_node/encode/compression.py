"""Lossless compression of results, by what the destination takes (PS3.5 annex A).

The same object in another transfer syntax is still the same object, so it keeps its UIDs.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy, deepcopy
from dataclasses import replace

from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicom_node.encode.context import EncodedObject

_PREFERRED = (JPEGLSLossless, JPEG2000Lossless, RLELossless, DeflatedExplicitVRLittleEndian)
"""Smallest first. Only the last fits what isn't pixels of whole bytes, but the whole object."""
_WORTH = 65536
"""Bytes of pixels below which compression saves nothing worth the work."""


def compressed(obj: EncodedObject, accepted: Collection[str]) -> EncodedObject:
    """The object in the smallest lossless transfer syntax that is accepted and fits it; else as it is.

    Args:
        obj: in Explicit VR Little Endian.
        accepted: transfer syntax UIDs that the destination took for this SOP class.
    """
    syntax = best_syntax(obj.ds, accepted)
    if syntax == ExplicitVRLittleEndian:
        return obj
    ds = Dataset({tag: copy(obj.ds.get_item(tag)) for tag in obj.ds.keys()})  # noqa: SIM118 - a data set iterates over its elements
    ds.file_meta = deepcopy(obj.ds.file_meta)
    if syntax == DeflatedExplicitVRLittleEndian:
        ds.file_meta.TransferSyntaxUID = syntax
    else:
        ds.set_original_encoding(False, True)
        ds.compress(syntax, generate_instance_uid=False)
    return replace(obj, ds=ds)


def best_syntax(ds: Dataset, accepted: Collection[str]) -> UID:
    """The first of the preferred transfer syntaxes that is accepted and fits the object's pixels."""
    whole_bytes = "PixelData" in ds and int(ds.BitsAllocated) in (8, 16)
    size = next((len(ds[name].value) for name in ("PixelData", "FloatPixelData") if name in ds), 0)
    if size >= _WORTH:
        for syntax in _PREFERRED:
            if syntax in accepted and (whole_bytes or syntax == DeflatedExplicitVRLittleEndian):
                return syntax
    return ExplicitVRLittleEndian
