"""A patient comes again after a year: the results show what changed, as the node or the PACS remembers it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from dicom_node.phantom import axial_grid, write_series
from tests.journey.node import AE_TITLE, RunningNode
from tests.journey.test_faults import node_with_slow_pipeline
from tests.peers import Orthanc, storescu
from tests.peers.validators import dciodvfy

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
ANNA = {"PatientID": "P-1", "PatientName": "Doe^Anna", "PatientBirthDate": "19500101"}
TWIN = {**ANNA, "PatientName": "Roe^Bert", "PatientBirthDate": "19700707"}
BEFORE, NOW = "20250301", "20260304"
ML = {BEFORE: 0.7 * 0.7 * 2.5 * 40, NOW: 0.8 * 0.8 * 2.5 * 40}
"""The block of 4 x 100 x 100 voxels that the pipeline finds, by the spacing of the study."""


def study(folder: Path, day: str, patient: dict[str, str]) -> list[Path]:
    """A CT whose pixels are smaller in the earlier study than in the later one."""
    spacing = 0.7 if day == BEFORE else 0.8
    grid = axial_grid((8, 256, 256), (2.5, spacing, spacing))
    array = np.random.default_rng(1).integers(-900, 200, grid.shape).astype(np.int16)
    return write_series(array, grid, folder, "CT", {**patient, "StudyDate": day})


def results(node: RunningNode, pacs: Orthanc, images: list[Path], jobs: int, folder: Path) -> list[Dataset]:
    """What the PACS has of a study's results, once the node has made them."""
    assert storescu(images, "127.0.0.1", node.port, AE_TITLE).ok
    node.wait_done(jobs)
    uid = str(pydicom.dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
    folder.mkdir(exist_ok=True)
    uids = [one for series in pacs.series(uid) for one in series.instances.values()]
    return [pydicom.dcmread(pacs.download(one, folder)) for one in uids]


def descriptions(objects: list[Dataset]) -> list[str]:
    return sorted(str(ds.SeriesDescription) for ds in objects)


def tracking(objects: list[Dataset]) -> set[str]:
    return {str(item.TrackingUID) for ds in objects for item in ds.get("SegmentSequence", ())}


def check_trend(objects: list[Dataset]) -> None:
    assert "Slow block (AI trend)" in descriptions(objects)
    (report,) = [ds for ds in objects if ds.Modality == "SR"]
    change, part = ML[NOW] - ML[BEFORE], ML[NOW] / ML[BEFORE] - 1
    said = f"Volume: {change:+.1f}, {part:+.1%} since 2025-03-01; earlier: {ML[BEFORE]:.1f} ml on 2025-03-01"
    assert said in report.to_json()
    (trend,) = [ds for ds in objects if ds.SeriesDescription == "Slow block (AI trend)"]
    assert trend.StudyDate == NOW
    for ds in objects:
        assert dciodvfy(Path(str(ds.filename))) == []


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc(tmp_path_factory.mktemp("pacs")) as orthanc:
        yield orthanc


def test_the_node_remembers(pacs: Orthanc, tmp_path: Path) -> None:
    with node_with_slow_pipeline(tmp_path / "node", pacs.dicom_port, seconds=0.1) as node:
        first = results(node, pacs, study(tmp_path / "1", BEFORE, ANNA), 1, tmp_path / "r1")
        assert len(first) == 3, "nothing came before it"
        second = results(node, pacs, study(tmp_path / "2", NOW, ANNA), 2, tmp_path / "r2")
        check_trend(second)
        assert tracking(first) == tracking(second), "the same thing, a year later"
        twin = results(node, pacs, study(tmp_path / "3", NOW, TWIN), 3, tmp_path / "r3")
        assert "Slow block (AI trend)" not in descriptions(twin), "the same ID, but not the same person"
        assert "2025-03-01" not in next(ds for ds in twin if ds.Modality == "SR").to_json()


def test_a_node_that_never_saw_the_patient_asks_the_pacs(pacs: Orthanc, tmp_path: Path) -> None:
    eve = {"PatientID": "P-2", "PatientName": "Doe^Eve", "PatientBirthDate": "19600101"}
    with node_with_slow_pipeline(tmp_path / "old", pacs.dicom_port, seconds=0.1) as node:
        assert len(results(node, pacs, study(tmp_path / "1", BEFORE, eve), 1, tmp_path / "r1")) == 3
    node = node_with_slow_pipeline(tmp_path / "new", pacs.dicom_port, seconds=0.1)
    to = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": pacs.dicom_port, "priors": True}
    node.changes = {**node.changes, "destinations": {"pacs": to}}
    with node:
        check_trend(results(node, pacs, study(tmp_path / "2", NOW, eve), 1, tmp_path / "r2"))
        stranger = {**eve, "PatientID": "P-20"}
        assert len(results(node, pacs, study(tmp_path / "3", NOW, stranger), 2, tmp_path / "r3")) == 3
