"""Earlier reports as archives give them: by C-GET, by C-MOVE to our receiver, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import evt

from dicom_node.config import Config
from dicom_node.encode import PROFILES, EncodeContext, Taker, encode, encode_no_result, measured, to_bytes
from dicom_node.findings import Algorithm
from dicom_node.node.earlier import look_up
from dicom_node.node.orders import Order
from dicom_node.records import Result
from dicom_node.spool import Spool
from tests.encode.cases import Worked, worked
from tests.peers import free_port
from tests.query.test_query import PRIOR, SERIES, answering, archive, match
from tests.receive.scp import receiver

ANNA = {"PatientBirthDate": "19500101", "PatientID": "P-1"}
NODE = {"node": {"ae_title": "NODE"}}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Worked:
    return worked(tmp_path_factory.mktemp("case"))


def context_of(case: Worked, year: str, changes: dict[str, str]) -> EncodeContext:
    """Anna's study of the 1st of March of a year."""
    headers = deepcopy(case.headers)
    for header in headers:
        for keyword, value in {**ANNA, "StudyDate": f"{year}0301", **changes}.items():
            setattr(header, keyword, value)
        header.StudyInstanceUID, header.SeriesInstanceUID = f"2.25.{year}", f"2.25.{year}1"
    return replace(case.context, sources={"image": headers}, outputs=frozenset({"sr"}))


def reports(case: Worked, folder: Path) -> Path:
    """Two reports of earlier years, one of this year, one of a twin, and one of another program."""
    folder.mkdir()
    twin = {"PatientBirthDate": "19990909"}
    made: dict[str, dict[str, str]] = {"2022": {}, "2023": twin, "2024": {}, "2025": {}, "2026": {}}
    for year, changes in made.items():
        (report,) = encode(case.findings, context_of(case, year, changes))
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


def test_what_a_later_notice_takes_back_does_not_come_back(case: Worked, tmp_path: Path) -> None:
    held, asked = reports(case, tmp_path / "reports"), order(case, tmp_path)
    old = dcmread(held / "2024.dcm")
    result = Result(old.SOPInstanceUID, old.SOPClassUID, old.SeriesInstanceUID, "sr", "")
    context = replace(context_of(case, "2024", {}), revision=2, predecessors=[result])
    (notice,) = encode_no_result("the earlier result no longer counts", context)
    (held / "notice.dcm").write_bytes(to_bytes(notice))
    with archive(tmp_path, held, free_port()) as port:
        assert years(look_up(asked, config(port), None).values) == {"2025"}


@pytest.mark.parametrize("lacking", ["STUDY", "SERIES"])
def test_odd_answers_cost_no_result(case: Worked, tmp_path: Path, lacking: str) -> None:
    def answer(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        level = event.identifier.QueryRetrieveLevel
        uids = {"StudyInstanceUID": PRIOR, "SeriesInstanceUID": SERIES["prior"]}
        yield 0xFF00, match(level, **({} if level == lacking else uids))

    with answering(answer) as port:
        assert look_up(order(case, tmp_path), config(port), None).values == ()


def test_all_archives_share_one_time_within_the_pipelines_limit(case: Worked, tmp_path: Path) -> None:
    """Each waits for its answer for as long as its own time limit allows; the job does not."""
    late = threading.Event()

    def answer(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        late.wait(20)
        yield from ()

    asked = order(case, tmp_path)
    names = ("pacs", "other")
    with ExitStack() as peers:
        ports = [peers.enter_context(answering(answer)) for _name in names]
        peers.callback(late.set)
        pacs = {
            name: {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": port, "timeout": 90, "priors": True}
            for name, port in zip(names, ports, strict=True)
        }
        limited = {"lung": {"use": "pipelines.ct_lung:CTLung", "time_limit": 2}}
        site = Config.model_validate({**NODE, "destinations": pacs, "pipelines": limited})
        takers = tuple(replace(asked.takers[0], name=name) for name in names)
        found = look_up(replace(asked, takers=takers), site, None)
    assert found.faults == tuple(f"Earlier studies could not be looked up at {name}." for name in names)
