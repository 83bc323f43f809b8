"""Sent means promised: Orthanc is asked to take responsibility, and tells on an association of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dicom_node.phantom import write_chest
from tests.journey.node import AE_TITLE, RunningNode
from tests.journey.test_faults import check_arrived_once, node_with_slow_pipeline
from tests.peers import Orthanc, free_port, storescu, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
DROPS_THREE = """
dropped = 0

function OnStoredInstance(instanceId, tags, metadata, origin)
  if dropped < 3 then
    dropped = dropped + 1
    RestApiDelete('/instances/' .. instanceId)
  end
end
"""
"""Has Orthanc answer success for three objects that it doesn't keep, as an archive with a fault does."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    write_chest(folder)
    return sorted(folder.iterdir())[40:60]


@contextmanager
def pair(folder: Path, *, known: bool = True, **options: Any) -> Iterator[tuple[Orthanc, RunningNode]]:
    """A PACS that knows where the node listens, or doesn't, and a node that wants its promises."""
    port = free_port()
    modalities = {"node": [AE_TITLE, "127.0.0.1", port if known else free_port()]}
    with Orthanc(folder / "orthanc", options={"DicomModalities": modalities, **options}) as pacs:
        node = node_with_slow_pipeline(folder / "site", pacs.dicom_port, seconds=0.1)
        node.port = port
        to = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": pacs.dicom_port, "confirm": "commitment"}
        waits = {} if known else {"commitment_wait": 2}
        node.changes = {**node.changes, "destinations": {"pacs": to | waits}}
        with node:
            yield pacs, node


def histories(node: RunningNode) -> list[list[tuple[str | None, str, str]]]:
    """Every change of each delivery."""
    ledger = node.ledger
    rows = [ledger.views.history("delivery", str(row["id"])) for row in ledger.views.deliveries()]
    ledger.close()
    return [[(one["before"], one["after"], one["cause"]) for one in row] for row in rows]


def promises(node: RunningNode) -> list[Path]:
    return list((node.folder / "data" / "spool" / "promises").iterdir())


def test_the_pacs_takes_responsibility(images: list[Path], tmp_path: Path) -> None:
    with pair(tmp_path) as (pacs, node):
        assert storescu(images, "127.0.0.1", node.port, AE_TITLE).ok
        node.wait_done(1)
        check_arrived_once(pacs, images, node)
        changes = histories(node)
        assert len(changes) == 3
        for one in changes:
            assert [after for _before, after, _cause in one] == ["owed", "sending", "sent", "delivered"]
            assert one[-1][2] == "it takes responsibility for it"
        assert promises(node) == []


def test_what_the_pacs_dropped_is_sent_again(images: list[Path], tmp_path: Path) -> None:
    script = tmp_path / "drops.lua"
    script.write_text(DROPS_THREE)
    with pair(tmp_path, LuaScripts=[str(script)]) as (pacs, node):
        assert storescu(images, "127.0.0.1", node.port, AE_TITLE).ok
        node.wait_done(1)
        check_arrived_once(pacs, images, node)
        for one in histories(node):
            assert [after for _before, after, _cause in one][2:] == [
                "sent",
                "owed",
                "sending",
                "sent",
                "delivered",
            ]
            assert "takes no responsibility for it: it does not hold it" in one[3][2]


def test_a_pacs_that_does_not_know_where_to_tell_is_asked_what_it_lists(
    images: list[Path], tmp_path: Path
) -> None:
    with pair(tmp_path, known=False) as (pacs, node):
        assert storescu(images, "127.0.0.1", node.port, AE_TITLE).ok
        node.wait_done(1)
        check_arrived_once(pacs, images, node)
        for one in histories(node):
            assert one[-1][1:] == (
                "delivered",
                "it lists it; it did not tell in time whether it takes responsibility",
            )
        assert promises(node) == []


@pytest.mark.fault
def test_a_promise_survives_a_power_cut_and_a_pacs_that_was_away(images: list[Path], tmp_path: Path) -> None:
    with pair(tmp_path) as (pacs, node):
        assert storescu(images, "127.0.0.1", node.port, AE_TITLE).ok
        wait_until(lambda: pacs.count() > 0, seconds=120, what="the first result")
        node.kill()
        pacs.stop()
        node.start()
        pacs.start()
        node.wait_done(1)
        check_arrived_once(pacs, images, node)
        assert {one[-1][2] for one in histories(node)} == {"it takes responsibility for it"}
        assert promises(node) == []
