"""Happenings as a receiver reports them, for the ledger's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dicom_node.ledger import Indexed, Ledger
from dicom_node.records import Association, AssociationOutcome, Instance, ReceiverEvent

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def assoc(
    name: str,
    sender: str = "CT1",
    started: float = 0,
    ended: float | None = None,
    *,
    aborted: bool = False,
    refused: tuple[str, ...] = (),
) -> Association:
    outcome = AssociationOutcome.OPEN
    if ended is not None:
        outcome = AssociationOutcome.ABORTED if aborted else AssociationOutcome.RELEASED
    return Association(
        id=name,
        calling_ae_title=sender,
        called_ae_title="DICOMNODE",
        address="127.0.0.1",
        started_at=at(started),
        ended_at=None if ended is None else at(ended),
        outcome=outcome,
        refused=len(refused),
        refused_uids=refused,
    )


def image(number: int, series: str = "1.2.3", received: float = 0.0, association: str = "a1") -> Instance:
    return Instance(
        sop_instance_uid=f"{series}.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_instance_uid=series,
        study_instance_uid="1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=f"instances/{series}/{number}.dcm",
        size=1000,
        digest=f"d{number}",
        association_id=association,
        received_at=at(received),
    )


def index(one: Instance, number: int) -> Indexed:
    header = {"Modality": "CT", "InstanceNumber": number, "SeriesInstanceUID": one.series_instance_uid}
    return Indexed(instance=one, header=header, fields={"InstanceNumber": number})


def arrive(ledger: Ledger, images: list[Instance], journal: tuple[str, int] | None = None) -> set[str]:
    """Reports stored images, in order."""
    events = [ReceiverEvent("stored", instance=one) for one in images]
    indexed = {one.path: index(one, int(one.sop_instance_uid.rsplit(".", 1)[1])) for one in images}
    return ledger.arrivals.apply(events, indexed, images[-1].received_at, journal)


def opened(ledger: Ledger, one: Association, journal: str = "j1") -> None:
    ledger.arrivals.apply([ReceiverEvent("opened", association=one)], {}, one.started_at, (journal, 0))


def closed(ledger: Ledger, one: Association, journal: str = "j1") -> set[str]:
    assert one.ended_at is not None
    return ledger.arrivals.apply([ReceiverEvent("closed", association=one)], {}, one.ended_at, (journal, 0))
