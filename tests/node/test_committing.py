"""Storage commitment as the coordinator sees to it: it holds up no sending, and forgets nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from dicom_node.association.commitment import COMMITMENT
from dicom_node.association.find import STUDY_ROOT
from dicom_node.deliver.commitment import LINGER
from dicom_node.node import committing
from dicom_node.node.committing import see_to_commitments
from dicom_node.node.delivering import deliver_due
from dicom_node.node.housekeeping import keep_house
from dicom_node.node.site import Site, open_site
from dicom_node.records import CommitmentOutcome, DeliveryState, JobState, Result
from tests.deliver.objects import write_object
from tests.deliver.scps import scp
from tests.ledger.arrivals import arrive, image
from tests.ledger.test_work import COMPLETE, new_job
from tests.peers import Orthanc, wait_until
from tests.receive.scp import TITLE, receiver

CONFIG = """
node: {{data: {data}, ae_title: {title}}}
web:
destinations:
  pacs: {{ae_title: {ae_title}, host: 127.0.0.1, port: {port}, timeout: {timeout}, confirm: {confirm}}}
"""


@contextmanager
def site_of(
    folder: Path, port: int, *, confirm: str = "commitment", timeout: float = 30, ae_title: str = "PACS"
) -> Iterator[Site]:
    folder.mkdir(exist_ok=True)
    settings = {"port": port, "confirm": confirm, "timeout": timeout, "ae_title": ae_title}
    settings |= {"data": folder, "title": TITLE}
    (folder / "conf.yaml").write_text(CONFIG.format(**settings))
    with open_site(folder / "conf.yaml") as site:
        site.ledger.migrate()
        yield site


def owe(site: Site, *studies: str) -> list[str]:
    """Results that the PACS is owed, one of each of these studies, in this order; their SOP Instance UIDs."""
    uids, now = [], datetime.now(UTC)
    for study in studies:
        series = str(generate_uid())
        arrive(site.ledger, [replace(image(1, series), study_instance_uid=study)])
        site.ledger.work.complete(series, 1, COMPLETE, [new_job(series=series)], now)
        job = site.ledger.work.claim("w0", ["lung"], now)
        assert job is not None
        folder = site.spool.path(f"results/{job.id}")
        folder.mkdir(parents=True)
        made = write_object(folder)
        path = f"results/{job.id}/{made.path}"
        one = Result(made.sop_instance_uid, made.sop_class_uid, "2.25.9", "sc", path, "", ("pacs",))
        assert site.ledger.work.finish(job, JobState.DONE, None, [one], now)
        uids.append(made.sop_instance_uid)
    return uids


def states(site: Site) -> list[str]:
    return sorted(row["state"] for row in site.ledger.views.deliveries())


@dataclass
class Archive:
    """A PACS that answers each N-ACTION with a status, lists what it is told to, and counts associations.

    Attributes:
        requests: UIDs that each N-ACTION named; `askers`: the association of each.
        status: of the N-ACTION that names this UID; else success.
        speaks: an N-ACTION is answered once it is set.
        listed: UIDs that a C-FIND lists; `finders`: the association of each C-FIND.
        stored: UIDs, in order.
    """

    requests: list[list[str]] = field(default_factory=list)
    askers: list[object] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)
    speaks: threading.Event = field(default_factory=threading.Event)
    listed: list[str] = field(default_factory=list)
    finders: list[object] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.speaks.set()

    def _store(self, event: evt.Event) -> int:
        self.stored.append(event.request.AffectedSOPInstanceUID)
        return 0

    def _act(self, event: evt.Event) -> tuple[int, None]:
        uids = [str(one.ReferencedSOPInstanceUID) for one in event.action_information.ReferencedSOPSequence]
        self.requests.append(uids)
        self.askers.append(event.assoc)
        self.speaks.wait(60)
        return next((self.status[uid] for uid in uids if uid in self.status), 0), None

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        self.finders.append(event.assoc)
        for uid in self.listed:
            found = Dataset()
            found.QueryRetrieveLevel, found.SOPInstanceUID = "IMAGE", uid
            yield 0xFF00, found

    @contextmanager
    def running(self, *, commits: bool = True) -> Iterator[int]:
        def offer(ae: AE) -> None:
            ae.add_supported_context(STUDY_ROOT)
            if commits:
                ae.add_supported_context(COMMITMENT)

        handlers: list[tuple[Any, Any]] = [(evt.EVT_N_ACTION, self._act), (evt.EVT_C_FIND, self._find)]
        with scp(self._store, configure=offer, handlers=handlers) as port:
            yield port


def test_studies_are_asked_once_each_on_one_association_and_silence_is_borne_once(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        a, b, again, c = owe(site, "1.2.1", "1.2.2", "1.2.1", "1.2.3")
        deliver_due(site, "pacs")
        began = time.monotonic()
        see_to_commitments(site, "pacs")
        lasted = time.monotonic() - began
        waiting = {one.transaction_uid: len(one.deliveries) for one in site.ledger.promised.of("pacs")}
    assert archive.requests == [[a, again], [b], [c]]
    assert len(set(archive.askers)) == 1
    assert sorted(waiting.values()) == [1, 1, 2]
    assert None not in waiting
    assert lasted >= LINGER, "an answer on the association is listened for"


def test_what_orthanc_is_asked_of_many_studies_it_answers(tmp_path: Path) -> None:
    with (
        receiver(tmp_path / "site") as ours,
        Orthanc(tmp_path / "pacs", options=knows(ours.port)) as pacs,
        site_of(tmp_path / "site", pacs.dicom_port, ae_title="ORTHANC") as site,
    ):
        owe(site, "1.2.1", "1.2.2", "1.2.3", "1.2.1")
        deliver_due(site, "pacs")
        assert states(site) == ["sent"] * 4

        def all_told() -> bool:
            see_to_commitments(site, "pacs")
            return states(site) == ["delivered"] * 4

        wait_until(all_told, what="Orthanc takes responsibility")
        assert list((tmp_path / "site" / "spool" / "promises").iterdir()) == []
        causes = {site.ledger.views.history("delivery", str(n))[-1]["cause"] for n in range(1, 5)}
    assert causes == {"it takes responsibility for it"}


def knows(port: int) -> dict[str, Any]:
    """Orthanc's options, so that it can tell us."""
    return {"DicomModalities": {"node": [TITLE, "127.0.0.1", port]}}


