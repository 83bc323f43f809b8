"""One run of one pipeline: files in, checked DICOM objects out. The worker and `dicom-node run` share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import Dataset

from dicom_node.config import Config
from dicom_node.encode import EncodeContext, EncodedObject, encode, encode_no_result
from dicom_node.errors import BadInput, NodeError, Transient
from dicom_node.findings import Finding, NotApplicable
from dicom_node.geometry import Volume
from dicom_node.headers import plain, read_header
from dicom_node.infer.engine import Engine
from dicom_node.pipeline import Case, Input, Pipeline
from dicom_node.records import JobState
from dicom_node.volume import read_straight


@dataclass(frozen=True)
class Order:
    """What is to be run, and as whose results.

    Attributes:
        pipeline: its name in conf.yaml.
        paths: the files of each role's series.
        created_at: the content time of the results.
        outputs: kinds of result wanted by anyone.
    """

    job_id: str
    pipeline: str
    paths: Mapping[str, Sequence[Path]]
    revision: int
    created_at: datetime
    outputs: frozenset[str]
    doubtful: bool = False


@dataclass(frozen=True)
class Ran:
    """How a run ended: the state to record, why, the findings, and the objects to deliver."""

    state: JobState
    reason: str | None
    findings: tuple[Finding, ...]
    objects: tuple[EncodedObject, ...]


def run(
    order: Order, engine: Engine, pipeline: Pipeline, config: Config, progress: Callable[[float], None]
) -> Ran:
    """Runs a pipeline on files, and encodes what it found.

    A permanent error is a FAILED run with objects that say so; so is what can't be encoded.

    Raises:
        Transient: another time it may work; nothing was made.
    """
    context: EncodeContext | None = None
    try:
        headers = {role: read_headers(paths) for role, paths in order.paths.items()}
        context = _context(order, headers, {}, pipeline, config)
        resample = pipeline.allow_resampling
        read = {role: read_straight(paths, resample=resample) for role, paths in order.paths.items()}
        inputs = {role: Input(one.volume, plain(headers[role][0])) for role, one in read.items()}
        volumes = {role: one.target for role, one in read.items()}
        context = _context(order, headers, volumes, pipeline, config)
        findings = engine.run(order.pipeline, Case(inputs, progress))
        for role, one in read.items():
            findings = one.back(findings, role)
        if isinstance(findings[0], NotApplicable):
            reason = findings[0].reason
            return Ran(JobState.NOT_APPLICABLE, reason, tuple(findings), no_result(reason, context))
        return Ran(JobState.DONE, None, tuple(findings), tuple(encode(findings, context)))
    except Transient:
        raise
    except NodeError as fault:
        return failed(str(fault), context)


def failed(reason: str, context: EncodeContext | None) -> Ran:
    """A failed run, with the objects that say so in the study where its headers could be read."""
    return Ran(JobState.FAILED, reason, (), no_result(reason, context) if context else ())


def no_result(reason: str, context: EncodeContext) -> tuple[EncodedObject, ...]:
    """The objects that stand in the study for a result that there isn't."""
    return tuple(encode_no_result(reason, context))


def context_of(order: Order, pipeline: Pipeline, config: Config) -> EncodeContext | None:
    """The context of an order whose volumes are not needed; None where its headers can't be read."""
    try:
        headers = {role: read_headers(paths) for role, paths in order.paths.items()}
    except (BadInput, OSError):
        return None
    return _context(order, headers, {}, pipeline, config)


def read_headers(paths: Sequence[Path]) -> list[Dataset]:
    """Headers of a series' files, by InstanceNumber. Raises BadInput where there is none."""
    headers = [read_header(path) for path in paths]
    if not headers:
        raise BadInput("no image of the series can be read")
    return sorted(headers, key=_number)


def _number(ds: Dataset) -> int:
    """InstanceNumber (0020,0013), or a number past all others."""
    try:
        return int(ds.get("InstanceNumber") or 2**31)
    except (TypeError, ValueError):
        return 2**31


def _context(
    order: Order,
    headers: Mapping[str, Sequence[Dataset]],
    volumes: Mapping[str, Volume],
    pipeline: Pipeline,
    config: Config,
) -> EncodeContext:
    """What encoding needs to know of this run."""
    return EncodeContext(
        sources=headers,
        volumes=volumes,
        algorithm=pipeline.algorithm,
        title=pipeline.title,
        job_id=order.job_id,
        revision=order.revision,
        created_at=order.created_at.astimezone(),
        use=config.node.use,
        ae_title=config.node.ae_title,
        institution=config.node.institution,
        outputs=order.outputs,
        doubtful=order.doubtful,
    )
