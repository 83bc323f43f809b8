"""A site's folders are its owner's and group's alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dicom_node.node.site import open_site


def open_at(folder: Path) -> int:
    """Opens a site whose data are in `data`; gives that folder's mode for others."""
    (folder / "conf.yaml").write_text("node: {data: data}\nweb:\n")
    with open_site(folder / "conf.yaml") as site:
        site.ledger.migrate()
    return stat.S_IMODE((folder / "data").stat().st_mode) & stat.S_IRWXO


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_data_folder_is_made_for_owner_and_group(tmp_path: Path, data: Path) -> None:
    assert open_at(tmp_path) == 0
    assert stat.S_IMODE(data.stat().st_mode) == 0o750
    assert not any(stat.S_IMODE(one.stat().st_mode) & stat.S_IRWXO for one in data.glob("ledger*"))


def test_one_that_an_earlier_version_made_is_taken_from_others(tmp_path: Path, data: Path) -> None:
    open_at(tmp_path)
    data.chmod(0o755)
    assert open_at(tmp_path) == 0


def test_one_that_holds_other_things_stays_as_it_is(tmp_path: Path, data: Path) -> None:
    data.mkdir()
    data.chmod(0o755)
    (data / "somebody-elses.txt").touch()
    assert open_at(tmp_path) == 0o5
