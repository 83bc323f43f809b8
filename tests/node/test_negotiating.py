"""What destinations accept is known without waiting for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dicom_node.encode.plan import SOP_CLASSES
from dicom_node.node import negotiating
from dicom_node.node.negotiating import ask, noted, takers
from dicom_node.node.site import Site, open_site
from tests.peers import free_port
from tests.peers.dcmtk import storescp

CONFIG = """
web:
destinations:
  pacs: {{ae_title: PACS, host: 127.0.0.1, port: {port}, timeout: 2, profile: any}}
  web: {{url: "http://127.0.0.1:1/dicom-web"}}
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def site(tmp_path: Path, port: int) -> Iterator[Site]:
    (tmp_path / "conf.yaml").write_text(CONFIG.format(port=port))
    with open_site(tmp_path / "conf.yaml") as one:
        yield one


def test_an_answer_stands_while_its_destination_is_away(
    site: Site, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storescp(tmp_path / "pacs", port=port):
        ask(site, "pacs")
    (pacs,) = takers(site, ["pacs"])
    assert SOP_CLASSES["seg"] in {sop_class for sop_class, _syntax in pacs.accepted or ()}
    assert pacs.note == ""
    ask(site, "pacs")
    assert noted(site.config, "pacs").fault is None, "a fresh answer is not asked for again"  # type: ignore[union-attr]
    monkeypatch.setattr(negotiating, "FRESH", timedelta(0))
    ask(site, "pacs")
    (later,) = takers(site, ["pacs"])
    assert later.accepted == pacs.accepted
    assert later.note.startswith("what it took at ")
    assert "connection refused" in later.note


def test_one_that_never_answered_is_known_by_its_profile_alone(site: Site) -> None:
    ask(site, "pacs")
    pacs, web = takers(site, ["pacs", "web"])
    assert pacs.accepted is None
    assert pacs.note.startswith("it has not told what it takes (")
    assert (web.accepted, web.note) == (None, negotiating.BY_URL)


def test_a_job_does_not_wait_long_for_one_that_nobody_has_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(negotiating, "FIRST_SECONDS", 0.2)
    (pacs,) = takers(site, ["pacs", "gone from the configuration"])
    assert (pacs.accepted, pacs.note) == (None, "it has not told yet what it takes")


def test_an_answer_of_another_place_counts_for_nothing(site: Site, port: int, tmp_path: Path) -> None:
    with storescp(tmp_path / "pacs", port=port):
        ask(site, "pacs")
    moved = CONFIG.format(port=free_port())
    (tmp_path / "conf.yaml").write_text(moved)
    with open_site(tmp_path / "conf.yaml") as other:
        assert noted(other.config, "pacs") is None
