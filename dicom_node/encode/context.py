"""What encoding is given beside the findings, what it returns, and how its results are known again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Concatenate, Literal, ParamSpec, TypeVar, cast

from pydicom import Dataset

from dicom_node.findings import Algorithm
from dicom_node.geometry import Volume
from dicom_node.records import Measured, Result

MANUFACTURER = "dicom-node"
"""Manufacturer (0008,0070) of every object made here."""


@dataclass(frozen=True)
class EncodeContext:
    """All that results need to know of the job they come from.

    Attributes:
        sources: by role, headers (without pixels) of the series' instances. The first role is the
            principal one: results go into its study, and are of its patient.
        volumes: by role, the volume that the pipeline saw; frames aligned with k, or none where it
            was resampled.
        algorithm: who says so. title: the pipeline's title, what a radiologist reads in the series list.
        job_id, revision: which job, and which revision of its series.
        created_at: aware; the content date and time of every object, written in its own time zone or
            in that of the source where the source states one.
        use: what the site's configuration allows the results to be used for; written and burned in.
        ae_title, institution: who made them: the node's, not the scanner's.
        outputs: kinds wanted ("seg", "sr", "sc", …).
        doubtful: the series was called complete by a ceiling only; the results say so.
        predecessors: results of earlier revisions that a destination may hold; they are referred to.
        earlier: what was measured in earlier studies, maybe of others too; what is the patient's is shown.
    """

    sources: Mapping[str, Sequence[Dataset]]
    volumes: Mapping[str, Volume]
    algorithm: Algorithm
    title: str
    job_id: str
    revision: int
    created_at: datetime
    use: Literal["research", "clinical"] = "research"
    ae_title: str = "DICOMNODE"
    institution: str | None = None
    outputs: frozenset[str] = field(default=frozenset({"seg", "sr", "sc"}))
    doubtful: bool = False
    predecessors: Sequence[Result] = ()
    earlier: Sequence[Measured] = ()
    made: dict[Hashable, object] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What `once` keeps."""

    @property
    def principal(self) -> Dataset:
        """Header of the first instance of the principal series: whose study and patient it is."""
        return next(iter(self.sources.values()))[0]


Given = ParamSpec("Given")
Made = TypeVar("Made")


def once(
    make: Callable[Concatenate[EncodeContext, Given], Made],
) -> Callable[Concatenate[EncodeContext, Given], Made]:
    """Makes a function compute once for each context: what hangs on the sources alone serves all objects.

    Nobody may change what it gives.
    """

    @wraps(make)
    def kept(context: EncodeContext, /, *args: Given.args, **kwargs: Given.kwargs) -> Made:
        key = (make, *args, *kwargs.items())
        if key not in context.made:
            context.made[key] = make(context, *args, **kwargs)
        return cast(Made, context.made[key])

    return kept


@once
def instances(context: EncodeContext) -> Mapping[str, Dataset]:
    """Headers of all sources, by SOP Instance UID."""
    return {str(ds.SOPInstanceUID): ds for headers in context.sources.values() for ds in headers}


@once
def source_series(context: EncodeContext) -> tuple[frozenset[str], frozenset[object]]:
    """Series Instance UIDs and Series Numbers of the sources."""
    headers = instances(context).values()
    numbers = frozenset(header.get("SeriesNumber") for header in headers)
    return frozenset(str(header.SeriesInstanceUID) for header in headers), numbers


@dataclass(frozen=True)
class EncodedObject:
    """One result object.

    Attributes:
        kind: its form: "seg", "labelmap", "sr", "sc", …
        ds: the whole data set, with its file meta information.
        description: its Series Description.
        index: which of its kind, from 0; of segmentations, which of the findings' masks it holds.
        destinations: whom it was made for, by their names in conf.yaml.
    """

    kind: str
    ds: Dataset
    description: str
    index: int = 0
    destinations: tuple[str, ...] = ()

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID (0008,0016)."""
        return str(self.ds.SOPClassUID)

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return str(self.ds.SOPInstanceUID)

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID (0020,000E)."""
        return str(self.ds.SeriesInstanceUID)


@dataclass(frozen=True)
class EncodedFile:
    """A result that is no DICOM object: it stays in the node, and is sent to nobody.

    Attributes:
        kind: what it is: "embedding".
        uid: derived like an object's, so that a second run makes the same.
        series_instance_uid: the series that it is about.
        name: of its file, within its job.
        description: in words.
    """

    kind: str
    uid: str
    series_instance_uid: str
    name: str
    content: bytes
    description: str


def is_own_result(ds: Dataset) -> bool:
    """Says whether this software made the object as a result, so that it is never routed as an input.

    Needs the header alone: Manufacturer (0008,0070), and the Contributing Equipment item (PS3.3 C.12.1.1.5)
    that every result carries for the node that processed it.
    """
    contributors = ds.get("ContributingEquipmentSequence") or ()
    makers = [str(item.get("Manufacturer") or "") for item in (ds, *contributors)]
    return makers[0] == MANUFACTURER and MANUFACTURER in makers[1:]
