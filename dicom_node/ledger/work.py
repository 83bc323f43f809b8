"""Jobs: made when a series is complete, claimed by workers, ended with results that are owed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    delete,
    func,
    insert,
    select,
    update,
)

from dicom_node.ledger.abandoning import abandon, waits_for_others
from dicom_node.ledger.claiming import claimed, company, job_of
from dicom_node.ledger.database import Database
from dicom_node.ledger.evidence import plain_verdict
from dicom_node.ledger.measured import note_measured
from dicom_node.ledger.queueing import NewJob, queue_job
from dicom_node.ledger.superseding import of_the_same_question, supersede
from dicom_node.ledger.tables import DeliveryRow, JobInputRow, JobRow, ResultRow, SeriesRow, StudyWaitRow
from dicom_node.ledger.transitions import move, record
from dicom_node.ledger.withdrawing import NoMore, withdraw
from dicom_node.records import Choice, DeliveryState, Job, JobState, Measured, Result, SeriesState, Verdict

MAX_LOST = 3
"""A job whose worker ended this often is not tried again: it may be what ends them."""


class Work:
    """The queue of jobs."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def complete(
        self,
        series_instance_uid: str,
        revision: int,
        verdict: Verdict,
        jobs: Sequence[NewJob],
        now: datetime,
        explanations: Sequence[Mapping[str, Any]] = (),
        no_more: Sequence[NoMore] = (),
    ) -> list[str]:
        """Marks a series complete, queues its jobs and takes back what counts no more, in one transaction.

        Args:
            series_instance_uid: the series.
            revision: which one was judged.
            verdict: why it is complete.
            jobs: what its routes ask for.
            now: when.
            explanations: what each route made of it, as JSON; kept.
            no_more: routes that do not fire.

        Returns:
            Ids of the jobs queued, also of those that take something back; empty where the series went on
            to another revision meanwhile.
        """
        with self._db.write() as conn:
            moved = move(
                conn,
                "series",
                SeriesState.ARRIVING,
                SeriesState.COMPLETE,
                (SeriesRow.series_instance_uid == series_instance_uid) & (SeriesRow.revision == revision),
                verdict.reason,
                now,
                verdict=plain_verdict(verdict),
                doubtful=verdict.doubtful,
                completed_at=now,
                explanations=list(explanations),
            )
            if not moved:
                return []
            queued = [identity for new in jobs if (identity := queue_job(conn, new, now)) is not None]
            return queued + [identity for one in no_more for identity in withdraw(conn, one, now)]

    def withdraw(self, no_more: NoMore, now: datetime) -> list[str]:
        """Takes back what earlier runs of a route of several series said; ids of the jobs that say so."""
        with self._db.write() as conn:
            return withdraw(conn, no_more, now)

    def queue(self, new: NewJob, now: datetime) -> str | None:
        """Queues a job on series that are complete; None where the same was asked before."""
        with self._db.write() as conn:
            return queue_job(conn, new, now)

    def wait(self, study_instance_uid: str, until: Mapping[str, datetime]) -> None:
        """Notes when routes of several series are to be looked at again; the study's others no more."""
        rows = [
            {"study_instance_uid": study_instance_uid, "route": route, "look_again_at": at}
            for route, at in until.items()
        ]
        with self._db.write() as conn:
            conn.execute(delete(StudyWaitRow).where(StudyWaitRow.study_instance_uid == study_instance_uid))
            if rows:
                conn.execute(insert(StudyWaitRow), rows)

    def waiting(self, now: datetime) -> list[str]:
        """Studies with a route that is to be looked at again now."""
        with self._db.read() as conn:
            due = select(StudyWaitRow.study_instance_uid).where(StudyWaitRow.look_again_at <= now).distinct()
            return list(conn.execute(due).scalars())

    def claim(
        self,
        worker: str,
        pipelines: Sequence[str],
        now: datetime,
        above: int | None = None,
        routes: Sequence[str] | None = None,
    ) -> Job | None:
        """Gives the most urgent job that is due to a worker; None where there is none.

        Args:
            worker: its name.
            pipelines: that it can run.
            now: when.
            above: only what has a higher priority than this.
            routes: only jobs of these; None: of any.
        """
        due = (
            select(JobRow.id)
            .where(JobRow.state == JobState.QUEUED, JobRow.not_before <= now, JobRow.pipeline.in_(pipelines))
            .where(*([] if above is None else [JobRow.priority > above]))
            .where(*([] if routes is None else [JobRow.route.in_(routes)]))
            .order_by(JobRow.priority.desc(), JobRow.created_at, JobRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._db.read() as conn:  # an idle worker must not take SQLite's write lock ten times a second
            if conn.execute(due).first() is None:
                return None
        with self._db.write() as conn:
            return next(iter(claimed(conn, worker, JobRow.id == due.scalar_subquery(), now)), None)

    def claim_company(
        self,
        worker: str,
        first: Job,
        most: int,
        most_bytes: int,
        now: datetime,
        routes: Sequence[str] | None = None,
    ) -> list[Job]:
        """Gives a worker further jobs that may share a pass of the model with one that it has claimed.

        They are of the same pipeline and urgency, due, and claimed for the first time: one that failed
        before, or ended its worker, is not to be tried in company.

        Args:
            worker: its name.
            first: as claimed.
            most: at most so many, the oldest first.
            most_bytes: what the images of all, the first one's too, may take together on the disk.
            now: when.
            routes: only jobs of these; None: of any.
        """
        with self._db.read() as conn:
            wanted = company(conn, first, most, most_bytes, now, routes)
        if not wanted:
            return []
        with self._db.write() as conn:
            jobs = claimed(conn, worker, JobRow.id.in_(wanted), now)
            return sorted(jobs, key=lambda job: wanted.index(job.id))

    def progress(self, job: str, worker: str, fraction: float) -> bool:
        """Notes progress; False where the job is no longer this worker's."""
        with self._db.write() as conn:
            done = conn.execute(
                update(JobRow)
                .where(JobRow.id == job, JobRow.worker == worker, JobRow.state == JobState.RUNNING)
                .values(progress=fraction)
            )
            return bool(done.rowcount)

    def finish(
        self,
        job: Job,
        state: JobState,
        reason: str | None,
        results: Sequence[Result],
        now: datetime,
        choices: Sequence[Choice] = (),
        measured: Sequence[Measured] = (),
    ) -> bool:
        """Ends a running job, records its results, and owes them to their destinations, in one transaction.

        Args:
            job: as claimed.
            state: DONE, NOT_APPLICABLE or FAILED.
            reason: why, where it isn't done.
            results: durable in the spool; each is owed to those of the job's destinations that it names.
            now: when.
            choices: in which forms the destinations get them, and why.
            measured: what later studies of the patient are compared with.

        Returns:
            False where the job was no longer running under this claim; nothing is then recorded.
        """
        with self._db.write() as conn:
            moved = move(
                conn,
                "job",
                JobState.RUNNING,
                state,
                (JobRow.id == job.id) & (JobRow.attempt == job.attempt),
                reason or "results recorded",
                now,
                reason=reason,
                finished_at=now,
                worker=None,
                progress=1.0,
                choices=[asdict(choice) for choice in choices],
            )
            if not moved:
                return False
            first = next(iter(job.series.values()))
            supersede(conn, of_the_same_question(first, job.route, job.pipeline), now)
            known = _recorded(conn, [result.sop_instance_uid for result in results])
            for result in results:
                if result.sop_instance_uid not in known:
                    row = asdict(result)
                    del row["destinations"]  # the deliveries say it
                    conn.execute(insert(ResultRow).values(job_id=job.id, **row))
            if not job.shadow:
                note_measured(conn, job, measured, now)
                _owe(conn, job, results, now)
        return True

    def give_back(self, job: Job, cause: str, delay: timedelta, now: datetime) -> None:
        """Queues a running job again, after a delay."""
        with self._db.write() as conn:
            move(
                conn,
                "job",
                JobState.RUNNING,
                JobState.QUEUED,
                (JobRow.id == job.id) & (JobRow.attempt == job.attempt),
                cause,
                now,
                worker=None,
                not_before=now + delay,
                reason=cause,
            )

    def recover(self, worker: str, now: datetime, suspects: AbstractSet[str]) -> list[Job]:
        """Gives back what an earlier life of this worker held.

        Args:
            worker: its name.
            now: when.
            suspects: ids of the jobs that had the device when that life ended. The others did not end the
                worker, and are tried again however often it ended.

        Returns:
            Jobs whose worker has ended too often while it ran them: still RUNNING under this worker's
            name, for it to fail them visibly.
        """
        mine = JobRow.worker == worker
        innocent = JobRow.id.not_in(suspects)
        with self._db.write() as conn:
            cause = f"worker {worker} ended while it ran this"
            move(
                conn,
                "job",
                JobState.RUNNING,
                JobState.QUEUED,
                mine & (innocent | (JobRow.attempt < MAX_LOST)),
                cause,
                now,
                worker=None,
                not_before=now,
                reason=cause,
            )
            rows = conn.execute(select(JobRow.__table__).where(mine, JobRow.state == JobState.RUNNING)).all()
            return [job_of(conn, row) for row in rows]

    def retry(self, job: str, now: datetime) -> bool:
        """Queues a failed or dropped job because an administrator asked; not where images came since."""
        revision = (
            select(1 + func.sum(SeriesRow.revision - 1))
            .join(JobInputRow, JobInputRow.series_instance_uid == SeriesRow.series_instance_uid)
            .where(JobInputRow.job_id == JobRow.id)
            .scalar_subquery()
        )
        this = (JobRow.id == job) & (JobRow.revision == revision)
        again = {"attempt": 0, "not_before": now, "finished_at": None}
        with self._db.write() as conn:
            return any(
                move(conn, "job", before, JobState.QUEUED, this, "an administrator asked", now, **again)
                for before in (JobState.FAILED, JobState.DROPPED)
            )

    def abandon(self, routes: Sequence[str], pipelines: Sequence[str], now: datetime) -> dict[str, int]:
        """Drops waiting jobs of all other routes and pipelines; gives how many, by cause."""
        with self._db.read() as conn:
            if not waits_for_others(conn, routes, pipelines):  # nearly always
                return {}
        with self._db.write() as conn:
            return abandon(conn, routes, pipelines, now)

    def cancel(self, job: str, now: datetime) -> bool:
        """Ends a job that waits or runs because an administrator asked; its worker learns of it."""
        cause = "an administrator cancelled it"
        with self._db.write() as conn:
            return any(
                move(
                    conn,
                    "job",
                    before,
                    after,
                    JobRow.id == job,
                    cause,
                    now,
                    finished_at=now,
                    reason=cause,
                    worker=None,
                )
                for before, after in (
                    (JobState.QUEUED, JobState.DROPPED),
                    (JobState.RUNNING, JobState.STALE),
                )
            )

    def counts(self) -> dict[str, int]:
        """Number of jobs by state."""
        with self._db.read() as conn:
            rows = conn.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
            return {row[0]: row[1] for row in rows}


def _recorded(conn: Connection, sop_instance_uids: Sequence[str]) -> set[str]:
    """Which of these results an earlier try recorded; what it said under a UID stands."""
    rows = conn.execute(
        select(ResultRow.sop_instance_uid).where(ResultRow.sop_instance_uid.in_(sop_instance_uids))
    )
    return set(rows.scalars())


def _owe(conn: Connection, job: Job, results: Sequence[Result], now: datetime) -> None:
    """One delivery for each result and each destination that it is for, unless there is one already."""
    for result in results:
        held = select(DeliveryRow.destination).where(DeliveryRow.sop_instance_uid == result.sop_instance_uid)
        before = set(conn.execute(held).scalars())
        for destination in job.destinations:
            if destination in result.destinations and destination not in before:
                key = conn.execute(
                    insert(DeliveryRow)
                    .values(
                        sop_instance_uid=result.sop_instance_uid,
                        destination=destination,
                        state=DeliveryState.OWED,
                        not_before=now,
                    )
                    .returning(DeliveryRow.id)
                ).scalar_one()
                cause = f"{result.kind} to {destination}"
                record(conn, "delivery", [key], None, DeliveryState.OWED, cause, now)
