"""`dicom-node send FOLDER HOST:PORT`: sends a folder's DICOM files to a peer, and says how each fared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from pydantic import TypeAdapter, ValidationError
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, MediaStorageDirectoryStorage
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from dicom_node import log
from dicom_node.cli.common import console
from dicom_node.config.models import DestinationConfig
from dicom_node.config.types import AETitle
from dicom_node.deliver import send as deliver
from dicom_node.records import Delivery, DeliveryOutcome


def _title(value: str) -> str:
    try:
        return TypeAdapter(AETitle).validate_python(value)
    except ValidationError:
        raise typer.BadParameter("an AE title has 1 to 16 ASCII characters, and no backslash") from None


class Found(NamedTuple):
    """What a folder holds: files to send, and how many others, by why they are left out."""

    deliveries: list[Delivery]
    skipped: Counter[str]


def send(
    folder: Annotated[Path, typer.Argument(exists=True, help="A folder, searched throughout, or one file.")],
    peer: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Whom to send to.")],
    ae_title: Annotated[str, typer.Option(help="Our AE title.", callback=_title)] = "DICOMNODE",
    called: Annotated[str, typer.Option(help="The peer's AE title.", callback=_title)] = "ANY-SCP",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for each answer.")] = 30.0,
) -> None:
    """Send a folder's DICOM files to a peer by C-STORE."""
    log.configure(level="error")
    host, port = _address(peer)
    destination = DestinationConfig(ae_title=called, host=host, port=port, timeout=timeout)
    root = folder if folder.is_dir() else folder.parent
    deliveries, skipped = find(root, sorted(folder.rglob("*")) if folder.is_dir() else [folder])
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("sending", total=len(deliveries))
        outcomes = deliver(
            deliveries, destination, ae_title, root.joinpath, settled=lambda _outcome: bar.advance(task)
        )
    console.print(_table(deliveries, outcomes))
    for why, number in skipped.items():
        console.print(f"{number} {why}: not sent")
    if not deliveries or any(outcome.error is not None for outcome in outcomes):
        raise typer.Exit(1)


def find(root: Path, paths: Iterable[Path]) -> Found:
    """The DICOM files among paths, each as a delivery whose `path` is relative to the root."""
    deliveries: list[Delivery] = []
    skipped: Counter[str] = Counter()
    for path in paths:
        if not path.is_file():
            continue
        try:
            meta = read_file_meta_info(path)
            sop_class, sop_instance = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        except (InvalidDicomError, AttributeError, EOFError):
            skipped["files without DICOM file meta information"] += 1
            continue
        if not sop_class or not sop_instance:
            skipped["files that don't say which SOP class or instance they are"] += 1
            continue
        if sop_class == MediaStorageDirectoryStorage:
            skipped["DICOMDIR, an index of files and no image"] += 1
            continue
        name = str(path.relative_to(root))
        deliveries.append(Delivery(len(deliveries), sop_instance, sop_class, "peer", name, attempt=1))
    return Found(deliveries, skipped)


def _address(peer: str) -> tuple[str, int]:
    host, _, port = peer.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise typer.BadParameter(f"{peer} is not HOST:PORT, such as 10.0.0.5:104")
    return host.strip("[]"), int(port)


def _table(deliveries: Sequence[Delivery], outcomes: Sequence[DeliveryOutcome]) -> Table:
    """Numbers of files by SOP class and by how they fared."""
    table = Table("kind", "files", "result")
    rows = Counter(
        (UID(delivery.sop_class_uid).name, outcome.error or "sent")
        for delivery, outcome in zip(deliveries, outcomes, strict=True)
    )
    for (kind, result), number in sorted(rows.items()):
        table.add_row(kind, str(number), result)
    return table
