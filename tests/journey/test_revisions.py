"""A late image comes after the results: the new ones name the old ones, and then the archive is told."""

from __future__ import annotations

import time
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_node.phantom import write_chest
from tests.journey.node import AE_TITLE
from tests.journey.test_faults import node_with_slow_pipeline
from tests.peers import Orthanc, dcentvfy, dciodvfy, storescu, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.fault, pytest.mark.timeout(600)]


def held(orthanc: Orthanc, study: str, folder: Path) -> list[pydicom.Dataset]:
    """What this node's results are at the archive, each as it was stored."""
    folder.mkdir(exist_ok=True)
    series = [one for one in orthanc.series(study) if one.modality in {"SEG", "SR", "OT", "KO"}]
    return [
        pydicom.dcmread(orthanc.download(uid, folder)) for one in series for uid in one.instances.values()
    ]


def test_a_late_image_after_delivery_supersedes_and_rejects_the_first_results(tmp_path: Path) -> None:
    write_chest(tmp_path / "images")
    images = sorted((tmp_path / "images").iterdir())[40:60]
    study = str(pydicom.dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
    with Orthanc(tmp_path / "orthanc") as orthanc:
        node = node_with_slow_pipeline(tmp_path / "node", orthanc.dicom_port, seconds=0.1)
        pacs = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": orthanc.dicom_port}
        node.changes = {**node.changes, "destinations": {"pacs": {**pacs, "rejection_notes": True}}}
        with node:
            assert storescu(images, "127.0.0.1", orthanc.dicom_port, orthanc.ae_title).ok
            assert storescu(images[:-1], "127.0.0.1", node.port, AE_TITLE).ok
            node.wait_done(1)
            first = held(orthanc, study, tmp_path / "first")
            assert sorted(ds.Modality for ds in first) == ["OT", "SEG", "SR"]
            assert storescu(images[-1:], "127.0.0.1", node.port, AE_TITLE).ok
            wait_until(lambda: orthanc.count() >= len(images) + 6, seconds=120, what="the new results")
            node.kill()  # before, while or after it makes the note: it is there afterwards, and once
            node.start()
            wait_until(lambda: orthanc.count() > len(images) + 6, seconds=120, what="the rejection note")
            time.sleep(7)
            node.stop()
            node.start()
            time.sleep(7)
        results = held(orthanc, study, tmp_path / "all")

    old = {str(ds.SOPInstanceUID) for ds in first}
    new = [ds for ds in results if str(ds.SOPInstanceUID) not in old]
    (note,) = [ds for ds in new if ds.Modality == "KO"]
    assert sorted(ds.Modality for ds in new) == ["KO", "OT", "SEG", "SR"]
    by_modality = {ds.Modality: ds for ds in new}
    before = {ds.Modality: str(ds.SOPInstanceUID) for ds in first}
    (document,) = by_modality["SR"].PredecessorDocumentsSequence[0].ReferencedSeriesSequence
    assert document.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == before["SR"]
    for modality in ("SEG", "OT"):
        (image,) = by_modality[modality].ReferencedImageSequence
        assert image.ReferencedSOPInstanceUID == before[modality]
    title = note.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodeMeaning) == ("113001", "Rejected for Quality Reasons")
    named = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in note.ContentSequence
        if "ReferencedSOPSequence" in item
    }
    assert named == old
    paths = [as_validators_read(ds) for ds in results]
    assert {str(path): dciodvfy(path) for path in paths} == {str(path): [] for path in paths}
    assert dcentvfy([*images, *paths]) == []


def as_validators_read(ds: pydicom.Dataset) -> Path:
    """The object's file, not deflated: dicom3tools reads no deflated data set."""
    path = Path(str(ds.filename))
    if ds.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.save_as(path)
    return path
