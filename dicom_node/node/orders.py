"""What a job asks for, in a form that every stage and every process understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args

from dicom_node.config import Output
from dicom_node.findings import Algorithm
from dicom_node.node.site import Site
from dicom_node.pipeline import Pipeline
from dicom_node.records import Job

ALL_OUTPUTS = frozenset(get_args(Output))


@dataclass(frozen=True)
class Order:
    """What is to be run, and as whose results.

    Attributes:
        pipeline: its name in conf.yaml.
        paths: the files of each role's series.
        created_at: the content time of the results.
        outputs: kinds of result wanted by anyone.
        algorithm, title: the pipeline's own.
        resample: whether tilted or uneven slices may be straightened for it.
    """

    job_id: str
    pipeline: str
    paths: Mapping[str, Sequence[Path]]
    revision: int
    created_at: datetime
    outputs: frozenset[str]
    algorithm: Algorithm
    title: str
    resample: bool = False
    doubtful: bool = False


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
        outputs=_outputs(job, site),
        algorithm=pipeline.algorithm,
        title=pipeline.title,
        resample=pipeline.allow_resampling,
        doubtful=job.doubtful,
    )


def _outputs(job: Job, site: Site) -> frozenset[str]:
    """The kinds of result that anyone takes; all kinds where the results are kept only."""
    takes = [site.takes[name] for name in job.destinations if name in site.takes]
    return frozenset().union(*takes) if takes else ALL_OUTPUTS
