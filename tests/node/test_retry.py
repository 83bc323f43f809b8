"""`dicom-node retry`: what an administrator asks for is queued or owed again."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.ledger import Ledger
from dicom_node.records import DeliveryOutcome, JobState
from tests.ledger.arrivals import at
from tests.ledger.test_work import claim, new_job, queue, results

CONFIG = """
web:
destinations:
  pacs: {ae_title: PACS, host: 127.0.0.1, port: 4242}
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A site's ledger with one failed job, of which the PACS refused the notice."""
    (tmp_path / "conf.yaml").write_text(CONFIG)
    (tmp_path / "var").mkdir()
    one = Ledger(f"sqlite:///{tmp_path / 'var' / 'ledger.sqlite'}")
    one.migrate()
    queue(one, new_job())
    job = claim(one)
    one.work.finish(job, JobState.FAILED, "weights are missing", results(job), at(3))
    refused = one.outbox.begin("pacs", at(3))
    one.outbox.settle([(DeliveryOutcome(d.id, "not authorised"), None) for d in refused], at(4))
    return one


def retry(folder: Path, what: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["retry", what, "--config", str(folder / "conf.yaml")])
    return done.exit_code, done.output


def test_a_failed_job_is_queued_again(tmp_path: Path, ledger: Ledger) -> None:
    (job,) = ledger.views.recent_jobs()
    assert retry(tmp_path, job["id"]) == (0, f"job {job['id']} is queued again\n")
    assert ledger.work.counts() == {"queued": 1}


def test_what_a_destination_refused_is_owed_again(tmp_path: Path, ledger: Ledger) -> None:
    code, output = retry(tmp_path, "pacs")
    assert (code, "2 refused results are owed again" in output) == (0, True)
    assert ledger.views.deliveries(["refused"]) == []


def test_anything_else_is_an_error_that_says_what_there_is(tmp_path: Path, ledger: Ledger) -> None:
    code, output = retry(tmp_path, "archive")
    assert (code, "pacs" in output) == (1, True)
