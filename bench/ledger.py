"""A ledger of a million images: how quick is indexing beside an empty one, and how quick are its answers?

    python -m bench.ledger [--quick] [--json]

SQLite, and PostgreSQL where Debian's server is installed. Indexing is what the coordinator does with what the
headers said: happenings in transactions of 500, through the same door, synced to the disk. The full ledger is
filled in bulk with the rows that indexing, completion, runs and deliveries would have left; SCANNER0 to 9
proved every series complete.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

from bench.full import SENDERS, fill, images
from bench.harness import OURS, Case, main
from bench.postgres import server
from dicom_node.ledger import Indexed, Ledger
from dicom_node.records import Association, AssociationOutcome, ReceiverEvent, Verdict
from dicom_node.web import make_app

SERIES, EACH = 5000, 200
QUICK_SERIES = 50
INDEXED = 25
"""Series that are indexed for one measurement."""
ARRIVING = 20
"""Series that arrive while the full ledger is asked."""
BATCH = 500


def index(ledger: Ledger, series: int = INDEXED, *, released: bool = True) -> float:
    """Indexes new series, each by an association of its own; gives images per second."""
    draw = random.Random()
    batches = list(images(draw, series, EACH, datetime.now(UTC)))
    begun = time.perf_counter()
    for batch in batches:
        assoc = _association(batch, draw.choice(SENDERS))
        _apply(ledger, [ReceiverEvent("opened", association=assoc)], {})
        for start in range(0, len(batch), BATCH):
            some = batch[start : start + BATCH]
            events = [ReceiverEvent("stored", instance=image.instance) for image in some]
            _apply(ledger, events, {image.instance.path: image for image in some})
        if released:
            ended = _association(batch, assoc.calling_ae_title, AssociationOutcome.RELEASED)
            _apply(ledger, [ReceiverEvent("closed", association=ended)], {})
    rate = series * EACH / (time.perf_counter() - begun)
    if released:
        _complete(ledger, batches)
    return rate


def _apply(ledger: Ledger, events: list[ReceiverEvent], indexed: Mapping[str, Indexed]) -> None:
    ledger.arrivals.apply(events, indexed, datetime.now(UTC), ("bench", 1))


def _association(
    batch: list[Indexed], sender: str, outcome: AssociationOutcome = AssociationOutcome.OPEN
) -> Association:
    first, last = batch[0].instance, batch[-1].instance
    ended = None if outcome is AssociationOutcome.OPEN else last.received_at
    return Association(
        first.association_id, sender, "DICOMNODE", "10.0.0.1", first.received_at, ended, outcome
    )


def _complete(ledger: Ledger, batches: list[list[Indexed]]) -> None:
    """Completes what was indexed, so that the next measurement finds as many arriving series as this one."""
    verdict = Verdict(True, "geometry", "released, and whole")
    for batch in batches:
        uid = batch[0].instance.series_instance_uid
        ledger.work.complete(uid, 1, verdict, [], datetime.now(UTC))


def milliseconds(run: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - begun)


def questions(ledger: Ledger) -> dict[str, Callable[[], object]]:
    """What is asked of a ledger again and again, by people and by the node itself."""
    from fastapi.testclient import TestClient

    views, client = ledger.views, TestClient(make_app(ledger.views, lambda: ()))
    due = ledger.holdings.due(datetime.now(UTC))
    now = datetime.now(UTC)
    return {
        "status: counts": views.counts,
        "status: newest series, jobs, deliveries": lambda: (
            views.recent_series(),
            views.recent_jobs(),
            views.deliveries(),
            views.refusals(),
        ),
        "web page": partial(client.get, "/"),
        "web: JSON": partial(client.get, "/status"),
        "web: metrics": partial(client.get, "/metrics"),
        "sweep: which series are due": lambda: (ledger.holdings.due(now), ledger.holdings.next_due()),
        "sweep: all that is held of one": partial(ledger.holdings.held, due[0]),
        "count: which studies to ask for": lambda: ledger.holdings.to_count(SENDERS[0], now, now),
        "worker: claim a job": lambda: ledger.work.claim("w", ["lung"], now),
        "outbox: begin": lambda: ledger.outbox.begin("elsewhere", now),
        "outbox: what is owed": lambda: views.deliveries(["owed"]),
        "housekeeping: what may go": lambda: ledger.retention.expired(now - timedelta(days=365)),
    }


@contextmanager
def ledgers(quick: bool) -> Iterator[dict[str, tuple[Ledger, Ledger]]]:
    """By kind of database: an empty ledger and a full one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-ledger-")))
        urls = {"SQLite": [f"sqlite:///{folder / name}.sqlite" for name in ("empty", "full")]}
        if (postgres := stack.enter_context(server())) is not None:
            urls["PostgreSQL"] = [postgres(f"ledger_{uuid4().hex}") for _ in range(2)]
        made = {}
        for kind, both in urls.items():
            empty, full = (Ledger(url) for url in both)
            for one in (empty, full):
                stack.callback(one.close)
                one.migrate()
            fill(full, QUICK_SERIES if quick else SERIES, EACH)
            index(full, ARRIVING, released=False)
            made[kind] = (empty, full)
        yield made


def cases(quick: bool) -> Iterator[Case]:
    """Indexing on a full ledger beside an empty one, then each question asked of the full one."""
    with ledgers(quick) as made:
        for kind, (empty, full) in made.items():
            subjects = {OURS: partial(index, full), "empty ledger": partial(index, empty)}
            yield Case(f"{kind}: indexing", "images/s", subjects, "more")
        for kind, (_empty, full) in made.items():
            for question, ask in questions(full).items():
                yield Case(f"{kind}: {question}", "ms", {OURS: partial(milliseconds, ask)}, "less")


if __name__ == "__main__":
    main(cases)
