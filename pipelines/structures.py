"""Masks of named structures to findings: coded segments, volumes, and what is implausible or absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dicom_node.pipeline import (
    ABSENT,
    MILLILITRE,
    STANDARD_DEVIATION,
    VOLUME,
    Classification,
    Code,
    Finding,
    Grid,
    Measurement,
    Options,
    Segment,
    Segmentation,
    connected_parts,
    segment_for,
    side_doubts,
)
from pipelines.masks import Masks, by_label, stacked


class StructureOptions(Options):
    """How a site names one structure where the defaults don't fit, and what it holds plausible."""

    label: str | None = None
    code: tuple[str, str, str] | None = None
    """Code value, scheme designator and meaning of the property type (CID 7151 and the like)."""
    color: tuple[int, int, int] | None = None
    plausible_ml: tuple[float, float] | None = None
    """Volumes outside of this range are shown with a doubt."""
    most_parts: int | None = None
    """More unconnected parts than this are shown with a doubt."""


@dataclass(frozen=True)
class Structures:
    """What a model's output channels stand for.

    Attributes:
        names: the model's own names by channel number, without the background.
        site: what the site says of a structure, by the model's name of it.
        role, title: of the segmentation.
    """

    names: Mapping[int, str]
    site: Mapping[str, StructureOptions]
    role: str
    title: str
    grid: Grid
    spreads: Mapping[int, float] = field(default_factory=dict)
    """Standard deviation in ml of a volume over perturbed runs, by channel number."""

    def findings(self, masks: Masks) -> Iterable[Finding]:
        """Yields one Segmentation of what was found, the volumes, and what is absent."""
        voxels = {number: int(np.count_nonzero(masks[number])) for number in masks}
        found = [number for number in masks if voxels[number]]
        segments = {number: self._segment(self.names[number]) for number in masks}
        if found:
            numbered = tuple(segments[number] for number in found)
            yield Segmentation(stacked(masks, found), numbered, self.role, title=self.title)
        labels = {segments[number].label: number for number in found}
        swapped = side_doubts(by_label(masks, labels), self.grid)
        for number in masks:
            if voxels[number]:
                doubts = [text] if (text := swapped.get(segments[number].label)) else []
                yield from self._measured(number, segments[number], voxels[number], masks, doubts)
            else:
                concept, support = segments[number].type, "no voxel was labelled"
                yield Classification(concept, ABSENT, support=support, role=self.role)

    def _measured(
        self, number: int, segment: Segment, voxels: int, masks: Masks, doubts: list[str]
    ) -> Iterable[Measurement]:
        value = voxels * self.grid.voxel_ml
        doubts += self._doubts(self._site(self.names[number]), value, lambda: masks[number])
        doubt = "; ".join(doubts) or None
        yield Measurement(VOLUME, value, MILLILITRE, segment.label, doubt=doubt, role=self.role)
        if number in self.spreads:
            yield Measurement(
                VOLUME,
                self.spreads[number],
                MILLILITRE,
                segment.label,
                derivation=STANDARD_DEVIATION,
                digits=2,
                role=self.role,
            )

    def _doubts(
        self, site: StructureOptions, value: float, mask: Callable[[], NDArray[np.bool_]]
    ) -> Iterable[str]:
        if site.plausible_ml is not None and not site.plausible_ml[0] <= value <= site.plausible_ml[1]:
            yield f"outside of the plausible {site.plausible_ml[0]:g} to {site.plausible_ml[1]:g} ml"
        if site.most_parts is not None and (parts := connected_parts(mask())) > site.most_parts:
            yield f"{parts} unconnected parts, plausible are {site.most_parts}"

    def _segment(self, name: str) -> Segment:
        site = self._site(name)
        usual = segment_for(name, site.color)
        code = Code(*site.code) if site.code else usual.type
        return Segment(site.label or usual.label, usual.category, code, usual.laterality, site.color)

    def _site(self, name: str) -> StructureOptions:
        return self.site.get(name, StructureOptions())


def spreads_of(runs: Sequence[Masks], grid: Grid) -> dict[int, float]:
    """Standard deviation in ml of each structure's volume over several runs; nothing of a single one."""
    if len(runs) < 2:
        return {}
    volumes = {n: [np.count_nonzero(masks[n]) * grid.voxel_ml for masks in runs] for n in runs[0]}
    return {number: float(np.std(values)) for number, values in volumes.items()}
