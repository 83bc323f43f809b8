"""A ledger as it is after years: images, series, jobs and deliveries, as the node would have left them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import uuid4

from sqlalchemy import insert

from dicom_node.ledger import Indexed, Ledger
from dicom_node.ledger.evidence import plain_verdict
from dicom_node.ledger.tables import (
    AssociationRow,
    ChangeRow,
    CommitmentRow,
    DeliveryRow,
    InstanceRow,
    JobInputRow,
    JobRow,
    PerformedSeriesRow,
    PerformedStepRow,
    PieceRow,
    ResultRow,
    SeriesRow,
)
from dicom_node.records import (
    AssociationOutcome,
    DeliveryState,
    Instance,
    JobState,
    SeriesState,
    Verdict,
)

SENDERS = tuple(f"SCANNER{number}" for number in range(10))
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BATCH = 2000
HEADER = {
    "SOPClassUID": CT,
    "Modality": "CT",
    "Manufacturer": "Maker",
    "StudyDescription": "Chest with contrast",
    "SeriesDescription": "Thorax 1.0 B70f",
    "BodyPartExamined": "CHEST",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "ConvolutionKernel": "B70f",
    "KVP": 120.0,
    "PixelSpacing": [0.7, 0.7],
    "SliceThickness": 1.0,
    **{f"ProtocolAttribute{number}": f"value {number}" for number in range(60)},
}
"""Of about the size of a CT's header as plain values."""


def uid(draw: random.Random) -> str:
    """A UID as pydicom makes them, from a random number."""
    return f"2.25.{draw.getrandbits(127)}"


def images(draw: random.Random, series: int, each: int, start: datetime) -> Iterator[list[Indexed]]:
    """Series of images as headers were read, each by one association."""
    for _ in range(series):
        study, series_uid, association = uid(draw), uid(draw), uuid4().hex
        yield [
            Indexed(
                Instance(
                    sop_instance_uid=(sop := uid(draw)),
                    sop_class_uid=CT,
                    series_instance_uid=series_uid,
                    study_instance_uid=study,
                    transfer_syntax_uid=EXPLICIT,
                    path=f"instances/{series_uid[-2:]}/{series_uid}/{sop}.dcm",
                    size=526_000,
                    digest=f"{draw.getrandbits(128):032x}",
                    association_id=association,
                    received_at=start + timedelta(milliseconds=10 * number),
                ),
                HEADER | {"InstanceNumber": 1} if number == 0 else {},
                {
                    "InstanceNumber": number + 1,
                    "ImagePositionPatient": [-180.0, -180.0, 1.0 * number],
                    "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                    "PixelSpacing": [0.7, 0.7],
                    "Rows": 512,
                    "Columns": 512,
                    "SliceThickness": 1.0,
                    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
                },
            )
            for number in range(each)
        ]
        start += timedelta(seconds=60)


