"""Of a CT series: what its kernel is good for, and the phase of the contrast medium."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dicom_node.understanding.belief import Clue
from dicom_node.understanding.header import Header, words

_NAMED = {
    "lung": words("LUNG\\w*", "CHST"),
    "bone": words("BONE\\w*", "EDGE", "DETAIL ?HR", "HR ?BONE"),
    "soft": words("STANDARD", "STD\\+?", "SOFT", "SMOOTH", "DETAIL", "BRAIN", "BODY", "CHEST", "ABD\\w*"),
}
_SIEMENS = re.compile(r"^(?P<old>[BHTU])(?P<number>\d{2})[A-Z]?$|^(?P<new>[A-Z][A-Z])(?P<sharp>\d{2})[A-Z]?$")
_CANON = re.compile(r"^FC(\d{2})")
_PHILIPS = {
    **dict.fromkeys(("A", "B", "UA", "UB", "UC", "EA", "EB", "XCA", "XCB"), "soft"),
    **dict.fromkeys(("L", "YA", "YB", "YC", "LUNG ENHANCED"), "lung"),
    **dict.fromkeys(("D", "E", "YD", "YE"), "bone"),
}
_PHASES = {
    "native": words(
        "NATIVE?", "NON ?-?CON\\w*", "W/?O(?:UT)?(?: IV)?(?: CONTRAST)?", "UNENHANCED", "PLAIN",
        "SANS IV", "C-",
    ),
    "arterial": words("ARTERIAL", "ART", "ARTERIELL\\w*", "ANGIO\\w*", "CTA"),
    "portal_venous": words("PORTAL\\w*", "VENOUS", "VENÖS\\w*", "PV", "PVP"),
    "delayed": words("DELAY\\w*", "LATE", "SPÄT\\w*", "TARDI\\w*", "EXCRETORY"),
}  # fmt: skip


def kernel_clues(header: Header) -> Iterator[Clue]:
    """Kernels are named by each manufacturer in its own way; the value is what they are used for."""
    kernel = (header.texts("ConvolutionKernel") or [""])[0]
    if not kernel:
        return
    because = f"ConvolutionKernel is {kernel}"
    maker = header.text("Manufacturer")
    if canon := _CANON.match(kernel):
        yield Clue(_canon(int(canon[1])), 0.85, because)
    elif siemens := _SIEMENS.match(kernel):
        yield Clue(_siemens(siemens), 0.85, because)
    elif "PHILIPS" in maker and kernel in _PHILIPS:
        yield Clue(_PHILIPS[kernel], 0.85, because)
    else:
        yield from (Clue(use, 0.85, because) for use, name in _NAMED.items() if name.search(kernel))


def phase_clues(header: Header) -> Iterator[Clue]:
    """The phase, as people describe it."""
    yield from header.worded(_PHASES, scale=0.8)


def _siemens(found: re.Match[str]) -> str:
    """The number tells sharpness: up to 49 soft tissue; beyond, lung (Bl, B5x to B7x) or bone."""
    sharpness = int(found["number"] or found["sharp"])
    if sharpness < 50:
        return "soft"
    body = found["old"] == "B" or (found["new"] or "")[:1] == "B"
    return "lung" if body and sharpness < 80 else "bone"


def _canon(number: int) -> str:
    if 50 <= number < 60 or 80 <= number < 90:
        return "lung"
    return "bone" if 30 <= number < 40 or number == 70 else "soft"
