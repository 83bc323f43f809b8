"""Whatever happens in whatever order: nothing that is owed is forgotten, and every change is on record."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select

from dicom_node.ledger import Ledger, NoMore
from dicom_node.ledger.tables import ChangeRow, DeliveryRow, JobRow, ResultRow, SeriesRow
from dicom_node.ledger.transitions import TRANSITIONS
from dicom_node.records import DeliveryOutcome, Job, JobState, Result
from tests.ledger.arrivals import START, arrive, image
from tests.ledger.test_work import COMPLETE, new_job

SERIES = ("1.2.3", "1.2.4")
DESTINATIONS = ("pacs", "archive")
ENDED_WELL = {"delivered", "superseded"}


class Lifecycle(RuleBasedStateMachine):
    """A node's ledger: images come, jobs run and fail, destinations answer or don't, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(f"sqlite:///{Path(self.folder.name) / 'ledger.sqlite'}")
        self.ledger.migrate()
        self.now = START
        self.images = 0
        self.running: list[Job] = []
        self.results = 0

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    @rule(series=st.sampled_from(SERIES))
    def an_image_comes(self, series: str) -> None:
        self.images += 1
        received = (self.tick() - START).total_seconds()
        arrive(self.ledger, [image(self.images, series, received)])

    @rule(
        series=st.sampled_from(SERIES),
        late=st.booleans(),
        routes=st.sampled_from((1, 1, 2, 0)),
        shadow=st.sampled_from((False, False, True)),
    )
    def a_series_is_complete(self, series: str, late: bool, routes: int, shadow: bool) -> None:
        if late or self.ledger.holdings.held(series) is None:
            self.an_image_comes(series)
        held = self.ledger.holdings.held(series)
        if held is not None:
            jobs = [new_job(f"route {n}", series=series, shadow=shadow) for n in range(routes)]
            silent = [NoMore(f"route {n}", (series,), "too many", {}) for n in range(routes, 2)]
            now = self.tick()
            self.ledger.work.complete(series, held.revision, COMPLETE, jobs, now, no_more=silent)

    @rule()
    def a_worker_claims(self) -> None:
        if (job := self.ledger.work.claim("w0", ["lung"], self.tick())) is not None:
            self.running.append(job)

    @rule(end=st.sampled_from((JobState.DONE, JobState.NOT_APPLICABLE, JobState.FAILED, JobState.QUEUED)))
    def a_job_ends(self, end: JobState) -> None:
        if not self.running:
            self.a_worker_claims()
        if not self.running:
            return
        job = self.running.pop(0)
        if end == JobState.QUEUED:
            self.ledger.work.give_back(job, "no memory", timedelta(), self.tick())
            return
        self.results += 1
        uid = f"2.25.{self.results}"
        result = Result(uid, "1.2.840", f"{uid}.1", "sr", f"results/{uid}.dcm", "", DESTINATIONS)
        self.ledger.work.finish(job, end, None, [result], self.tick())

    @rule(routes=st.sampled_from((("route 0",), ("route 0", "route 1"))))
    def a_route_is_deleted(self, routes: tuple[str, ...]) -> None:
        self.ledger.work.abandon(routes, ["lung"], self.tick())

    @rule()
    def the_clock_is_set(self) -> None:
        self.ledger.waits.end(self.tick())

    @rule()
    def a_failed_job_is_tried_again(self) -> None:
        for row in self.ledger.views.recent_jobs():
            if row["state"] in (JobState.FAILED, JobState.DROPPED):
                self.ledger.work.retry(row["id"], self.tick())

    @rule(
        destinations=st.sampled_from((DESTINATIONS, DESTINATIONS, DESTINATIONS[:1])),
        outcome=st.sampled_from(("taken", "refused", "away", "under way", "unpromised")),
    )
    def results_are_sent(self, destinations: tuple[str, ...], outcome: str) -> None:
        for destination in destinations:
            self.ledger.outbox.recover(destination, self.tick())
            sent = self.ledger.outbox.begin(destination, self.tick())
            if outcome == "under way":
                continue
            if outcome == "unpromised":
                self.ledger.promised.sent([one.id for one in sent], self.tick())
                continue
            error = None if outcome == "taken" else outcome
            delay = timedelta() if outcome == "away" else None
            told = [(DeliveryOutcome(one.id, error, transient=delay is not None), delay) for one in sent]
            self.ledger.outbox.settle(told, self.tick())

    @rule(
        destination=st.sampled_from(DESTINATIONS),
        answer=st.sampled_from((None, None, "lost", "refused")),
        asked=st.booleans(),
    )
    def a_destination_promises(self, destination: str, answer: str | None, asked: bool) -> None:
        for one in self.ledger.promised.of(destination):
            if asked and one.transaction_uid is None:
                self.ledger.promised.asks(one.deliveries, "2.25.1", self.tick())
                continue
            delay = timedelta() if answer == "lost" else None
            told = [(DeliveryOutcome(each.id, answer, delay is not None), delay) for each in one.deliveries]
            self.ledger.promised.settle(told, "promised", self.tick())

    @rule(destination=st.sampled_from(DESTINATIONS))
    def what_was_refused_is_tried_again(self, destination: str) -> None:
        self.ledger.outbox.retry(destination, self.tick())

    @rule(late=st.booleans())
    def what_is_old_is_forgotten(self, late: bool) -> None:
        """Also where an image comes after the files were removed and before the rows are."""
        owed = self.owed()
        expired = self.ledger.retention.expired(self.tick())
        if late and expired:
            self.an_image_comes(expired[0].series_instance_uid)
        self.ledger.retention.forget(expired)
        assert self.owed() == owed
        if late and expired:
            held = self.ledger.holdings.held(expired[0].series_instance_uid)
            assert held is not None, "an image that came meanwhile is known"
            assert len(held.fields) == 1

    def owed(self) -> set[str]:
        """Paths of results of which some destination lacks the delivery."""
        with self.ledger.database.read() as conn:
            rows = conn.execute(
                select(ResultRow.path, DeliveryRow.state).join(
                    DeliveryRow, DeliveryRow.sop_instance_uid == ResultRow.sop_instance_uid
                )
            )
            return {path for path, state in rows if state not in ENDED_WELL}

    def busy(self) -> set[str]:
        with self.ledger.database.read() as conn:
            wanted = JobRow.state.in_((JobState.QUEUED, JobState.RUNNING))
            return set(conn.execute(select(JobRow.series_instance_uid).where(wanted)).scalars())

    @invariant()
    def nothing_owed_may_be_forgotten(self) -> None:
        expired = self.ledger.retention.expired(self.now + timedelta(days=1))
        assert not {path for one in expired for path in one.paths} & self.owed(), "it is owed to somebody"
        assert not {one.series_instance_uid for one in expired} & self.busy(), "its job may still read it"

    @invariant()
    def every_state_is_the_end_of_a_recorded_way(self) -> None:
        """The changes of each thing follow one another by the table, dated and with a cause, to its state."""
        with self.ledger.database.read() as conn:
            changes = conn.execute(select(ChangeRow.__table__).order_by(ChangeRow.id)).all()
            states = {
                ("series", row[0]): row[1]
                for row in conn.execute(select(SeriesRow.series_instance_uid, SeriesRow.state))
            }
            states |= {("job", row[0]): row[1] for row in conn.execute(select(JobRow.id, JobRow.state))}
            states |= {
                ("delivery", str(row[0])): row[1]
                for row in conn.execute(select(DeliveryRow.id, DeliveryRow.state))
            }
        last: dict[tuple[str, str], str] = {}
        for change in changes:
            assert (change.before, change.after) in TRANSITIONS[change.entity]
            assert change.cause
            assert START <= change.at <= self.now
            key = (change.entity, change.key)
            assert change.before in (last.get(key), None), "it went on from where it stood"
            last[key] = change.after
        assert {key: last.get(key) for key in states} == states


Lifecycle.TestCase.settings = settings(
    max_examples=12, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLifecycle = Lifecycle.TestCase