def fill(ledger: Ledger, series: int, each: int) -> None:
    """Series that came over the last days, were complete, run and delivered, each with its proofs.

    A few are still owed to a destination that is away.
    """
    draw = random.Random(7)
    start = datetime.now(UTC) - timedelta(seconds=60 * series)
    with ledger.database.write() as conn:
        made = images(draw, series, each, start)
        while some := list(islice(made, max(1, BATCH // each))):
            tables: dict[Any, list[dict[str, Any]]] = {}
            for batch in some:
                for table, row in _rows(draw, batch):
                    tables.setdefault(table, []).append(row)
            for table, rows in tables.items():
                conn.execute(insert(table), rows)


def _rows(draw: random.Random, batch: list[Indexed]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Every row that one series leaves, in an order that foreign keys allow."""
    first, last = batch[0].instance, batch[-1].instance
    series, study, sender = first.series_instance_uid, first.study_instance_uid, draw.choice(SENDERS)
    sops = [image.instance.sop_instance_uid for image in batch]
    done = last.received_at + timedelta(seconds=2)
    proven = Verdict(
        True, "mpps", f"the modality reported the step completed, {len(batch)} instances are held"
    )
    yield AssociationRow, _association(first, last, sender)
    yield (
        SeriesRow,
        {
            "series_instance_uid": series,
            "study_instance_uid": study,
            "state": SeriesState.COMPLETE,
            "modality": "CT",
            "header": dict(batch[0].header),
            "header_number": 1,
            "first_image_at": first.received_at,
            "last_image_at": last.received_at,
            "verdict": plain_verdict(proven),
            "completed_at": done,
            "explanations": [{"route": "chest", "matched": True, "conditions": [["Modality", "CT"]]}],
        },
    )
    for image in batch:
        row = asdict(image.instance)
        yield InstanceRow, row | {"fields": dict(image.fields), "fault": None, "duplicates": 0}
    yield (
        PieceRow,
        {
            "series_instance_uid": series,
            "association_id": first.association_id,
            "images": len(batch),
            "first_at": first.received_at,
            "last_at": last.received_at,
            "sop_instance_uid": sops[0],
        },
    )
    yield CommitmentRow, _said(sender, done) | {"transaction_uid": uid(draw), "sop_instance_uids": sops}
    step = uid(draw)
    yield PerformedStepRow, _said(sender, done) | {"mpps_instance_uid": step, "status": "COMPLETED"}
    listed = {"mpps_instance_uid": step, "series_instance_uid": series, "sop_instance_uids": sops}
    yield PerformedSeriesRow, listed
    yield from _work(draw, series, study, done)


def _association(first: Instance, last: Instance, sender: str) -> dict[str, Any]:
    return {
        "id": first.association_id,
        "journal": "past",
        "calling_ae_title": sender,
        "called_ae_title": "DICOMNODE",
        "address": "10.0.0.1",
        "started_at": first.received_at,
        "ended_at": last.received_at,
        "outcome": AssociationOutcome.RELEASED,
    }


def _said(sender: str, at: datetime) -> dict[str, Any]:
    return {"calling_ae_title": sender, "at": at}


def _work(draw: random.Random, series: str, study: str, at: datetime) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A job with three results, delivered, and the history of all."""
    job = uuid4().hex
    yield (
        JobRow,
        {
            "id": job,
            "study_instance_uid": study,
            "series_instance_uid": series,
            "revision": 1,
            "route": "chest",
            "pipeline": "lung",
            "destinations": ["pacs"],
            "explanation": {"route": "chest", "conditions": [["Modality", "CT"]] * 5},
            "state": JobState.DONE,
            "created_at": at,
            "not_before": at,
            "attempt": 1,
            "progress": 1.0,
            "started_at": at,
            "finished_at": at + timedelta(seconds=20),
        },
    )
    yield (
        JobInputRow,
        {"job_id": job, "position": 0, "role": "image", "series_instance_uid": series},
    )
    yield from _changes("series", series, at, (None, "arriving"), ("arriving", "complete"))
    yield from _changes("job", job, at, (None, "queued"), ("queued", "running"), ("running", "done"))
    owed = draw.random() < 0.02
    for kind in ("seg", "sr", "sc"):
        sop = uid(draw)
        yield (
            ResultRow,
            {
                "sop_instance_uid": sop,
                "job_id": job,
                "sop_class_uid": CT,
                "series_instance_uid": uid(draw),
                "kind": kind,
                "path": f"results/{job}/{kind}.dcm",
                "description": "Lungs",
            },
        )
        state = DeliveryState.OWED if owed else DeliveryState.DELIVERED
        attempt = {"state": state, "attempt": 1, "not_before": at, "finished_at": None if owed else at}
        yield DeliveryRow, {"sop_instance_uid": sop, "destination": "away" if owed else "pacs", **attempt}
        yield from _changes("delivery", sop, at, (None, "owed"), ("owed", "sending"), ("sending", state))


def _changes(
    entity: str, key: str, at: datetime, *moves: tuple[str | None, str]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    for before, after in moves:
        row = {
            "at": at,
            "entity": entity,
            "key": key[:64],
            "before": before,
            "after": after,
            "cause": "it came so",
        }
        yield ChangeRow, row
