"""STOW-RS to Orthanc's DICOMweb, and to servers that refuse, break and lie."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, RLELossless, SegmentationStorage

from dicom_node.config.models import DestinationConfig
from dicom_node.deliver import send
from dicom_node.deliver.stow import outcome_of
from dicom_node.records import Delivery, DeliveryOutcome
from tests.deliver.objects import write_object
from tests.peers import free_port
from tests.peers.orthanc import Orthanc


def web(url: str, timeout: float = 30) -> DestinationConfig:
    return DestinationConfig(url=url, timeout=timeout)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def deliver(deliveries: list[Delivery], to: DestinationConfig, spool: Path) -> list[DeliveryOutcome]:
    return send(deliveries, to, "NODE", lambda path: spool / path)


def test_orthanc_gets_every_kind_as_it_is_and_once(spool: Path, tmp_path: Path) -> None:
    deliveries = [
        write_object(spool),
        write_object(spool, sop_class=SegmentationStorage, syntax=RLELossless),
        write_object(spool, sop_class=Comprehensive3DSRStorage),
        write_object(spool, pixels=3000),
    ]
    with Orthanc(tmp_path / "pacs") as pacs:
        for _attempt in range(2):
            outcomes = deliver(deliveries, web(pacs.dicomweb_url), spool)
            assert [outcome.error for outcome in outcomes] == [None] * 4
        assert pacs.count() == 4
        for delivery in deliveries:
            got = dcmread(pacs.download(delivery.sop_instance_uid, tmp_path))
            sent = dcmread(spool / delivery.path)
            assert got == sent
            assert got.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID


def test_a_url_without_stow_says_so(spool: Path, tmp_path: Path) -> None:
    with Orthanc(tmp_path / "pacs") as pacs:
        (wrong,) = deliver([write_object(spool)], web(f"http://127.0.0.1:{pacs.http_port}/nowhere"), spool)
    assert not wrong.transient
    assert "there is no STOW-RS at this url" in str(wrong.error)


def test_a_server_that_is_away_is_asked_once(spool: Path) -> None:
    outcomes = deliver([write_object(spool) for _ in range(3)], web(f"http://127.0.0.1:{free_port()}"), spool)
    assert all(outcome.transient and "connection refused" in str(outcome.error) for outcome in outcomes)
    assert all(outcome.absent for outcome in outcomes)


@contextmanager
def server(
    status: int, body: bytes = b"", *, seconds: float = 0, headers: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Answers every request alike; gives its URL and the headers that it has seen."""
    seen: list[dict[str, str]] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(dict(self.headers))
            self.rfile.read(int(self.headers["Content-Length"]))
            ended.wait(seconds)
            with suppress(ConnectionError):  # given up on
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}/dicom-web", seen
        finally:
            ended.set()
            httpd.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "transient", "words"),
    [
        (400, False, "malformed"),
        (401, False, "user and password"),
        (403, False, "does not allow"),
        (409, False, "409"),
        (413, False, "larger"),
        (415, False, "transfer syntax"),
        (429, True, "429"),
        (500, True, "500"),
        (503, True, "503"),
        (504, True, "504"),
    ],
)
def test_each_http_status_is_told_apart(spool: Path, status: int, transient: bool, words: str) -> None:
    with server(status) as (url, _seen):
        (outcome,) = deliver([write_object(spool)], web(url), spool)
    assert outcome.transient is transient
    assert outcome.status == status
    assert outcome.absent is (status not in {500, 504}), "it may have failed after it had stored"
    assert words in str(outcome.error)


def failing(reason: int | None, uid: str) -> bytes:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    if reason is not None:
        item["00081197"] = {"vr": "US", "Value": [reason]}
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


@pytest.mark.parametrize(
    ("http", "reason", "transient"),
    [
        (202, 0xA700, True),
        (409, 0xA700, True),
        (409, 0x0122, False),
        (409, 0xC000, False),
        (200, 0xA900, False),
    ],
)
def test_the_reason_in_the_body_counts_more_than_the_status(
    spool: Path, http: int, reason: int, transient: bool
) -> None:
    delivery = write_object(spool)
    with server(http, failing(reason, delivery.sop_instance_uid)) as (url, _seen):
        (outcome,) = deliver([delivery], web(url), spool)
    assert outcome.error is not None
    assert outcome.status == reason
    assert outcome.transient is transient


def test_a_success_that_stored_something_else_is_none(spool: Path) -> None:
    other = {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}]}}
    delivery = write_object(spool)
    with server(200, json.dumps(other).encode()) as (url, _seen):
        (outcome,) = deliver([delivery], web(url), spool)
    assert outcome.error is not None


def test_a_slow_server_is_given_up_and_a_password_is_sent_and_not_told(spool: Path) -> None:
    with server(200, seconds=5) as (url, seen):
        secret = url.replace("http://", "http://node:s3cret@")
        (outcome,) = deliver([write_object(spool)], web(secret, timeout=0.4), spool)
    assert outcome.transient
    assert not outcome.absent
    assert "no answer within 0.4 s" in str(outcome.error)
    assert "s3cret" not in str(outcome.error)
    assert seen[0]["Authorization"].startswith("Basic ")


def test_an_answer_that_cannot_be_unpacked_is_none(spool: Path) -> None:
    with server(200, b"not packed", headers={"Content-Encoding": "gzip"}) as (url, _seen):
        (outcome,) = deliver([write_object(spool)], web(url), spool)
    assert outcome.transient
    assert not outcome.absent


def test_a_missing_file_fails_alone(spool: Path) -> None:
    gone, good = write_object(spool), write_object(spool)
    (spool / gone.path).unlink()
    with server(200) as (url, _seen):
        first, second = deliver([gone, good], web(url), spool)
    assert "missing from the spool" in str(first.error)
    assert not first.transient
    assert second.error is None


KEYS = ["00081198", "00081199", "00081197", "00081155", "Value", "vr"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=12,
)


@given(json_values)
def test_any_body_is_read_without_a_crash(body: Any) -> None:
    delivery = Delivery(1, "1.2.3", "1.2", "pacs", "x.dcm", 1)
    outcome = outcome_of(delivery, Response(200, content=json.dumps(body).encode()), web("http://x"))
    assert outcome.delivery_id == 1
