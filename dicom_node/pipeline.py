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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from dicom_node.drafts import checked_text, foreign_modality, template_sentences
from dicom_node.errors import BadInput, GeometryError, ModelFailed, ModelUnavailable, Transient
from dicom_node.findings import (
    Algorithm,
    Classification,
    Code,
    Detection,
    Embedding,
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
from dicom_node.heat import ClassActivation, Explainer, explainer_of
from dicom_node.models import (
    check_weights,
    find_folder,
    find_weights,
    load_checkpoint,
    load_weights,
    model_folder,
    model_revision,
    shared,
    tuned,
)
from dicom_node.plausibility import connected_parts, side_doubts
from dicom_node.slices import KeySlice, evenly, key_slices, montage
from dicom_node.terms import (
    ABSENT,
    MILLILITRE,
    PRESENT,
    STANDARD_DEVIATION,
    VOLUME,
    concept_for,
    segment_for,
)
from dicom_node.told import parameters_of


class Options(BaseModel):
    """Base of a pipeline's options: what a site may set under `options:` in conf.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Requirements(BaseModel):
    """What an input must be for a pipeline to apply; the engine checks it before the pipeline runs.

    Attributes:
        modality: Modality (0008,0060), one of these; empty: any.
        body_part: Body Part Examined (0018,0015), one of these; a series that states none passes.
        plane: the slices' plane, by the nearest patient axis; empty: any.
        max_slice_spacing_mm, max_pixel_spacing_mm: largest distance between voxel centres, along the
            normal and in the plane.
        min_coverage_mm: smallest extent along the normal, from the first slice's edge to the last's.
        min_slices: smallest number of slices.
        contrast: "given" or "none", by Contrast/Bolus Agent (0018,0010); None: either.
        min_age_years, max_age_years: bounds of the patient's age at the study; where one is set, an
            input that states no age does not meet it.
        reference: a file made by `dicom-node models reference`; an image too unlike the reference's is
            out of distribution. max_distance: the threshold; None: the reference's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    plane: tuple[Literal["axial", "coronal", "sagittal"], ...] = ()
    max_slice_spacing_mm: float | None = Field(default=None, gt=0)
    max_pixel_spacing_mm: float | None = Field(default=None, gt=0)
    min_coverage_mm: float | None = Field(default=None, gt=0)
    min_slices: int = Field(default=1, ge=1)
    contrast: Literal["given", "none"] | None = None
    min_age_years: float | None = Field(default=None, ge=0)
    max_age_years: float | None = Field(default=None, ge=0)
    reference: Path | None = None
    max_distance: float | None = Field(default=None, gt=0)


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

    options_type: ClassVar[type[Options]] = Options
    untold: ClassVar[frozenset[str]] = frozenset({"allow_pickle", "requires", "title"})
    """Names of options that its results don't tell, since they shape none, or are told elsewhere."""
    name: str
    version: str
    """Of the method and its weights; with the options it tells one result from another."""
    title: str
    """What the radiologist reads in the series list, such as "Lung volumes"."""
    roles: tuple[str, ...] = ("image",)
    allow_resampling: bool = False
    """Whether tilted or unevenly spaced slices may be resampled to a plain box for it; its masks are brought
    back to the source's own slices. Without it, tilt is given as an oblique grid, and uneven slices fail."""
    requires: Requirements = Requirements()
    """What every input must be; override `requirements` where they differ by role."""
    at_once: int = 1
    """How many cases `run_many` may be given; the node fills a pass with what waits, and waits for none."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options if options is not None else self.options_type()

    @property
    def algorithm(self) -> Algorithm:
        """How results name their maker, with the options that shape them; override it to cite the method."""
        parameters = parameters_of(self.options, self.untold)
        return Algorithm(name=self.name, version=self.version, parameters=parameters)

    @property
    def requirements(self) -> Mapping[str, Requirements]:
        """What the input of each role must be."""
        return dict.fromkeys(self.roles, self.requires)

    def check(self) -> None:  # noqa: B027 - many pipelines need nothing from outside
        """Looks, without loading, whether weights and packages are there. Raises ModelUnavailable."""

    def load(self, device: str) -> None:  # noqa: B027 - many pipelines have nothing to load
        """Loads weights onto a device ("cpu", "cuda:0"). Raises ModelUnavailable where that can't be."""

    def shrink(self) -> bool:
        """Makes the next run need less memory (smaller tiles); False where it can't be made smaller."""
        return False

    @abstractmethod
    def run(self, case: Case) -> Iterable[Finding]:
        """Yields findings, or one NotApplicable."""

    def run_many(self, cases: Sequence[Case]) -> Iterable[Iterable[Finding]]:
        """Yields for each case, in their order, what `run` would; for small cases that gain from one pass.

        Where it raises, or gives another number of answers, the cases are tried in smaller passes and in
        the end by `run`, so it need not handle what one of them may spoil for the others. `progress` of a
        case that was cancelled does not raise here while others still want their results.
        """
        return [self.run(case) for case in cases]


__all__ = [
    "ABSENT",
    "MILLILITRE",
    "PRESENT",
    "STANDARD_DEVIATION",
    "VOLUME",
    "Algorithm",
    "BadInput",
    "Case",
    "ClassActivation",
    "Classification",
    "Code",
    "Detection",
    "Embedding",
    "Explainer",
    "Finding",
    "Frame",
    "GeometryError",
    "Grid",
    "Heatmap",
    "Input",
    "KeySlice",
    "Measurement",
    "ModelFailed",
    "ModelUnavailable",
    "NotApplicable",
    "Options",
    "Picture",
    "Pipeline",
    "Requirements",
    "Segment",
    "Segmentation",
    "Text",
    "Transient",
    "Volume",
    "check_weights",
    "checked_text",
    "concept_for",
    "connected_parts",
    "evenly",
    "explainer_of",
    "find_folder",
    "find_weights",
    "foreign_modality",
    "key_slices",
    "load_checkpoint",
    "load_weights",
    "model_folder",
    "model_revision",
    "montage",
    "segment_for",
    "shared",
    "side_doubts",
    "template_sentences",
    "tuned",
]
