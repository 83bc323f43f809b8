"""What a destination may hold after an attempt that failed is taken back like what it holds for certain."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pynetdicom import evt

from dicom_node.ledger import NoMore
from dicom_node.node.delivering import deliver_due
from dicom_node.node.site import Site
from tests.deliver.scps import scp
from tests.ledger.arrivals import arrive, image
from tests.ledger.test_work import COMPLETE
from tests.node.test_committing import owe, site_of, states
from tests.peers import free_port


def told_that_it_counts_no_more(site: Site) -> list[str]:
    """A late image comes, after which the route asks for nothing: ids of the jobs that say so."""
    (row,) = site.ledger.views.recent_jobs()
    series = row["series_instance_uid"]
    arrive(site.ledger, [image(2, series)])
    silent = NoMore(row["route"], (series,), "images came after it", {})
    return site.ledger.work.complete(series, 2, COMPLETE, [], datetime.now(UTC), no_more=[silent])


@pytest.mark.parametrize("stage", ["stored", "listed"])
def test_a_destination_that_fell_silent_after_it_had_the_result_is_told(tmp_path: Path, stage: str) -> None:
    """Its connection breaks before it has answered the C-STORE, or when it is asked what it lists."""

    def store(event: evt.Event) -> int:
        if stage == "stored":
            event.assoc.abort()
        return 0

    with scp(store) as port, site_of(tmp_path / "site", port, confirm="true") as site:
        owe(site, "1.2.1")
        deliver_due(site, "pacs")
        assert set(states(site)) <= {"owed", "refused"}
        assert len(told_that_it_counts_no_more(site)) == 1
        assert states(site) == ["superseded"]


def test_one_that_was_never_reached_is_told_nothing(tmp_path: Path) -> None:
    with site_of(tmp_path / "site", free_port(), confirm="true") as site:
        owe(site, "1.2.1")
        deliver_due(site, "pacs")
        assert states(site) == ["owed"]
        assert told_that_it_counts_no_more(site) == []
