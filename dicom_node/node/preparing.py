"""The stage before a model: files of a job's series in, volumes and what encoding needs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_node.config import Config
from dicom_node.encode import EncodeContext
from dicom_node.errors import BadInput
from dicom_node.headers import instance_number, plain, read_header
from dicom_node.node.earlier import Earlier, look_up
from dicom_node.node.orders import Order
from dicom_node.pipeline import Input
from dicom_node.spool import Spool
from dicom_node.told import without_machine
from dicom_node.volume import Reading, Straight, read_straight


@dataclass
class Prepared:
    """An order whose images are read.

    Attributes:
        inputs: what the pipeline sees, by role.
        read: the same volumes, with the way back to the source's slices.
        spool: where an archive's C-MOVE puts what it is asked for; None: out of reach.
    """

    order: Order
    config: Config
    inputs: Mapping[str, Input]
    read: Mapping[str, Straight]
    spool: Spool | None = None

    @cached_property
    def earlier(self) -> Earlier:
        """What is known of the patient's earlier studies; archives may be asked, as `look_up` says."""
        return look_up(self.order, self.config, self.spool)

    @cached_property
    def context(self) -> EncodeContext:
        """What encoding needs; reads every header, for which no pipeline waits. Raises BadInput, OSError."""
        context = _context(self.order, self.config)
        volumes = {role: one.target for role, one in self.read.items()}
        return replace(context, volumes=volumes, earlier=self.earlier.values)


def prepare(
    order: Order, config: Config, spool: Spool | None = None, empty: Callable[..., NDArray[Any]] = np.empty
) -> Prepared:
    """Reads the images of an order.

    Args:
        order: what is to be run.
        config: the site's.
        spool: see `Prepared`.
        empty: makes the arrays that images are read into, as numpy.empty does.

    Raises:
        BadInput: they can't be read, or make no volume; the text says why.
        OSError: a file can't be read.
    """
    how = Reading(config.node.threads, empty)
    read = {
        role: read_straight(paths, resample=order.resample, how=how) for role, paths in order.paths.items()
    }
    inputs = {role: Input(one.volume, plain(read_header(order.paths[role][0]))) for role, one in read.items()}
    return Prepared(order, config, inputs, read, spool)


def context_of(order: Order, config: Config) -> EncodeContext | None:
    """The context of an order whose volumes are not needed; None where its headers can't be read."""
    try:
        return _context(order, config)
    except (BadInput, OSError):
        return None


def read_headers(paths: Sequence[Path]) -> list[Dataset]:
    """Headers of a series' files, by InstanceNumber. Raises BadInput where there is none."""
    headers = [read_header(path) for path in paths]
    if not headers:
        raise BadInput("no image of the series can be read")
    return sorted(headers, key=instance_number)


def _context(order: Order, config: Config) -> EncodeContext:
    """What encoding needs to know of an order, from its images' headers alone."""
    return EncodeContext(
        sources={role: read_headers(paths) for role, paths in order.paths.items()},
        volumes={},
        algorithm=without_machine(order.algorithm),
        title=order.title,
        job_id=order.job_id,
        revision=order.revision,
        created_at=order.created_at.astimezone(),
        use=config.node.use,
        ae_title=config.node.ae_title,
        institution=config.node.institution,
        doubtful=order.doubtful,
        predecessors=order.predecessors,
    )
