"""The public interface of a pipeline: what it is given, what it returns. A pipeline imports only this.

    class Mine(Pipeline):
        name, version = "mine", "1.0"

        def run(self, case: Case) -> Iterable[Finding]:
            mask = case.volume.array > 100
            yield Segmentation(mask.astype(np.uint8), (Segment("bright", ANATOMY, ORGAN),))

`conf.yaml` names it as `pipelines: {mine: {use: "package.module:Mine"}}`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from dicom_node.errors import BadInput, GeometryError, ModelFailed, ModelUnavailable
from dicom_node.findings import (
    Algorithm,
    Classification,
    Code,
    Detection,
    Finding,
    Heatmap,
    Measurement,
    NotApplicable,
    Picture,
    Segment,
    Segmentation,
    Text,
)
from dicom_node.geometry import Frame, Grid, Volume


class Options(BaseModel):
    """Base of a pipeline's options: what a site may set under `options:` in conf.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Input:
    """One series as a pipeline sees it.

    Attributes:
        volume: its pixels in patient coordinates.
        header: DICOM keywords of the series' first image, as Python values (str, int, float, list of
            these, list of dicts for sequences); pixel data and private elements left out.
    """

    volume: Volume
    header: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """What one run is given.

    Attributes:
        inputs: by role; a pipeline of one series has the single role "image".
        progress: call with 0..1 now and then; it also raises when the job was cancelled.
    """

    inputs: Mapping[str, Input]
    progress: Callable[[float], None] = field(default=lambda _fraction: None)

    @property
    def volume(self) -> Volume:
        """The volume of the single input "image"."""
        return self.inputs["image"].volume

    @property
    def header(self) -> Mapping[str, Any]:
        """The header of the single input "image"."""
        return self.inputs["image"].header


class Pipeline(ABC):
    """One task on one kind of series. Made once for each warm worker; `load` may take long, `run` not."""

    name: ClassVar[str]
    version: ClassVar[str]
    title: ClassVar[str]
    """What the radiologist reads in the series list, such as "Lung volumes"."""
    options_type: ClassVar[type[Options]] = Options
    roles: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(self, options: Options | None = None) -> None:
        self.options = options if options is not None else self.options_type()

    @property
    def algorithm(self) -> Algorithm:
        """How the results name their maker; override it to cite the method."""
        options = tuple((key, str(value)) for key, value in sorted(self.options.model_dump().items()))
        return Algorithm(name=self.name, version=self.version, parameters=options)

    def load(self, device: str) -> None:  # noqa: B027 - many pipelines have nothing to load
        """Loads weights onto a device ("cpu", "cuda:0"). Raises ModelUnavailable where that can't be."""

    @abstractmethod
    def run(self, case: Case) -> Iterable[Finding]:
        """Yields findings, or one NotApplicable."""


__all__ = [
    "Algorithm",
    "BadInput",
    "Case",
    "Classification",
    "Code",
    "Detection",
    "Finding",
    "Frame",
    "GeometryError",
    "Grid",
    "Heatmap",
    "Input",
    "Measurement",
    "ModelFailed",
    "ModelUnavailable",
    "NotApplicable",
    "Options",
    "Picture",
    "Pipeline",
    "Segment",
    "Segmentation",
    "Text",
    "Volume",
]
