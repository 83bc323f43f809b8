"""A ledger with a day's work in it, and the application on a real HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicom_node.config import RouteConfig
from dicom_node.ledger import Indexed, Ledger, NewJob
from dicom_node.records import (
    Choice,
    DeliveryOutcome,
    Instance,
    JobState,
    ReceiverEvent,
    Refusal,
    Result,
    Verdict,
)
from dicom_node.route import match
from dicom_node.web import Check, make_app, serve
from tests.peers import free_port, wait_for_port

NAME = "Doe^Jane"
SERIES = [f"1.2.826.0.1.3680043.10.1{number}" for number in range(4)]
WHOLE = Verdict(True, "geometry", "released 1.0 s ago with whole geometry: 100 slices of 2.5 mm")

ROUTES = [
    RouteConfig.model_validate({"name": name, "when": when, "run": "lung", "send": ["pacs"]})
    for name, when in (
        ("chest CT", {"Modality": "CT", "images": {"min": 3}}),
        ("head", {"Modality": "MR"}),
        ("one of us", {"PatientName": {"contains": "Doe"}}),
    )
]


def _image(series: str, number: int, at: datetime) -> Instance:
    return Instance(
        f"{series}.{number}",
        "1.2.840.10008.5.1.4.1.1.2",
        series,
        "1.2.826.0.1.3680043.10.1",
        "1.2.840.10008.1.2.1",
        f"instances/{series}/{number}.dcm",
        1000,
        f"{number}",
        "a1",
        at,
    )


def _arrive(ledger: Ledger, series: str, images: int, at: datetime) -> None:
    held = [_image(series, number, at) for number in range(1, images + 1)]
    header = {"Modality": "CT", "PatientName": NAME, "PatientID": "ID-4711", "SeriesInstanceUID": series}
    indexed = {one.path: Indexed(instance=one, header=header, fields={"InstanceNumber": 1}) for one in held}
    ledger.arrivals.apply([ReceiverEvent("stored", instance=one) for one in held], indexed, at, None)


def busy_ledger(folder: Path, *, trouble: bool) -> Ledger:
    """Four series: one arrives, three went through; with trouble, one job failed and two deliveries did."""
    now = datetime.now(UTC) - timedelta(minutes=7)
    ledger = Ledger(f"sqlite:///{folder / 'ledger.sqlite'}")
    ledger.migrate()
    for number, series in enumerate(SERIES):
        _arrive(ledger, series, 3 + number, now + timedelta(minutes=number))
    for series in SERIES[:3]:
        new = NewJob("chest CT", "lung", {"image": series}, ("pacs", "archive"), 0, {"when": []}, False)
        facts = ledger.holdings.facts(series)
        explained = [one.as_json() for one in match(facts, ROUTES)]
        ledger.work.complete(series, 1, WHOLE, [new], now, explained)
    for number in range(2):
        job = ledger.work.claim("w0", ["lung"], now)
        assert job is not None
        if trouble and number == 1:
            ledger.work.finish(job, JobState.FAILED, f"lung raised ValueError for {NAME}", [], now)
        else:
            uid, path = f"2.25.{77 + number}", f"results/{number}"
            made = Result(uid, "1.2.840", "2.25.9", "seg", path, destinations=("pacs", "archive"))
            choices = [
                Choice("seg", "seg", "labelmap: not accepted by the destination", "pacs"),
                *([Choice("seg", None, "seg: not accepted by the destination", "old")] if trouble else []),
            ]
            ledger.work.finish(job, JobState.DONE, None, [made], now, choices)
    ledger.work.claim("w0", ["lung"], now)
    for destination, error, transient in (
        ("pacs", "PACS at 10.0.0.5:104: connection refused; is it running, and is the port right?", True),
        ("archive", "ARCHIVE at 10.0.0.6:104 does not accept Segmentation Storage as Explicit VR", False),
    ):
        outcomes = [
            DeliveryOutcome(owed.id, error if trouble else None, transient, None if trouble else 0)
            for owed in ledger.outbox.begin(destination, now)
        ]
        delay = timedelta(minutes=9) if transient else None
        ledger.outbox.settle([(outcome, delay) for outcome in outcomes], now)
    if trouble:
        refusal = Refusal(
            now,
            "CT7",
            "DICOMNODE",
            "10.0.0.77",
            "CT7 is not among the peers",
            "peers: {ct7: {ae_title: CT7, addresses: [10.0.0.77/32]}}",
            times=14,
        )
        ledger.arrivals.apply([ReceiverEvent("refused", refusal=refusal)], {}, now, None)
    return ledger


@contextmanager
def website(ledger: Ledger, checks: Iterable[Check] = ()) -> Iterator[str]:
    """The application on a real server of 127.0.0.1; gives its URL."""
    port, stop = free_port(), threading.Event()
    held = tuple(checks)
    app = make_app(ledger.views, lambda: held)
    server = threading.Thread(target=serve, args=(app, "127.0.0.1", port, stop))
    server.start()
    try:
        wait_for_port(port, "the web server")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        server.join(60)
