"""The stage before a model: files of a job's series in, volumes and what encoding needs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import Dataset

from dicom_node.config import Config
from dicom_node.encode import EncodeContext, Taker
from dicom_node.errors import BadInput
from dicom_node.headers import plain, read_header
from dicom_node.node.orders import Order
from dicom_node.pipeline import Input
from dicom_node.volume import Straight, read_straight


@dataclass(frozen=True)
class Prepared:
    """An order whose images are read.

    Attributes:
        context: what encoding needs, with volumes on the source's own slices.
        inputs: what the pipeline sees, by role.
        read: the same volumes, with the way back to the source's slices.
        takers: the destinations of what is found.
    """

    context: EncodeContext
    inputs: Mapping[str, Input]
    read: Mapping[str, Straight]
    takers: tuple[Taker, ...] = ()


def prepare(order: Order, config: Config) -> Prepared:
    """Reads the images of an order.

    Raises:
        BadInput: they can't be read, or make no volume; the text says why.
        OSError: a file can't be read.
    """
    context = _context(order, config)
    read = {
        role: read_straight(paths, resample=order.resample, threads=config.node.threads)
        for role, paths in order.paths.items()
    }
    inputs = {role: Input(one.volume, plain(context.sources[role][0])) for role, one in read.items()}
    context = replace(context, volumes={role: one.target for role, one in read.items()})
    return Prepared(context, inputs, read, order.takers)


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
    return sorted(headers, key=_number)


def _number(ds: Dataset) -> int:
    """InstanceNumber (0020,0013), or a number past all others."""
    try:
        return int(ds.get("InstanceNumber") or 2**31)
    except (TypeError, ValueError):
        return 2**31


def _context(order: Order, config: Config) -> EncodeContext:
    """What encoding needs to know of an order, from its images' headers alone."""
    return EncodeContext(
        sources={role: read_headers(paths) for role, paths in order.paths.items()},
        volumes={},
        algorithm=order.algorithm,
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
