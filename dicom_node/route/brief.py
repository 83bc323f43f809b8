"""Why a route fired or didn't, in a line that may stand on a status page: no value of a header in it.

What was worked out of a series (its plane, its kind, its number of slices) and its modality are told with the
condition; of every other attribute only whether there was one. Conditions on the patient, and on names, are
told by their attribute alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicom_node.config.facts import FACTS
from dicom_node.route.explanation import Weighed

_TOLD = (FACTS.keys() - {"age"}) | {"Modality"}
"""Subjects whose value says nothing of who the patient is."""


def brief(weighed: Weighed, *, matched: bool) -> str:
    """The conditions that decided: those that hold, where a route fires, else those that don't."""
    deciding = [part for part in _leaves(weighed) if part.held is matched]
    return "; ".join(map(_words, deciding)) or "it asks for nothing"


def _leaves(weighed: Weighed) -> Iterator[Weighed]:
    if weighed.says in ("all of", "always"):
        for part in weighed.parts:
            yield from _leaves(part)
    else:
        yield weighed


def _words(weighed: Weighed) -> str:
    if weighed.parts:
        telling = [part for part in weighed.parts if part.held] or weighed.parts
        return f"{weighed.says} ({', '.join(map(_words, telling))})"
    if _personal(weighed.subject):
        return f"a condition on {weighed.subject}"
    if weighed.subject in _TOLD:
        return f"{weighed.says} (found: {weighed.actual or 'nothing'})"
    if weighed.actual is None:
        return f"{weighed.says} (found: nothing)"
    return weighed.says if weighed.held else f"{weighed.says} (found: something else)"


def _personal(subject: str) -> bool:
    """Attributes of the patient or of a person; a private one may hold anything."""
    if subject in FACTS or not subject:
        return False
    last = subject.rpartition(".")[2]
    tag = tag_for_keyword(last)
    return tag is None or last.startswith("Patient") or dictionary_VR(tag) == "PN"
