"""What the small PACS got, read back: series, measured values, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from pydicom import Dataset, dcmread


@dataclass(frozen=True)
class Measured:
    """A number of a Structured Report.

    Attributes:
        of: the finding site or segment that its group tracks.
    """

    name: str
    of: str
    value: float
    unit: str


def received(folder: Path) -> list[Dataset]:
    """Everything that the PACS holds, by Modality and Instance Number."""
    objects = [dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    return sorted(objects, key=lambda ds: (str(ds.Modality), int(ds.get("InstanceNumber") or 0)))


def measured(objects: Sequence[Dataset]) -> list[Measured]:
    """The numbers of all Structured Reports (TID 1500), each once."""
    found = {one: None for ds in objects if ds.Modality == "SR" for one in _numbers(ds, "")}
    return list(found)


def _numbers(item: Dataset, of: str) -> Iterator[Measured]:
    """Walks a content tree (PS3.3 C.17.3); a group's tracking identifier names what its numbers are of."""
    children = item.get("ContentSequence", [])
    for child in children:
        if _name(child) == "Tracking Identifier":
            of = str(child.TextValue)
    for child in children:
        if child.ValueType == "NUM" and child.MeasuredValueSequence:
            value = child.MeasuredValueSequence[0]
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            yield Measured(_name(child), of, float(value.NumericValue), str(unit))
        yield from _numbers(child, of)


def _name(item: Dataset) -> str:
    """The meaning of an item's concept name."""
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeMeaning) if names else ""


def save_pictures(objects: Sequence[Dataset], folder: Path) -> list[Path]:
    """Writes every secondary capture as PNG files, one for each frame."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for ds in (one for one in objects if one.get("SamplesPerPixel") == 3):
        pixels = ds.pixel_array
        for number, frame in enumerate(pixels if pixels.ndim == 4 else pixels[None], 1):
            path = folder / f"{ds.SeriesNumber}-{ds.get('InstanceNumber') or 1}-{number}.png"
            Image.fromarray(frame).save(path)
            paths.append(path)
    return paths
