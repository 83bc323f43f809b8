"""The whole journey with peers that nobody here wrote: DCMTK sends, the node works, Orthanc receives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_node.phantom import ChestTruth, write_chest
from dicom_node.volume import read_volume
from tests.journey.node import AE_TITLE, RunningNode
from tests.peers import (
    Orthanc,
    StoredSeries,
    dcentvfy,
    dciodvfy,
    dsrdump,
    segimage2itkimage,
    storescu,
    tid1500reader,
)

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Case:
    """A series that went the whole way.

    Attributes:
        sources: the files sent. results: the files that Orthanc holds beside them, by modality.
        labels: label of each segment expected, in the order of their numbers.
    """

    sources: list[Path]
    series: list[StoredSeries]
    results: dict[str, list[Path]]
    labels: list[str]


def travel(folder: Path, sources: list[Path], labels: list[str]) -> Case:
    """Sends a series to the node, waits for what is delivered, and fetches it from Orthanc."""
    study = str(pydicom.dcmread(sources[0], stop_before_pixels=True).StudyInstanceUID)
    with (
        Orthanc(folder / "orthanc") as orthanc,
        RunningNode(folder / "node", orthanc.dicom_port) as node,
    ):
        assert storescu([*sources], "127.0.0.1", orthanc.dicom_port, orthanc.ae_title).ok
        assert storescu([*sources], "127.0.0.1", node.port, AE_TITLE).ok
        (job,) = node.wait_done(1)
        assert (job["state"], job["reason"]) == ("done", None)
        series = orthanc.series(study)
        results: dict[str, list[Path]] = {}
        for one in series:
            if one.modality in {"SEG", "SR", "OT", "SC"}:
                target = folder / "results"
                target.mkdir(exist_ok=True)
                results[one.modality] = [orthanc.download(uid, target) for uid in one.instances.values()]
    return Case(sources, series, results, labels)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ChestTruth]:
    folder = tmp_path_factory.mktemp("phantom")
    truth = write_chest(folder / "images")
    return travel(folder, sorted((folder / "images").iterdir()), ["Right lung", "Left lung"]), truth


@pytest.fixture(scope="module")
def chest(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    sources = sorted((shared_data / "ct_chest_cmb_crc").glob("*.dcm"))
    return travel(tmp_path_factory.mktemp("chest"), sources, ["Right lung", "Left lung"])


@pytest.fixture(scope="module")
def head(
    shared_data: Path, gunzipped: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Case:
    sources = sorted(gunzipped(shared_data / "mr_head_t1w_philips").glob("*.dcm"))
    return travel(tmp_path_factory.mktemp("head"), sources, ["Intracranial contents"])


@pytest.fixture(params=["phantom", "chest", "head"])
def case(request: pytest.FixtureRequest) -> Case:
    found = request.getfixturevalue(request.param)
    return found[0] if request.param == "phantom" else found


def test_the_pacs_holds_three_new_series_in_the_same_study(case: Case) -> None:
    modalities = sorted(one.modality for one in case.series)
    source = pydicom.dcmread(case.sources[0], stop_before_pixels=True)
    assert len(case.series) == 4, modalities
    assert {"SEG", "SR", source.Modality} < set(modalities)
    numbers = [one.number for one in case.series]
    assert len(set(numbers)) == 4, f"series numbers collide: {numbers}"
    assert all(one.description for one in case.series if one.modality != source.Modality)


def test_the_results_are_of_the_same_patient_and_frame_of_reference(case: Case) -> None:
    source = pydicom.dcmread(case.sources[0], stop_before_pixels=True)
    for path in (path for paths in case.results.values() for path in paths):
        ds = pydicom.dcmread(path)
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"):
            assert ds.get(keyword) == source.get(keyword), keyword
        if "FrameOfReferenceUID" in ds:
            assert ds.FrameOfReferenceUID == source.FrameOfReferenceUID


def test_validators_report_no_error(case: Case) -> None:
    paths = [path for paths in case.results.values() for path in paths]
    assert {str(path): dciodvfy(path) for path in paths} == {str(path): [] for path in paths}
    dangling_before = set(dcentvfy(case.sources))  # real sources refer to localizers that are not among them
    assert set(dcentvfy([*case.sources, *paths])) <= dangling_before
    (report,) = case.results["SR"]
    assert "error" not in dsrdump(report).lower()


def test_the_segmentation_lies_where_its_frames_say(case: Case, tmp_path: Path) -> None:
    """dcmqi's mask, carried to the patient and back into the source's grid, is what highdicom reads."""
    from highdicom.seg import segread

    (path,) = case.results["SEG"]
    volume = read_volume(case.sources)
    seg = segread(path)
    uids = [frame.sop_instance_uid for frame in volume.frames]
    for segment in segimage2itkimage(path, tmp_path):
        described = seg.get_segment_description(segment.number)
        assert described.segment_label == case.labels[segment.number - 1]
        ours = seg.get_pixels_by_source_instance(
            uids,
            segment_numbers=[segment.number],
            ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )[..., 0]
        mine = set(map(tuple, np.argwhere(ours)))
        points = (segment.affine @ np.c_[np.argwhere(segment.mask), np.ones(segment.mask.sum())].T).T[:, :3]
        theirs = set(map(tuple, np.rint(volume.grid.to_index(points)).astype(int)))
        assert len(mine) > 1000
        assert mine == theirs


def test_the_reports_values_are_those_of_the_mask(case: Case, tmp_path: Path) -> None:
    from highdicom.seg import segread

    groups = tid1500reader(case.results["SR"][0], tmp_path)
    seg = segread(case.results["SEG"][0])
    volume = read_volume(case.sources)
    measured = {}
    for group in groups:
        for item in group.get("measurementItems", []):
            if item["units"]["CodeValue"] == "ml":
                measured[group["TrackingIdentifier"]] = float(item["value"])
    uids = [frame.sop_instance_uid for frame in volume.frames]
    for number in range(1, seg.number_of_segments + 1):
        mask = seg.get_pixels_by_source_instance(
            uids,
            segment_numbers=[number],
            ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )
        ml = mask.sum() * volume.grid.voxel_ml
        label = case.labels[number - 1]
        found = [value for name, value in measured.items() if label.lower() in name.lower()]
        assert found, (label, measured)
        assert min(abs(value - ml) for value in found) < 1.0, (label, ml, measured)


def test_the_picture_can_be_looked_at(case: Case) -> None:
    source = pydicom.dcmread(case.sources[0], stop_before_pixels=True)
    pictures = [
        ds
        for paths in case.results.values()
        for p in paths
        if (ds := pydicom.dcmread(p)).get("SamplesPerPixel") == 3
    ]
    assert pictures, case.results
    for ds in pictures:
        assert ds.Modality != source.Modality or ds.SOPClassUID != source.SOPClassUID
        assert min(ds.Rows, ds.Columns) >= 512
        coloured = np.ptp(ds.pixel_array.astype(int), axis=-1) > 60
        assert coloured.any(), "outlines are drawn in colour"


def test_the_phantoms_lung_volumes_are_within_three_percent(
    phantom: tuple[Case, ChestTruth], tmp_path: Path
) -> None:
    case, truth = phantom
    measured: dict[str, float] = {}
    for group in tid1500reader(case.results["SR"][0], tmp_path):
        for item in group.get("measurementItems", []):
            if item["units"]["CodeValue"] == "ml":
                measured[group["TrackingIdentifier"].lower()] = float(item["value"])
    for side, ml in truth.ml.items():
        (value,) = [value for name, value in measured.items() if side in name]
        assert value == pytest.approx(ml, rel=0.03)