def test_one_that_says_later_leaves_the_rest_for_later(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        first, second, third = owe(site, "1.2.1", "1.2.2", "1.2.3")
        archive.status = {second: 0x0213}
        deliver_due(site, "pacs")
        before = datetime.now(UTC)
        see_to_commitments(site, "pacs")
        stand = {
            one.sop_instance_uid: each for each in site.ledger.promised.of("pacs") for one in each.deliveries
        }
        see_to_commitments(site, "pacs")
    assert archive.requests == [[first], [second]], "and it is left alone for a while"
    assert stand[first].transaction_uid is not None
    for uid in (second, third):
        assert stand[uid].transaction_uid is None
        assert stand[uid].due > before + timedelta(seconds=20)


def test_one_that_does_not_answer_holds_up_no_sending_and_is_asked_once(tmp_path: Path) -> None:
    silent = Archive()
    silent.speaks.clear()
    with silent.running() as port, site_of(tmp_path / "site", port, timeout=0.5) as site:
        owe(site, "1.2.1", "1.2.2", "1.2.3")
        deliver_due(site, "pacs")
        (new,) = owe(site, "1.2.4")
        deliver_due(site, "pacs")
        silent.speaks.set()
    assert len(silent.requests) == 1
    assert silent.stored[-1] == new


def test_a_no_to_one_study_is_none_to_the_others(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        first, second, third = owe(site, "1.2.1", "1.2.2", "1.2.3")
        archive.status, archive.listed = {second: 0x0124}, [second]
        deliver_due(site, "pacs")
        see_to_commitments(site, "pacs")
        asked = [one.sop_instance_uid for each in site.ledger.promised.of("pacs") for one in each.deliveries]
        assert states(site) == ["delivered", "sent", "sent"]
    assert sorted(asked) == sorted([first, third])


def test_one_that_offers_no_commitment_is_asked_once_what_it_lists(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running(commits=False) as port, site_of(tmp_path / "site", port) as site:
        archive.listed = owe(site, "1.2.1", "1.2.2", "1.2.3")
        deliver_due(site, "pacs")
        see_to_commitments(site, "pacs")
        assert states(site) == ["delivered"] * 3
    assert len(set(archive.finders)) == 1


def test_sending_has_its_turn_before_all_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "ASKING", 0.0)
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        uids = owe(site, "1.2.1", "1.2.2")
        deliver_due(site, "pacs")
        (new,) = owe(site, "1.2.3")
        deliver_due(site, "pacs")
        assert (archive.requests, archive.stored[-1]) == ([uids[:1]], new)
        see_to_commitments(site, "pacs")
        see_to_commitments(site, "pacs")
        see_to_commitments(site, "pacs")
    assert archive.requests == [[uid] for uid in (*uids, new)]


def waited_in_vain(site: Site) -> None:
    """All that was asked for has been awaited for long enough."""
    for one in site.ledger.promised.of("pacs"):
        site.ledger.promised.asks(one.deliveries, one.transaction_uid or "2.25.1", datetime.now(UTC))


def test_a_result_whose_file_is_gone_stops_nothing(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        archive.listed = owe(site, "1.2.1", "1.2.2")
        deliver_due(site, "pacs")
        waited_in_vain(site)
        (gone, *_rest) = [one for each in site.ledger.promised.of("pacs") for one in each.deliveries]
        site.spool.path(gone.path).unlink()
        (new,) = owe(site, "1.2.3")
        deliver_due(site, "pacs")
        rows = {row["sop_instance_uid"]: row for row in site.ledger.views.deliveries()}
    assert archive.stored[-1] == new
    assert rows[gone.sop_instance_uid]["state"] == DeliveryState.REFUSED
    assert rows[gone.sop_instance_uid]["error"] == f"the file {gone.path} is missing from the spool"
    assert sorted(row["state"] for row in rows.values()) == ["delivered", "refused", "sent"]


def test_an_answer_that_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        owe(site, "1.2.1", "1.2.2")
        deliver_due(site, "pacs")
        see_to_commitments(site, "pacs")
        odd, whole = site.ledger.promised.of("pacs")
        file = tmp_path / "site" / "spool" / "promises" / str(odd.transaction_uid)
        file.unlink()
        file.mkdir()
        held = tuple(one.sop_instance_uid for one in whole.deliveries)
        site.spool.promises.told(CommitmentOutcome(str(whole.transaction_uid), held, {}))
        (new,) = owe(site, "1.2.3")
        deliver_due(site, "pacs")
        assert states(site) == ["delivered", "sent", "sent"]
    assert archive.stored[-1] == new


def test_a_torn_answer_is_none(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        archive.listed = owe(site, "1.2.1")
        deliver_due(site, "pacs")
        see_to_commitments(site, "pacs")
        (asked,) = site.ledger.promised.of("pacs")
        (tmp_path / "site" / "spool" / "promises" / str(asked.transaction_uid)).write_bytes(b'{"transac')
        see_to_commitments(site, "pacs")
        assert states(site) == ["sent"]
        waited_in_vain(site)
        see_to_commitments(site, "pacs")
        assert states(site) == ["delivered"], "it is listed"


def test_a_clock_set_back_makes_no_wait_longer(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        owe(site, "1.2.1")
        deliver_due(site, "pacs")
        see_to_commitments(site, "pacs")
        (asked,) = site.ledger.promised.of("pacs")
        site.ledger.promised.asks(asked.deliveries, asked.transaction_uid, asked.due + timedelta(days=30))
        see_to_commitments(site, "pacs")
        (still,) = site.ledger.promised.of("pacs")
        wait = timedelta(seconds=site.config.destinations["pacs"].commitment_wait)
        assert still.transaction_uid == asked.transaction_uid
        assert asked.due <= still.due <= datetime.now(UTC) + wait


def test_what_a_crash_left_of_a_settled_commitment_is_removed(tmp_path: Path) -> None:
    archive = Archive()
    with archive.running() as port, site_of(tmp_path / "site", port) as site:
        owe(site, "1.2.1")
        deliver_due(site, "pacs")
        see_to_commitments(site, "pacs")
        (asked,) = site.ledger.promised.of("pacs")
        site.spool.promises.expect("2.25.4711")
        site.spool.promises.told(CommitmentOutcome("2.25.4711", (), {}))
        keep_house(site)
        left = [path.name for path in (tmp_path / "site" / "spool" / "promises").iterdir()]
    assert left == [asked.transaction_uid]
