"""Private elements as plain values, by group, creator and place in the creator's block (PS3.5 7.8.1)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from dicom_node.headers import BULK, ODD_VALUES

MAX_VALUES = 16
"""Private elements with more values are tables, not facts."""
MAX_CHARACTERS = 64


def private_values(ds: Dataset) -> dict[str, Any]:
    """Gives a data set's short private elements, as rules name them: "(2001,xx20,Philips Imaging DD 001)".

    The key has capital hexadecimal digits, `xx` for the block that the file happens to use, and the creator
    as it stands in the file. Values are str, int, float, or a list of these. Sequences, binary and unknown
    values, and those that can't be read, are left out, as are elements without a creator.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(_values(ds))


def _values(ds: Dataset) -> Iterator[tuple[str, Any]]:
    for tag in [tag for tag in ds.keys() if tag.is_private and not tag.is_private_creator]:  # noqa: SIM118 - as tags
        try:
            element = ds[tag]
            creator = str(element.private_creator or "").strip()
            if creator and element.VR not in BULK and element.VR != "SQ":
                value = _plain(element.value)
                if value is not None:
                    yield f"({tag.group:04X},xx{tag.element & 0xFF:02X},{creator})", value
        except ODD_VALUES as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise


def _plain(value: Any) -> Any:
    """A short value, or None."""
    if isinstance(value, list | tuple) or (hasattr(value, "__iter__") and not isinstance(value, str | bytes)):
        values = [_plain(one) for one in value]
        return values if 0 < len(values) <= MAX_VALUES and None not in values else None
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    text = "" if value is None or isinstance(value, bytes) else str(value).strip("\0 ")
    return text if 0 < len(text) <= MAX_CHARACTERS else None
