"""Sent means confirmed: success counts only where the destination lists the object."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import SegmentationStorage
from pynetdicom import AE, evt

from dicom_node.association.find import STUDY_ROOT
from dicom_node.config.models import DestinationConfig
from dicom_node.deliver import confirmed, send
from dicom_node.records import Delivery, DeliveryOutcome
from tests.deliver.objects import write_object
from tests.deliver.scps import picky_storescp, scp
from tests.peers.orthanc import Orthanc


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def deliver(deliveries: list[Delivery], to: DestinationConfig, spool: Path) -> list[DeliveryOutcome]:
    told: list[DeliveryOutcome] = []
    outcomes = send(deliveries, to, "NODE", lambda path: spool / path, told.append)
    assert told == outcomes
    return outcomes


def by_dimse(port: int) -> DestinationConfig:
    return DestinationConfig(ae_title="PACS", host="127.0.0.1", port=port, timeout=30, confirm=True)


def test_orthanc_lists_what_it_took(spool: Path, tmp_path: Path) -> None:
    deliveries = [write_object(spool), write_object(spool, sop_class=SegmentationStorage)]
    with Orthanc(tmp_path / "pacs") as pacs:
        web = DestinationConfig(url=pacs.dicomweb_url, timeout=30, confirm=True)
        for destination in (by_dimse(pacs.dicom_port), web):
            assert [one.error for one in deliver(deliveries, destination, spool)] == [None, None]


def lists(*uids: str):  # type: ignore[no-untyped-def] # a handler, as pynetdicom takes it
    """A C-FIND handler that lists these SOP instances, whatever is asked."""

    def answer(_event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for uid in uids:
            found = Dataset()
            found.QueryRetrieveLevel, found.SOPInstanceUID = "IMAGE", uid
            yield 0xFF00, found

    return answer


def finds(ae: AE) -> None:
    ae.add_supported_context(STUDY_ROOT)


def test_an_archive_that_drops_what_it_took_is_tried_again(spool: Path) -> None:
    kept, dropped = write_object(spool), write_object(spool)
    find = [(evt.EVT_C_FIND, lists(kept.sop_instance_uid))]
    with scp(lambda _event: 0, configure=finds, handlers=find) as port:
        began = time.monotonic()
        first, second = deliver([kept, dropped], by_dimse(port), spool)
    assert time.monotonic() - began >= 5, "it is asked again for a while"
    assert first.error is None
    assert second.transient
    assert not second.absent, "it may be listed yet"
    assert "answered success, but does not list the object" in str(second.error)


def test_a_refusal_stays_a_refusal_and_is_not_asked_for(spool: Path) -> None:
    refused = write_object(spool)
    with scp(lambda _event: 0xC000, configure=finds, handlers=[(evt.EVT_C_FIND, lists())]) as port:
        (outcome,) = deliver([refused], by_dimse(port), spool)
    assert outcome.status == 0xC000


def test_a_peer_that_cannot_be_asked_is_told_apart(spool: Path, tmp_path: Path) -> None:
    with picky_storescp(tmp_path / "received") as (port, _process):
        (outcome,) = deliver([write_object(spool)], by_dimse(port), spool)
    assert not outcome.transient
    assert not outcome.absent
    assert "it is not known whether it holds" in str(outcome.error)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "missing from the spool"),
        (b"", "no DICOM file that can be read"),
        (b"not DICOM", "no DICOM file that can be read"),
    ],
    ids=["missing", "empty", "something else"],
)
def test_a_file_that_cannot_be_read_is_confirmed_for_nobody_and_stops_no_other(
    spool: Path, content: bytes | None, words: str
) -> None:
    odd, kept = write_object(spool), write_object(spool)
    (spool / odd.path).unlink()
    if content is not None:
        (spool / odd.path).write_bytes(content)
    sent = [DeliveryOutcome(one.id, status=0) for one in (odd, kept)]
    with scp(
        lambda _event: 0, configure=finds, handlers=[(evt.EVT_C_FIND, lists(kept.sop_instance_uid))]
    ) as port:
        first, second = confirmed([odd, kept], sent, by_dimse(port), "NODE", lambda path: spool / path)
    assert second.error is None
    assert words in str(first.error)
    assert not first.transient
    assert not first.absent, "it answered success"


def test_a_file_that_names_no_study_asks_for_nothing(spool: Path) -> None:
    nameless = write_object(spool)
    ds = dcmread(spool / nameless.path)
    del ds.StudyInstanceUID
    ds.save_as(spool / nameless.path)
    asked: list[evt.Event] = []
    with scp(lambda _event: 0, configure=finds, handlers=[(evt.EVT_C_FIND, asked.append)]) as port:
        (outcome,) = confirmed(
            [nameless], [DeliveryOutcome(nameless.id)], by_dimse(port), "NODE", lambda path: spool / path
        )
    assert "names no study or series" in str(outcome.error)
    assert asked == []
