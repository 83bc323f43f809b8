"""What rules may ask of a series besides DICOM keywords: facts that the node knows or works out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sort = Literal["text", "number", "age", "date", "time", "flag"]
"""How values compare: ages as years, dates and times by the calendar, flags as true and false."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact by which rules choose.

    Attributes:
        meaning: for explanations.
        values: the only ones there are; empty: any.
    """

    sort: Sort
    meaning: str
    values: tuple[str, ...] = ()


_KINDS = ("t1w", "t2w", "t2star", "flair", "pd", "stir", "dwi", "adc", "swi", "tof", "perfusion", "bold")
_PARTS = (
    "head", "neck", "chest", "heart", "abdomen", "pelvis", "spine", "breast", "arm", "leg", "whole_body",
)  # fmt: skip
FACTS: dict[str, Fact] = {
    "images": Fact("number", "number of instances held of the series"),
    "frames": Fact("number", "number of frames in all of them"),
    "calling_ae_title": Fact("text", "AE titles of the senders of its images"),
    "modality": Fact("text", "modality by the class of its objects, where Modality says otherwise"),
    "body_part": Fact("text", "parts of the body, one or several", _PARTS),
    "kind": Fact("text", "sort of MR sequence", _KINDS),
    "kernel": Fact("text", "what a CT kernel is used for", ("soft", "lung", "bone")),
    "phase": Fact("text", "phase of a CT", ("native", "arterial", "portal_venous", "delayed")),
    "contrast": Fact("flag", "a contrast medium was given into a vessel"),
    "localizer": Fact("flag", "it only helps to plan other series"),
    "derived": Fact("flag", "its pixels were computed from other images"),
    "secondary": Fact("flag", "it is a picture, whose pixels measure nothing"),
    "dose_report": Fact("flag", "it reports the dose"),
    "age": Fact("age", "the patient's age, also where only the day of birth is given"),
    "plane": Fact(
        "text", "plane of the slices, by the nearest patient axis", ("axial", "coronal", "sagittal")
    ),
    "slices": Fact("number", "number of slices at different depths"),
    "slice_mm": Fact("number", "distance of slices along their normal"),
    "pixel_mm": Fact("number", "larger distance of pixels in the plane"),
    "coverage_mm": Fact("number", "extent along the normal, from edge to edge"),
}
"""By the name that rules use; all others in `when:` are DICOM keywords."""
