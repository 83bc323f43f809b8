"""What a job asks for, in a form that every stage and every process understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dicom_node.encode import Taker
from dicom_node.findings import Algorithm
from dicom_node.node.negotiating import takers
from dicom_node.node.site import Site
from dicom_node.pipeline import Pipeline
from dicom_node.records import Job, Measured, Result


@dataclass(frozen=True)
class Order:
    """What is to be run, and as whose results.

    Attributes:
        pipeline: its name in conf.yaml.
        paths: the files of each role's series; the first one's header is what the pipeline sees.
        created_at: the content time of the results.
        takers: its destinations, with what each takes; none: its results are kept only.
        algorithm, title: the pipeline's own.
        resample: whether tilted or uneven slices may be straightened for it.
        predecessors: earlier revisions' results that its own replace.
        earlier: what the ledger knows of the patient's earlier studies.
    """

    job_id: str
    pipeline: str
    paths: Mapping[str, Sequence[Path]]
    revision: int
    created_at: datetime
    takers: tuple[Taker, ...]
    algorithm: Algorithm
    title: str
    resample: bool = False
    doubtful: bool = False
    predecessors: tuple[Result, ...] = ()
    earlier: tuple[Measured, ...] = ()


def order_of(job: Job, site: Site, pipeline: Pipeline) -> Order:
    """The order of a claimed job."""
    return Order(
        job_id=job.id,
        pipeline=job.pipeline,
        paths={
            role: [site.spool.path(one) for one in site.ledger.holdings.paths(series)]
            for role, series in job.series.items()
        },
        revision=job.revision,
        created_at=job.created_at,
        takers=takers(site, job.destinations),
        algorithm=pipeline.algorithm,
        title=pipeline.title,
        resample=pipeline.allow_resampling,
        doubtful=job.doubtful,
        predecessors=tuple(site.ledger.superseding.predecessors(job)),
        earlier=tuple(
            site.ledger.values.of_patient(next(iter(job.series.values())), pipeline.algorithm.name)
        ),
    )
