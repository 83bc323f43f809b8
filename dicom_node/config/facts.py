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
        meaning: for the documentation and for explanations.
        values: the only ones there are; empty: any.
    """

    sort: Sort
    meaning: str
    values: tuple[str, ...] = ()


FACTS: dict[str, Fact] = {
    "images": Fact("number", "number of instances held of the series"),
    "frames": Fact("number", "number of frames in all of them"),
    "calling_ae_title": Fact("text", "AE titles of the senders of its images"),
    "plane": Fact(
        "text", "plane of the slices, by the nearest patient axis", ("axial", "coronal", "sagittal")
    ),
    "kind": Fact("text", "what the series is"),
}
"""By the name that rules use; all others in `when:` are DICOM keywords."""
