"""Whatever a journal lacks, every image in the spool comes into the ledger, once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.config import Config
from dicom_node.ledger import Ledger
from dicom_node.node.housekeeping import keep_house
from dicom_node.node.indexing import read_journals, reconcile, reconcile_conflicts
from dicom_node.node.site import Site, open_site
from dicom_node.records import Instance, ReceiverEvent
from dicom_node.spool import Journal, Spool
from tests.receive.upper_layer import data_set
from tests.spool.test_spool import store


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
