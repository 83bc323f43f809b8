"""Whether a contrast medium was given into a vessel."""

from __future__ import annotations

from collections.abc import Iterator

from dicom_node.understanding.belief import Clue
from dicom_node.understanding.header import Header, words

_NONE = words("NO", "NONE", "NON", "N/A", "NEIN", "WITHOUT", "KEINE?S?")
_ORAL = words("ORAL", "P\\.?O", "RECTAL")
_VESSEL = words("I\\.?V\\.?", "INTRAVENOUS", "INTRA-ARTERIAL", "VENOUS")
_WITHOUT = words(
    "W/?O(?:UT)?(?: IV)?(?: C\\w*)?", "WITHOUT", "NON ?-?CON\\w*", "NATIVE?", "UNENHANCED", "PLAIN", "C-",
    "PRE", "SANS",
)  # fmt: skip
_WITH = words(
    "W(?:ITH)?(?: IV)? CON\\w*", "POST ?(?:CON\\w*|GD|GAD\\w*|KM)", "\\+C", "C\\+", "\\+ ?GD", "KM", "CE",
    "GD", "ENHANCED", "ARTERIAL", "PORTAL\\w*", "VENOUS", "CTA", "CTPA",
)  # fmt: skip

_ANGIO = words("ANGIO\\w*")
"""Of a CT; an MR angiography mostly does without a contrast medium, by time of flight or by phase."""


def contrast_clues(header: Header) -> Iterator[Clue]:
    """Clues for True and False; none where nothing is said."""
    agent, route = header.text("ContrastBolusAgent"), header.text("ContrastBolusRoute")
    volume = header.number("ContrastBolusVolume")
    if agent and _NONE.search(agent):
        yield Clue(False, 0.85, "ContrastBolusAgent says that there is none")
    elif agent and not (_ORAL.search(agent) and not _VESSEL.search(agent)):
        yield Clue(True, 0.85, "ContrastBolusAgent names one")
    if route and _VESSEL.search(route):
        yield Clue(True, 0.85, f"ContrastBolusRoute is {route}")
    elif route and _ORAL.search(route):
        yield Clue(False, 0.5, f"ContrastBolusRoute is {route}")
    if volume:
        yield Clue(True, 0.6, "ContrastBolusVolume is given")
    yield from _worded(header)


def _worded(header: Header) -> Iterator[Clue]:
    if header.text("Modality") != "MR":
        for clue in header.worded({"angio": _ANGIO}, scale=0.8):
            yield Clue(True, clue.weight, clue.because)
    for clue in header.worded({"with": _WITH, "without": _WITHOUT}, scale=0.8):
        yield Clue(clue.value == "with", clue.weight, clue.because)
