"""Runs a pipeline on a folder, without a network: the same code path as a worker's, results into a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dicom_node.config import Config
from dicom_node.encode import is_own_result, to_bytes
from dicom_node.errors import BadInput
from dicom_node.headers import instance_number, read_header
from dicom_node.infer.engine import Engine
from dicom_node.ledger.queueing import job_id
from dicom_node.node.finishing import Ran
from dicom_node.node.orders import Order
from dicom_node.node.running import run
from dicom_node.pipeline import Pipeline


@dataclass(frozen=True)
class FoundSeries:
    """A series found in a folder."""

    series_instance_uid: str
    modality: str
    description: str
    paths: tuple[Path, ...]


def find_series(folder: Path, *, results_too: bool = False) -> tuple[list[FoundSeries], list[Path]]:
    """Groups a folder's DICOM files by series, whatever they are called.

    Args:
        folder: looked through with all that is below it.
        results_too: whether series that this node made count.

    Returns:
        The series, by their first file's path; and the files that are not DICOM.
    """
    found: dict[str, FoundSeries] = {}
    others = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            ds = read_header(path)
        except BadInput:
            others.append(path)
            continue
        if (is_own_result(ds) and not results_too) or not (uid := str(ds.get("SeriesInstanceUID", ""))):
            continue
        so_far = found[uid].paths if uid in found else ()
        description = str(ds.get("SeriesDescription") or "")
        found[uid] = FoundSeries(uid, str(ds.get("Modality") or ""), description, (*so_far, path))
    return list(found.values()), others


def run_folder(
    name: str,
    pipeline: Pipeline,
    series: Sequence[FoundSeries],
    output: Path,
    config: Config,
    progress: Callable[[str, float], None],
) -> Iterator[tuple[FoundSeries, Ran, list[Path]]]:
    """Runs a pipeline on each series, and writes the objects of each into `output`.

    Yields:
        The series, how its run ended, and the files written.

    Raises:
        ModelUnavailable: the pipeline's model can't be loaded.
    """
    engine = Engine({name: pipeline}, config.node.devices[0])
    engine.warm(name)
    for one in series:
        order = Order(
            job_id=job_id("offline", name, {"image": (one.series_instance_uid, 1)}),
            pipeline=name,
            paths={"image": sorted(one.paths, key=lambda path: instance_number(read_header(path)))},
            revision=1,
            created_at=datetime.now(UTC),
            takers=(),
            algorithm=pipeline.algorithm,
            title=pipeline.title,
            resample=pipeline.allow_resampling,
        )

        def note(fraction: float, uid: str = one.series_instance_uid) -> None:
            progress(uid, fraction)

        ran = run(order, engine, config, note)
        yield one, ran, list(_written(ran, output))


def _written(ran: Ran, output: Path) -> Iterator[Path]:
    """Writes each object, and what a node would keep beside them, as a file of its own; gives their paths."""
    contents = {f"{one.kind}_{one.sop_instance_uid}.dcm": to_bytes(one) for one in ran.objects}
    contents |= {f"{one.kind}_{one.uid}{Path(one.name).suffix}": one.content for one in ran.files}
    for name, content in contents.items():
        output.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(content)
        yield output / name
