"""A late image after which a route asks for no result: the study says that the first no longer counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from dicom_node.phantom import write_chest
from dicom_node.records import JobState
from tests.encode.test_valid import OLDER_THAN_LABEL_MAPS
from tests.journey.node import AE_TITLE
from tests.journey.test_faults import node_with_slow_pipeline
from tests.journey.test_revisions import as_validators_read, held
from tests.peers import Orthanc, dcentvfy, dciodvfy, storescu, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.fault, pytest.mark.timeout(600)]
FEW = 19
"""Images that the route takes at most."""
WHY = (
    "the earlier result of route few no longer counts: images came after it, and the series as it is now is "
    "not for it: images is at most 19 (found: 20)"
)


def words(ds: Dataset) -> str:
    """Every text of a report."""
    return " ".join(str(item.value) for item in ds.iterall() if item.keyword == "TextValue")


def referred(ds: Dataset) -> set[str]:
    """Every instance that an object refers to."""
    return {str(item.value) for item in ds.iterall() if item.keyword == "ReferencedSOPInstanceUID"}


def test_a_result_is_taken_back_where_its_route_asks_for_it_no_more(tmp_path: Path) -> None:
    """One archive wants rejection notes, the other does not; the node is killed in between."""
    write_chest(tmp_path / "images")
    images = sorted((tmp_path / "images").iterdir())[40:60]
    study = str(pydicom.dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
    with Orthanc(tmp_path / "noted") as noted, Orthanc(tmp_path / "plain") as plain:
        archives = {"noted": noted, "plain": plain}
        node = node_with_slow_pipeline(tmp_path / "node", noted.dicom_port, seconds=0.1)
        when = {"Modality": "CT", "images": {"max": FEW}}
        node.changes = {
            **node.changes,
            "routes": [{"name": "few", "when": when, "run": "slow", "send": list(archives)}],
            "destinations": {name: destination(one, name) for name, one in archives.items()},
        }
        with node:
            node.wait_asked()
            assert storescu(images[:FEW], "127.0.0.1", node.port, AE_TITLE).ok
            node.wait_done(1)
            first = {name: held(one, study, tmp_path / f"{name}-first") for name, one in archives.items()}
            assert storescu(images[FEW:], "127.0.0.1", node.port, AE_TITLE).ok
            node.wait(lambda views: len(views.recent_jobs()) == 2, what="the route is weighed again")
            node.kill()
            node.start()
            told, _ran = node.wait_done(2)
            wait_until(lambda: has_note(noted, study), seconds=120, what="the rejection note")
            node.stop()
            node.start()
            node.wait_done(2)
        now = {name: held(one, study, tmp_path / f"{name}-now") for name, one in archives.items()}

    assert (told["state"], told["reason"], told["revision"]) == (JobState.NOT_APPLICABLE, WHY, 2)
    notice, expected = {}, {"noted": ["KO", "OT", "SR"], "plain": ["OT", "SR"]}
    for name in archives:
        old = {str(ds.SOPInstanceUID) for ds in first[name]}
        assert sorted(ds.Modality for ds in first[name]) == ["OT", "SEG", "SR"]
        new = [ds for ds in now[name] if str(ds.SOPInstanceUID) not in old]
        assert len(now[name]) == len(old) + len(new), "what was delivered stays"
        assert sorted(ds.Modality for ds in new) == expected[name]
        notice[name] = {ds.Modality: ds for ds in new}
        before = {ds.Modality: str(ds.SOPInstanceUID) for ds in first[name]}
        report = notice[name]["SR"]
        assert WHY in words(report)
        (document,) = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence
        assert document.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == before["SR"]
        assert before["OT"] in referred(notice[name]["OT"])
        paths = [as_validators_read(ds) for ds in now[name]]
        lines = {line for path in paths for line in dciodvfy(path) if OLDER_THAN_LABEL_MAPS not in line}
        assert lines == set()
        assert dcentvfy([*images, *paths]) == []
    note = notice["noted"]["KO"]
    assert {str(ds.SOPInstanceUID) for ds in first["noted"]} <= referred(note)
    assert WHY in words(note)


def destination(archive: Orthanc, name: str) -> dict[str, Any]:
    """As conf.yaml has it."""
    address = {"ae_title": archive.ae_title, "host": "127.0.0.1", "port": archive.dicom_port}
    return address | {"rejection_notes": name == "noted", "profile": "ohif"}


def has_note(archive: Orthanc, study: str) -> bool:
    return "KO" in {one.modality for one in archive.series(study)}
