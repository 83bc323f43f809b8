"""What the status pages ask for: the newest of some states, found by an index, however much there is."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, event

from bench.full import fill
from dicom_node.ledger import Ledger
from dicom_node.records import JobState
from tests.ledger.arrivals import at
from tests.ledger.test_work import claim, new_job, queue, results


def test_the_newest_of_some_states_are_shown(ledger: Ledger) -> None:
    queue(ledger, *(new_job(f"r{n}") for n in range(6)))
    for number in range(4):
        job = claim(ledger, now=2 + number)
        state = JobState.FAILED if number % 2 else JobState.DONE
        ledger.work.finish(job, state, "no luck", results(job) if not number else [], at(3 + number))
    views = ledger.views
    assert {row["state"] for row in views.recent_jobs()} == {"done", "failed", "queued"}
    assert [row["state"] for row in views.recent_jobs(9, (JobState.FAILED,))] == ["failed"] * 2
    assert len(views.recent_jobs(3, (JobState.FAILED, JobState.DONE))) == 3
    sent = ledger.outbox.begin("pacs", at(9))
    assert len(views.deliveries()) == 3
    assert [row["id"] for row in views.deliveries(["sending"])] == sorted((d.id for d in sent), reverse=True)
    assert [row["destination"] for row in views.deliveries(["owed", "sending"], 1)] == ["archive"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_no_answer_looks_through_a_whole_table(ledger: Ledger) -> None:
    """As SQLite itself says what it would do."""
    fill(ledger, 40, 2)
    asked: list[tuple[str, Any]] = []

    def note(_conn: Connection, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(ledger.database.engine, "before_cursor_execute", note)
    ledger.views.recent_series()
    ledger.views.recent_jobs(25, (JobState.FAILED,))
    ledger.views.deliveries(("refused", "owed"), 25)
    ledger.outbox.begin("elsewhere", at(0))
    ledger.work.claim("w0", ["lung"], at(0))
    event.remove(ledger.database.engine, "before_cursor_execute", note)
    with ledger.database.engine.connect() as conn:
        for statement, parameters in asked:
            plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row[-1] for row in plan]
            whole = [
                one for one in steps if one.startswith("SCAN") and "INDEX" not in one and "anon" not in one
            ]
            assert whole == [], (statement, steps)
