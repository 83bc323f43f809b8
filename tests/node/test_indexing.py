"""Whatever a journal lacks, every image in the spool comes into the ledger, once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.config import Config
from dicom_node.ledger import Ledger, NewJob
from dicom_node.node.housekeeping import keep_house
from dicom_node.node.indexing import read_journals, reconcile, reconcile_conflicts
from dicom_node.node.site import Site, open_site
from dicom_node.records import Instance, ReceiverEvent, SeriesState, Verdict
from dicom_node.spool import Journal, Spool
from tests.receive.upper_layer import data_set
from tests.spool.test_spool import store

WHOLE = Verdict(True, "geometry", "whole")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    spool, ledger = Spool(tmp_path / "spool"), Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.migrate()
    yield Site(Config(), tmp_path / "conf.yaml", spool, ledger)
    ledger.close()
    spool.folders.close()


@pytest.fixture
def journal(site: Site) -> Iterator[Journal]:
    opened = site.spool.open_journal()
    yield opened
    opened.close()


@pytest.fixture
def newest(site: Site) -> Site:
    """A site where the later of two contents counts."""
    config = Config.model_validate({"receive": {"conflict": "newest"}})
    return replace(site, config=config)


def image(site: Site, journal: Journal, uid: str) -> Instance:
    return store(site.spool, journal, uid, data_set(uid)).instance


def known(site: Site) -> list[str]:
    rows = site.ledger.views.recent_series()
    return [f"{row['series_instance_uid']}: {row['images']}" for row in rows]


def test_a_journals_lines_come_in_once(site: Site, journal: Journal) -> None:
    one = image(site, journal, "1.2.3.1")
    journal.append(ReceiverEvent("stored", instance=one))
    assert (read_journals(site), read_journals(site)) == (1, 0)
    assert known(site) == [f"{one.series_instance_uid}: 1"]


def test_an_image_whose_line_was_lost_comes_in_when_it_is_sent_again(site: Site, journal: Journal) -> None:
    one = image(site, journal, "1.2.3.1")
    journal.append(ReceiverEvent("duplicate", instance=one))
    read_journals(site)
    assert known(site) == [f"{one.series_instance_uid}: 1"]


def test_an_image_that_no_journal_names_is_found_in_the_spool(site: Site, journal: Journal) -> None:
    one = image(site, journal, "1.2.3.1")
    assert (reconcile(site), reconcile(site)) == (1, 0)
    assert known(site) == [f"{one.series_instance_uid}: 1"]


def test_a_line_whose_file_never_came_is_nothing(site: Site, journal: Journal) -> None:
    one = image(site, journal, "1.2.3.1")
    site.spool.remove(one.path)
    journal.append(ReceiverEvent("stored", instance=one))
    read_journals(site)
    assert known(site) == []


def test_journals_go_when_they_are_as_old_as_the_images_they_tell_of(site: Site) -> None:
    journal = site.spool.open_journal()
    journal.append(ReceiverEvent("stored", instance=image(site, journal, "1.2.3.1")))
    read_journals(site)
    (name,) = site.spool.journals()
    keep_house(site)
    assert site.spool.journals() == [name], "it is young"
    old = time.time() - 400 * 86400
    os.utime(site.spool.path(f"journals/{name}"), (old, old))
    keep_house(site)
    assert site.spool.journals() == [name], "its receiver still writes it"
    journal.close()
    keep_house(site)
    assert site.spool.journals() == []
    assert site.ledger.arrivals.offset(name) == 0


def test_what_came_with_other_bytes_comes_into_the_ledger_once(site: Site, journal: Journal) -> None:
    store(site.spool, journal, "1.2.3.1", data_set("1.2.3.1"))
    store(site.spool, journal, "1.2.3.1", data_set("1.2.3.1", size=200))
    assert (reconcile(site), reconcile_conflicts(site)) == (1, 1)
    assert reconcile_conflicts(site) == 0
    (row,) = site.ledger.views.conflicts()
    assert row["sop_instance_uid"] == "1.2.3.1"
    assert site.spool.path(row["path"]).is_file()
    assert [one["images"] for one in site.ledger.views.recent_series()] == [1]


def test_the_command_builds_the_ledger_anew_from_the_spool_alone(tmp_path: Path) -> None:
    (tmp_path / "conf.yaml").write_text("web:\n")
    with open_site(tmp_path / "conf.yaml") as fresh:
        one = fresh.spool.open_journal()
        for size in (100, 200):
            store(fresh.spool, one, "1.2.3.1", data_set("1.2.3.1", size=size))
        one.close()
    for instances, beside in ((1, 1), (0, 0)):
        done = CliRunner().invoke(app, ["reindex", "--config", str(tmp_path / "conf.yaml")])
        assert done.exit_code == 0, done.output
        assert f"{instances} instances were in the spool alone" in done.output
        assert f"so are {beside} that came with other bytes" in done.output


def said(site: Site, series_instance_uid: str) -> list[bytes]:
    """What the files hold that a pipeline would be given."""
    return [site.spool.path(path).read_bytes() for path in site.ledger.holdings.paths(series_instance_uid)]


def send_again(site: Site, journal: Journal, size: int, happening: str = "conflict") -> Instance:
    stored = store(site.spool, journal, "1.2.3.1", data_set("1.2.3.1", size=size))
    assert stored.happening == happening
    journal.append(ReceiverEvent(stored.happening, instance=stored.instance))
    read_journals(site)
    return stored.instance


@pytest.mark.parametrize("policy", ["keep-first", "newest"])
def test_which_of_two_contents_counts_is_the_sites_choice(
    site: Site, newest: Site, journal: Journal, policy: str
) -> None:
    site = newest if policy == "newest" else site
    first = send_again(site, journal, 100, "stored")
    uid = first.series_instance_uid
    job = NewJob("all", "lung", {"image": uid}, (), 0, {})
    (waiting,) = site.ledger.work.complete(uid, 1, WHOLE, [job], datetime.now(UTC))
    other = send_again(site, journal, 200)
    (content,) = said(site, uid)
    assert content.endswith(data_set("1.2.3.1", size=200 if policy == "newest" else 100))
    (series,) = site.ledger.views.recent_series()
    (kept,) = site.ledger.views.conflicts()
    assert series["images"] == 1
    (row,) = (row for row in site.ledger.views.recent_jobs() if row["id"] == waiting)
    if policy == "newest":
        assert (series["state"], series["revision"]) == (SeriesState.ARRIVING, 2)
        assert (row["state"], row["reason"]) == ("dropped", "1 changed image(s) after revision 1")
        assert kept["path"] == first.path
    else:
        assert (series["state"], series["revision"], row["state"]) == (SeriesState.COMPLETE, 1, "queued")
        assert kept["path"] == other.path


def test_of_many_contents_the_newest_counts_also_in_a_ledger_made_anew(
    newest: Site, journal: Journal
) -> None:
    first = send_again(newest, journal, 100, "stored")
    for size in (200, 300):
        send_again(newest, journal, size)
    assert (reconcile(newest), reconcile_conflicts(newest)) == (0, 0)
    assert len(newest.ledger.views.conflicts()) == 2
    again = Ledger(f"sqlite:///{newest.config_path.parent / 'again.sqlite'}")
    again.migrate()
    anew = replace(newest, ledger=again)
    assert (reconcile(anew), reconcile_conflicts(anew)) == (1, 2)
    for one in (newest, anew):
        (content,) = said(one, first.series_instance_uid)
        assert content.endswith(data_set("1.2.3.1", size=300))
        (series,) = one.ledger.views.recent_series()
        one.ledger.work.complete(first.series_instance_uid, series["revision"], WHOLE, [], datetime.now(UTC))
        (expired,) = one.ledger.retention.expired(datetime.now(UTC) + timedelta(days=1))
        assert len(set(expired.paths)) == 3, "all of them go with the series"
    again.close()
