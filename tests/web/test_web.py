"""One look tells whether all is well, what is not and why, and nothing of a patient is told."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.errors import Transient
from dicom_node.ledger import Ledger
from dicom_node.records import Association, Instance, ReceiverEvent, Refusal
from dicom_node.web import Check, make_app, routing, serve
from dicom_node.web.page import ago
from dicom_node.web.status import read_status
from tests.peers import free_port, wait_for_port
from tests.web.site import NAME, SERIES, busy_ledger, website

PAGES = ("/", "/status", "/health", "/ready", "/metrics", "/openapi.json")
RECEIVER, WORKER = Check(name="receiver 0", ok=True, detail="port 11112"), Check(name="worker cpu", ok=True)
DEAD = Check(name="worker cuda:0", ok=False, detail="ended 3 times, starts again in 12 s")


def fetch(url: str) -> tuple[int, str, Mapping[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode(), dict(answer.headers)


@pytest.fixture
def calm(tmp_path: Path) -> Iterator[str]:
    ledger = busy_ledger(tmp_path, trouble=False)
    with website(ledger, [RECEIVER, WORKER]) as url:
        yield url
    ledger.close()


@pytest.fixture
def troubled(tmp_path: Path) -> Iterator[str]:
    ledger = busy_ledger(tmp_path, trouble=True)
    with website(ledger, [RECEIVER, DEAD]) as url:
        yield url
    ledger.close()


def test_when_all_is_well_the_page_says_so(calm: str) -> None:
    status, page, _headers = fetch(calm)
    assert status == 200
    assert "All is well" in page
    assert "Needs somebody" not in page
    assert SERIES[0] in page
    assert "released 1.0 s ago with whole geometry" in page
    assert "pacs: seg as seg: labelmap: not accepted by the destination" in page
    assert fetch(f"{calm}/ready")[0] == 200


def test_trouble_is_told_with_its_reason_and_what_to_do(troubled: str) -> None:
    page = fetch(troubled)[1]
    assert "Needs somebody" in page
    for words in (
        "1 job failed in the last 24 hours",
        "1 result refused by a destination",
        "pacs does not take results now; they are tried again",
        "CT7 at 10.0.0.77 turned away 14 times in the last 24 hours: CT7 is not among the peers (peers",
        "worker cuda:0: ended 3 times",
        "connection refused; is it running",
        "old accepts no form of the results it is to have",
        "old: seg in no form: seg: not accepted by the destination",
        "does not accept Segmentation Storage",
        "CT7 is not among the peers",
        "ct7: {ae_title: CT7",
        "in 1 min",
    ):
        assert words in page, words
    status, answer, _headers = fetch(f"{troubled}/ready")
    assert status == 503
    assert json.loads(answer)["failing"][0]["name"] == "worker cuda:0"


def test_a_job_that_failed_long_ago_needs_nobody_any_more(tmp_path: Path) -> None:
    ledger = busy_ledger(tmp_path, trouble=True)
    now = datetime.now(UTC)
    assert "1 job failed in the last 24 hours" in read_status(ledger.views, list, now).concerns
    later = read_status(ledger.views, list, now + timedelta(hours=25))
    assert [job.state for job in later.failed_jobs] == ["failed"]
    assert not [concern for concern in later.concerns if "failed" in concern]
    ledger.close()


def refuse(ledger: Ledger, title: str, reason: str, **others: Any) -> None:
    refusal = Refusal(datetime.now(UTC), title, "DICOMNODE", "10.0.0.9", reason, "make room", **others)
    ledger.arrivals.apply([ReceiverEvent("refused", refusal=refusal)], {}, refusal.at, None)


def test_one_try_that_was_turned_away_is_listed_and_what_repeats_needs_somebody(tmp_path: Path) -> None:
    ledger = busy_ledger(tmp_path, trouble=False)
    refuse(ledger, "PROBE", "it calls OTHER, which is not our AE title")
    found = read_status(ledger.views, list, datetime.now(UTC))
    assert [(one.calling_ae_title, one.times) for one in found.refusals] == [("PROBE", 1)]
    assert found.well
    refuse(ledger, "PROBE", "it calls OTHER, which is not our AE title", times=3)
    (concern,) = read_status(ledger.views, list, datetime.now(UTC)).concerns
    assert concern.startswith("PROBE at 10.0.0.9 turned away 4 times in the last 24 hours: it calls OTHER")
    assert read_status(ledger.views, list, datetime.now(UTC) + timedelta(hours=25)).well
    ledger.close()


def test_images_that_were_refused_need_somebody_with_their_number_and_the_cure(tmp_path: Path) -> None:
    ledger = busy_ledger(tmp_path, trouble=False)
    refuse(ledger, "SCANNER", "the disk is nearly full", of_image=True)
    refuse(ledger, "SCANNER", "the disk is nearly full", of_image=True, times=35)
    for number in range(7):
        refuse(ledger, f"CT{number}", "not known", times=2)
    concerns = read_status(ledger.views, list, datetime.now(UTC)).concerns
    refused = (
        "36 images of SCANNER at 10.0.0.9 refused in the last 24 hours: the disk is nearly full (make room)"
    )
    assert concerns[0] == refused
    assert concerns[-1] == "3 more of the kind"
    with website(ledger) as url:
        page = fetch(url)[1]
    assert refused in page
    assert '<td class="n">36</td>' in page
    ledger.close()


def test_other_bytes_under_a_known_uid_need_somebody(tmp_path: Path) -> None:
    ledger = busy_ledger(tmp_path, trouble=False)
    at = datetime.now(UTC)
    sender = Association("c1", "SCANNER", "DICOMNODE", "10.0.0.9", at)
    others = [
        Instance(f"{SERIES[0]}.{number}", "1.2", SERIES[0], "1.2", "1.2", f"{number}~x", 10, "x", "c1", at)
        for number in range(3)
    ]
    events = [ReceiverEvent("conflict", instance=one) for one in others]
    ledger.arrivals.apply([ReceiverEvent("opened", association=sender), *events], {}, at, None)
    with website(ledger) as url:
        page, metrics = fetch(url)[1], fetch(f"{url}/metrics")[1]
        status = json.loads(fetch(f"{url}/status")[1])
    said = "3 images of SCANNER came again with other bytes in the last 24 hours: all are kept"
    assert said in page
    assert [one for one in status["concerns"] if one.startswith(said)]
    assert [(one["calling_ae_title"], one["images"]) for one in status["conflicts"]] == [("SCANNER", 3)]
    assert status["counts"]["conflicts"] == {"kept": 3}
    assert 'dicom_node_conflicts{state="kept"} 3.0' in metrics
    assert read_status(ledger.views, list, at + timedelta(hours=25)).well
    ledger.close()


@pytest.mark.parametrize("page", PAGES)
def test_no_page_tells_anything_of_a_patient(troubled: str, page: str) -> None:
    text = fetch(troubled + page)[1]
    for secret in (NAME, "Doe", "Jane", "ID-4711"):
        assert secret not in text


def test_health_needs_no_ledger_and_the_rest_says_when_it_is_away() -> None:
    class Away:
        def __getattr__(self, _name: str) -> Any:
            raise Transient("database is locked, password=s3cret")

    port, stop = free_port(), threading.Event()
    server = threading.Thread(target=serve, args=(make_app(Away()), "127.0.0.1", port, stop))  # type: ignore[arg-type] # a ledger that fails
    server.start()
    try:
        wait_for_port(port, "the web server")
        assert fetch(f"http://127.0.0.1:{port}/health")[0] == 200
        for page in ("/", "/status", "/ready", "/metrics"):
            status, text, _headers = fetch(f"http://127.0.0.1:{port}{page}")
            assert status == 503
            assert "s3cret" not in text
    finally:
        stop.set()
        server.join(60)


def test_metrics_are_what_prometheus_reads(troubled: str) -> None:
    text = fetch(f"{troubled}/metrics")[1]
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["dicom_node_series", "complete"] == 3
    assert values["dicom_node_series", "arriving"] == 1
    assert values["dicom_node_jobs", "failed"] == 1
    assert values["dicom_node_jobs", "running"] == 1
    assert values["dicom_node_deliveries", "refused"] == 1
    assert values["dicom_node_check", "worker cuda:0"] == 0
    assert values["dicom_node_check", "receiver 0"] == 1
    changed = values["dicom_node_last_change_timestamp_seconds",]
    assert abs(changed - datetime.now(UTC).timestamp()) < 3600


def test_status_as_json_has_what_the_page_has(troubled: str) -> None:
    status = json.loads(fetch(f"{troubled}/status")[1])
    assert len(status["concerns"]) == 6
    assert {one["series_instance_uid"]: one["images"] for one in status["series"]} == {
        series: 3 + number for number, series in enumerate(SERIES)
    }
    assert [job["state"] for job in status["failed_jobs"]] == ["failed"]
    assert {one["destination"]: one["state"] for one in status["deliveries"]} == {
        "pacs": "owed",
        "archive": "refused",
    }


def test_each_series_says_why_its_routes_fired_or_did_not(troubled: str) -> None:
    status = json.loads(fetch(f"{troubled}/status")[1])
    series = {one["series_instance_uid"]: one for one in status["series"]}
    assert series[SERIES[3]]["routing"] == "routed when it is complete"
    assert series[SERIES[3]]["routes"] == []
    one = series[SERIES[0]]
    assert one["routing"] == "runs chest CT, one of us"
    assert [(line["route"], line["fires"], line["why"]) for line in one["routes"]] == [
        ("chest CT", True, "Modality is CT (found: CT); images is at least 3 (found: 3)"),
        ("head", False, "Modality is MR (found: CT)"),
        ("one of us", True, "a condition on PatientName"),
    ]
    page = fetch(troubled)[1]
    assert "✗ head: Modality is MR (found: CT)" in page
    assert "routed when it is complete" in page


@pytest.mark.parametrize(
    ("own", "state", "matched", "words"),
    [
        (True, "complete", False, "never routed: it is a result of this node"),
        (False, "arriving", True, "routed when it is complete"),
        (False, "complete", True, "runs chest"),
        (False, "complete", False, "no route of one series is for it"),
    ],
)
def test_what_became_of_a_series_is_told(own: bool, state: str, matched: bool, words: str) -> None:
    kept = [{"route": "chest", "matched": matched, "reason": "", "weighed": None}]
    assert routing({"own": own, "state": state, "explanations": kept}) == words


def status_command(folder: Path, *options: str, columns: int = 80) -> str:
    (folder / "conf.yaml").write_text("web:\n")
    command = ["status", "--config", str(folder / "conf.yaml"), *options]
    shown = CliRunner().invoke(app, command, env={"COLUMNS": str(columns)})
    assert NAME not in shown.output
    return f"{shown.exit_code} {shown.output}"


def test_the_status_command_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    busy_ledger(tmp_path / "var", trouble=False).close()
    shown = status_command(tmp_path)
    assert shown.startswith("0 The node does not run.")
    assert "images is at least 3" not in shown
    shown = status_command(tmp_path, "--all")
    assert "fires: chest CT: Modality is CT (found: CT); images is at least 3 (found: 3)" in shown
    assert "does not fire: head: Modality is MR (found: CT)" in shown
    assert "pacs: seg as seg: labelmap: not accepted by the destination" in shown


def test_the_status_command_tells_what_is_owed_with_what_other_commands_need(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    with closing(busy_ledger(tmp_path / "var", trouble=True)) as ledger:
        jobs, [owed] = ledger.views.recent_jobs(), ledger.views.deliveries(("owed",))
    lines = [line.strip() for line in status_command(tmp_path).splitlines()]
    study = jobs[0]["study_instance_uid"]
    at = lines.index("seg owed to pacs, attempt 1, next try in 1 min")
    assert "connection refused" in lines[at + 1]
    assert lines[at + 2 : at + 5] == [
        f"job {owed['job_id']}",
        f"study {study}",
        f"result {owed['sop_instance_uid']}",
    ]
    for uid in (*(f"job {job['id']}" for job in jobs), *(f"series {uid}" for uid in SERIES)):
        assert uid in lines, "whole, on a line of its own"
    order = ["- 1 job failed in the last 24 hours", "Failed jobs", "Owed and refused", "Jobs", "Series"]
    assert sorted(order, key=lines.index) == order


def test_the_status_command_makes_nothing_and_migrates_nothing(tmp_path: Path) -> None:
    shown = status_command(tmp_path)
    assert shown.startswith("1 The node does not run.")
    assert "there is no ledger yet" in shown
    assert [one.name for one in tmp_path.iterdir()] == ["conf.yaml"]
    (tmp_path / "var").mkdir()
    with closing(busy_ledger(tmp_path / "var", trouble=False)) as ledger:
        with ledger.database.write() as conn:
            conn.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
        shown = status_command(tmp_path)
        assert "the ledger is of an older version" in shown
        with ledger.database.read() as conn:
            assert conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0001"


def test_the_status_command_waits_for_nobody_who_writes(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    with (
        closing(busy_ledger(tmp_path / "var", trouble=False)),
        closing(sqlite3.connect(tmp_path / "var" / "ledger.sqlite", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        assert SERIES[0] in status_command(tmp_path)


def test_a_page_tells_the_study_and_the_job_that_commands_ask_for(tmp_path: Path) -> None:
    with closing(busy_ledger(tmp_path, trouble=True)) as ledger, website(ledger) as url:
        page, jobs = fetch(url)[1], ledger.views.recent_jobs()
        status = json.loads(fetch(f"{url}/status")[1])
    for job in jobs:
        assert f"<code>{job['id']}</code>" in page
        assert f"<code>{job['study_instance_uid']}</code>" in page
    assert {one["job_id"] for one in status["deliveries"]} <= {job["id"] for job in jobs}


@pytest.mark.parametrize("uid", [SERIES[0], "1.2.826.0.1.3680043.10.1"], ids=["series", "study"])
def test_explain_takes_what_the_page_shows(tmp_path: Path, uid: str) -> None:
    (tmp_path / "var").mkdir()
    busy_ledger(tmp_path / "var", trouble=False).close()
    (tmp_path / "conf.yaml").write_text("web:\n")
    told = CliRunner().invoke(app, ["explain", uid, "--config", str(tmp_path / "conf.yaml")])
    assert told.exit_code == 0, told.output
    assert sorted(one for one in SERIES if one in told.output) == (SERIES[:1] if uid in SERIES else SERIES)
    assert told.output.count("Job of route chest CT") == (1 if uid in SERIES else 3)
    unknown = CliRunner().invoke(app, ["explain", "1.2.3", "--config", str(tmp_path / "conf.yaml")])
    assert unknown.exit_code == 1
    assert "no study or series 1.2.3 has arrived" in unknown.output


class _Links(HTMLParser):
    """Collects whatever a page would load, and its open elements."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_loads_nothing_and_is_never_kept(troubled: str) -> None:
    _status, page, headers = fetch(troubled)
    links = _Links()
    links.feed(page)
    assert links.loaded == []
    assert links.open == []
    assert "url(" not in page
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_texts_are_escaped(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.migrate()
    evil = Check(name="<script>alert(1)</script>", ok=False, detail="<img src=x>")
    with website(ledger, [evil]) as url:
        page = fetch(url)[1]
    ledger.close()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<img" not in page
    assert "No image has arrived yet." in page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (5, "5 s ago"), (90, "1 min ago"), (7300, "2 h ago"), (90000, "1 d ago"), (-20, "in 20 s")],
)
def test_times_are_told_as_people_tell_them(seconds: float, words: str) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == words
    assert ago(None, now) == ""


def test_a_port_that_is_taken_is_told_at_once(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.migrate()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve(make_app(ledger.views), "127.0.0.1", taken.getsockname()[1], threading.Event())
    ledger.close()
