"""The peers against each other: what the other tests rely on when they trust them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.peers import (
    Orthanc,
    dcentvfy,
    dciodvfy,
    echoscu,
    free_port,
    need,
    running,
    segimage2itkimage,
    storescp,
    storescu,
    tid1500reader,
    wait_until,
)
from tests.peers.process import listens


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    mask = np.zeros((4, 16, 24), np.uint8)
    mask[1:3, 4:7, 5:15] = 1
    return mask


@pytest.fixture(scope="module")
def seg(small_ct: list[Path], mask: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    segment = SegmentDescription(
        segment_number=1,
        segment_label="Lung",
        segmented_property_category=CodedConcept("123037004", "SCT", "Anatomical Structure"),
        segmented_property_type=CodedConcept("39607008", "SCT", "Lung"),
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
    )
    made = Segmentation(
        source_images=[pydicom.dcmread(file) for file in small_ct],
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Nobody",
        manufacturer_model_name="None",
        software_versions="1",
        device_serial_number="1",
    )
    file = tmp_path_factory.mktemp("seg") / "seg.dcm"
    made.save_as(file)
    return file


def study_of(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID)


@pytest.mark.journey
def test_storescu_brings_a_study_to_orthanc_which_keeps_it_over_a_restart(
    small_ct: list[Path], seg: Path, orthanc: Orthanc, tmp_path: Path
) -> None:
    assert echoscu("127.0.0.1", orthanc.dicom_port, orthanc.ae_title)
    sent = storescu([small_ct[0].parent, seg], "127.0.0.1", orthanc.dicom_port, orthanc.ae_title)
    assert sent.ok, sent.output
    assert sent.statuses == ("Success",) * (len(small_ct) + 1)
    orthanc.stop()
    orthanc.start()
    orthanc.wait_for_instances(len(small_ct) + 1)
    series = {one.modality: one for one in orthanc.series(study_of(seg))}
    assert set(series) == {"CT", "SEG"}
    assert len(series["CT"].instances) == len(small_ct)
    assert orthanc.study_uids() == [study_of(seg)]
    (uid,) = series["SEG"].instances.values()
    stored = pydicom.dcmread(orthanc.download(uid, tmp_path))
    assert stored.PixelData == pydicom.dcmread(seg).PixelData
    with pytest.raises(LookupError):
        orthanc.download("1.2.3", tmp_path)


@pytest.mark.journey
def test_orthanc_forwards_a_study_to_storescp(small_ct: list[Path], orthanc: Orthanc, tmp_path: Path) -> None:
    storescu(small_ct, "127.0.0.1", orthanc.dicom_port, orthanc.ae_title)
    with storescp(tmp_path) as receiver:
        orthanc.send_study(study_of(small_ct[0]), receiver.ae_title, receiver.port)
        arrived = {pydicom.dcmread(file).SOPInstanceUID for file in receiver.files()}
    assert arrived == {pydicom.dcmread(file).SOPInstanceUID for file in small_ct}
    assert not listens(receiver.port)


def test_what_nobody_receives_is_not_reported_as_sent(small_ct: list[Path]) -> None:
    port = free_port()
    sent = storescu(small_ct, "127.0.0.1", port, "NOBODY")
    assert not sent.ok
    assert sent.statuses == ()
    assert not echoscu("127.0.0.1", port, "NOBODY")


def test_dcmtk_is_used_though_pynetdicom_has_programs_of_the_same_names() -> None:
    version = subprocess.run([need("storescu"), "--version"], capture_output=True, text=True, check=True)
    assert "dcmtk: storescu" in version.stdout


def test_dciodvfy_passes_a_sound_object_and_names_what_is_missing(
    small_ct: list[Path], tmp_path: Path
) -> None:
    assert dciodvfy(small_ct[0]) == []
    ds = pydicom.dcmread(small_ct[0])
    del ds.PixelSpacing
    ds.save_as(tmp_path / "bad.dcm")
    assert any("PixelSpacing" in error for error in dciodvfy(tmp_path / "bad.dcm"))


def test_dcentvfy_sees_another_patient_in_the_same_study(
    small_ct: list[Path], seg: Path, tmp_path: Path
) -> None:
    assert dcentvfy([*small_ct, seg]) == []
    ds: Dataset = pydicom.dcmread(seg)
    ds.PatientName = "Somebody^Else"
    ds.save_as(tmp_path / "bad.dcm")
    assert dcentvfy([*small_ct, tmp_path / "bad.dcm"]) != []


def test_dcmqi_reads_the_mask_at_its_place_in_the_patient(
    seg: Path, mask: np.ndarray, tmp_path: Path
) -> None:
    (segment,) = segimage2itkimage(seg, tmp_path)
    assert (segment.number, segment.label) == (1, "Lung")
    inside = np.argwhere(segment.mask)
    first = segment.affine @ [*inside.min(axis=0), 1]
    last = segment.affine @ [*inside.max(axis=0), 1]
    assert first[:3] == pytest.approx([-10 + 5 * 0.75, -20 + 4 * 0.5, 32])
    assert last[:3] == pytest.approx([-10 + 14 * 0.75, -20 + 6 * 0.5, 34])
    assert int(segment.mask.sum()) == int(mask.sum())


def test_what_is_no_segmentation_and_no_report_is_refused_by_the_readers(
    small_ct: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="dcmqi"):
        segimage2itkimage(small_ct[0], tmp_path)
    with pytest.raises(ValueError, match="dcmqi"):
        tid1500reader(small_ct[0], tmp_path)


HANGING = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print(os.getpid(), flush=True); time.sleep(60)"
)
PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(60)"


def test_a_process_and_its_children_end_with_the_block_even_when_the_test_fails(tmp_path: Path) -> None:
    """The child ignores SIGTERM, as a hanging worker would."""
    log = tmp_path / "log"

    def fails_in_the_block() -> None:
        with running([sys.executable, "-c", PARENT, HANGING], log=log):
            wait_until(lambda: log.read_text().endswith("\n"), what="the child is up")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_in_the_block()
    child = int(log.read_text())
    wait_until(lambda: has_ended(child), what="the child has ended")


def test_a_run_that_is_told_to_end_leaves_no_peer_behind(tmp_path: Path) -> None:
    """As `timeout` and CI runners end one: SIGTERM to pytest, in the middle of a test."""
    root = Path(__file__).resolve().parents[1]
    waiting = root / "tests" / "peers" / "waiting.py"
    log, run_log = tmp_path / "log", tmp_path / "run.log"
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", waiting]
    with running(pytest_run, folder=root, environment={"PEER_LOG": str(log)}, log=run_log) as run:
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"), what="a peer runs")
        run.terminate()
        run.wait(120)
    peer = int(log.read_text())
    wait_until(lambda: has_ended(peer), what="the peer has ended")


def has_ended(pid: int) -> bool:
    """SIGKILL is carried out a moment after it is sent, and an orphan may stay a zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
