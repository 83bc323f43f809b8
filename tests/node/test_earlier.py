"""Earlier reports as archives give them: by C-GET, by C-MOVE to our receiver, or not at all."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dicom_node.config import Config
from dicom_node.encode import PROFILES, Taker, encode, measured, to_bytes
from dicom_node.findings import Algorithm
from dicom_node.node.earlier import look_up
from dicom_node.node.orders import Order
from dicom_node.spool import Spool
from tests.encode.cases import Worked, worked
from tests.peers import free_port
from tests.query.test_query import archive
from tests.receive.scp import receiver

ANNA = {"PatientBirthDate": "19500101", "PatientID": "P-1"}
NODE = {"node": {"ae_title": "NODE"}}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Worked:
    return worked(tmp_path_factory.mktemp("case"))


def reports(case: Worked, folder: Path) -> Path:
    """Two reports of earlier years, one of this year, one of a twin, and one of another program."""
    folder.mkdir()
    twin = {"PatientBirthDate": "19990909"}
    made: dict[str, dict[str, str]] = {"2022": {}, "2023": twin, "2024": {}, "2025": {}, "2026": {}}
    for year, changes in made.items():
        headers = deepcopy(case.headers)
        for header in headers:
            for keyword, value in {**ANNA, "StudyDate": f"{year}0301", **changes}.items():
                setattr(header, keyword, value)
            header.StudyInstanceUID, header.SeriesInstanceUID = f"2.25.{year}", f"2.25.{year}1"
        context = replace(case.context, sources={"image": headers}, outputs=frozenset({"sr"}))
        (report,) = encode(case.findings, context)
        if year == "2022":
            report.ds.Manufacturer = "SOMEBODY"
        (folder / f"{year}.dcm").write_bytes(to_bytes(report))
    return folder


def order(case: Worked, folder: Path) -> Order:
    """A job on this year's study."""
    path = folder / "image.dcm"
    ds = dcmread(case.paths[0])
    for keyword, value in {**ANNA, "StudyDate": "20260301"}.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
    taker = Taker("pacs", (), PROFILES["generic"], None)
    return Order(
        "job", "lung", {"image": [path]}, 1, datetime.now(UTC), (taker,), Algorithm("ct-lung", "1.2"), "Lungs"
    )


def config(port: int, **changes: Any) -> Config:
    pacs = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": port, "priors": True, **changes}
    return Config.model_validate({**NODE, "destinations": {"pacs": pacs}})


def years(values: Any) -> set[str]:
    return {one.study_date[:4] for one in values}


def test_an_archive_is_asked_for_what_it_has_of_earlier_years(case: Worked, tmp_path: Path) -> None:
    held, asked = reports(case, tmp_path / "reports"), order(case, tmp_path)
    with archive(tmp_path, held, free_port()) as port:
        found = look_up(asked, config(port), None)
        assert years(found.values) == {"2024", "2025"}, "neither the twin's nor another program's"
        assert found.faults == ()
        assert set(measured(case.findings, case.context)) != set(found.values)
        assert look_up(asked, config(port, priors=False), None).values == ()
        known = replace(asked, earlier=found.values[:3])
        assert look_up(known, config(port), None).values[:3] == found.values[:3], "each once"
        assert len(look_up(known, config(port), None).values) == len(found.values)


def test_what_an_archive_moves_here_is_read_from_the_spool(case: Worked, tmp_path: Path) -> None:
    held, asked = reports(case, tmp_path / "reports"), order(case, tmp_path)
    with (
        receiver(tmp_path / "node", called_ae_titles=["NODE"]) as ours,
        archive(tmp_path, held, ours.port, "--disable-get") as port,
    ):
        found = look_up(asked, config(port), Spool(ours.spool.root))
    assert years(found.values) == {"2024", "2025"}
    assert found.faults == ()


def test_an_archive_that_is_away_is_told_of(case: Worked, tmp_path: Path) -> None:
    found = look_up(order(case, tmp_path), config(free_port(), timeout=2), None)
    assert found.values == ()
    assert found.faults == ("Earlier studies could not be looked up at pacs.",)
