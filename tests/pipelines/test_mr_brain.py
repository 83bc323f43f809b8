"""The brain is found at its place in every orientation, and nothing is found where nothing should be."""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_node.errors import ModelUnavailable
from dicom_node.findings import Measurement, NotApplicable, Segmentation
from dicom_node.geometry import Grid, Volume
from dicom_node.headers import plain, read_header
from dicom_node.infer.contracts import check_findings
from dicom_node.infer.gates import check_requirements
from dicom_node.phantom import axial_grid, reoriented, write_series
from dicom_node.pipeline import Case, Input
from dicom_node.volume import read_volume
from pipelines.mr_brain import MrBrain, why_not_t1

T1: dict[str, Any] = {"Modality": "MR", "EchoTime": 3.0, "BodyPartExamined": "BRAIN"}


@pytest.fixture(scope="module")
def pipeline() -> MrBrain:
    pytest.importorskip("deepbet", reason="needs the extra `brain`")
    made = MrBrain()
    made.load("cpu")
    return made


def dice(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    return float(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()))


def colin27(folder: Path) -> tuple[NDArray[np.int16], NDArray[np.bool_], Grid]:
    """The head and its skull-stripped twin, (x, y, z) of RAS, on a grid in LPS."""
    import nibabel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = nibabel.load(folder / "ch2.nii.gz")
        brain = np.asarray(nibabel.load(folder / "ch2bet.nii.gz").dataobj) > 0
    head = np.asarray(image.dataobj).astype(np.int16)
    return head, brain, Grid(head.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plane", "axes", "flips"),
    [("axial", (2, 1, 0), (False, True, True)), ("sagittal", (0, 1, 2), (True, True, True))],
)
def test_colin27_in_two_orientations(
    pipeline: MrBrain,
    shared_data: Path,
    tmp_path: Path,
    plane: str,
    axes: tuple[int, ...],
    flips: tuple[bool, ...],
) -> None:
    head, brain, grid = colin27(shared_data / "labelled" / "colin27")
    turned, its_grid = reoriented(head, grid, axes, flips)
    paths = write_series(turned, its_grid, tmp_path, "MR")
    volume = read_volume(paths)
    given = Case({"image": Input(volume, plain(read_header(paths[0])))})
    assert check_requirements(pipeline.requires, given.inputs["image"]) is None
    findings = list(pipeline.run(given))
    check_findings(findings, given)
    segmentation, volume_ml = findings
    assert isinstance(segmentation, Segmentation)
    assert isinstance(volume_ml, Measurement)
    # the reference is looked up where the series' own voxels lie in the patient
    index = np.rint(grid.to_index(volume.grid.to_patient(np.argwhere(np.ones(volume.grid.shape, bool)))))
    reference = brain[tuple(index.astype(int).T)].reshape(volume.grid.shape)
    assert dice(segmentation.mask(1), reference) >= 0.92
    assert volume_ml.value == pytest.approx(1956, rel=0.02)


@pytest.mark.slow
def test_a_real_head(pipeline: MrBrain, shared_data: Path, gunzipped: Callable[[Path], Path]) -> None:
    paths = sorted(gunzipped(shared_data / "mr_head_t1w_philips").iterdir())
    volume = read_volume(paths)
    given = Case({"image": Input(volume, plain(read_header(paths[0])))})
    assert check_requirements(pipeline.requires, given.inputs["image"]) is None
    segmentation, ml = pipeline.run(given)
    assert isinstance(segmentation, Segmentation)
    assert isinstance(ml, Measurement)
    assert ml.value == pytest.approx(1566, rel=0.02)
    assert ml.doubt is None
    centre = volume.grid.to_patient(np.argwhere(segmentation.mask(1)).mean(0))
    middle = volume.grid.to_patient(np.asarray(volume.grid.shape) / 2)
    assert centre[2] > middle[2] + 20  # the brain lies above the middle of images that show the neck


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"EchoTime": 95.0}, "echo time is 95 ms"),
        ({"AcquisitionContrast": "FLUID_ATTENUATED"}, "FLUID_ATTENUATED"),
        ({"DiffusionBValue": 1000.0}, "diffusion"),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}, "map"),
    ],
)
def test_what_is_evidently_not_t1_is_refused(header: dict[str, Any], reason: str) -> None:
    volume = Volume(np.zeros((30, 8, 8), np.int16), axial_grid((30, 8, 8), (5, 1, 1)), "1.2", ())
    (finding,) = MrBrain().run(Case({"image": Input(volume, T1 | header)}))
    assert isinstance(finding, NotApplicable)
    assert reason in finding.reason


def test_t1_passes() -> None:
    assert why_not_t1(T1) is None
    assert why_not_t1({"EffectiveEchoTime": 12.0, "AcquisitionContrast": "T1"}) is None


def test_an_empty_image_holds_no_brain(pipeline: MrBrain) -> None:
    volume = Volume(np.zeros((40, 64, 64), np.int16), axial_grid((40, 64, 64), (4, 3, 3)), "1.2", ())
    (finding,) = pipeline.run(Case({"image": Input(volume, T1)}))
    assert isinstance(finding, NotApplicable)


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.mr_brain.find_spec", lambda _name: None)
    with pytest.raises(ModelUnavailable, match=r"dicom-node\[brain\]"):
        MrBrain().check()
    with pytest.raises(ModelUnavailable):
        MrBrain().load("cpu")


def test_checking_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    real = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest, **more: imported.append(name) or real(name, *rest, **more)
    )
    MrBrain().check()
    assert "deepbet" not in imported
