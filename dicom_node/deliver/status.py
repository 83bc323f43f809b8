"""What a C-STORE response status means for a delivery (PS3.4 B.2.3, PS3.7 annex C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pynetdicom.status import code_to_category


@dataclass(frozen=True, slots=True)
class Meaning:
    """`kind` says what follows; `text` says why, in words for an administrator."""

    kind: Literal["delivered", "warning", "transient", "permanent"]
    text: str


_GENERAL = {
    0x0110: Meaning("transient", "processing failure; the peer's log says more"),
    0x0111: Meaning("warning", "the peer already holds it"),
    0x0117: Meaning("permanent", "invalid SOP Instance UID"),
    0x0122: Meaning("permanent", "SOP class not supported"),
    0x0124: Meaning("permanent", "not authorised; allow this node to store"),
    0x0210: Meaning("transient", "duplicate invocation"),
    0x0211: Meaning("permanent", "unrecognised operation; is it a storage SCP?"),
    0x0212: Meaning("permanent", "mistyped argument"),
    0x0213: Meaning("transient", "resource limitation"),
    0xB000: Meaning("warning", "coercion of data elements"),
    0xB006: Meaning("warning", "elements discarded"),
    0xB007: Meaning("warning", "data set does not match SOP class"),
}
_RANGES = {
    0xA7: Meaning("transient", "out of resources; is its disk full?"),
    0xA9: Meaning("permanent", "data set does not match SOP class"),
}


def meaning(status: int) -> Meaning:
    """The meaning of a C-STORE response's Status (0000,0900), 0..0xFFFF; an unknown one is permanent."""
    if status == 0:
        return Meaning("delivered", "success")
    known = _GENERAL.get(status) or _RANGES.get(status >> 8)
    if known is not None:
        return known
    if code_to_category(status) == "Warning":
        return Meaning("warning", "warning")
    if status >> 12 == 0xC:
        return Meaning("permanent", "the peer cannot understand the data set")
    return Meaning("permanent", "failure that the standard does not name")
