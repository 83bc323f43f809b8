"""The lungs that are measured are the lungs: right size, right side, no airways, and honest about doubts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_node.findings import Finding, Measurement, NotApplicable, Segmentation
from dicom_node.geometry import Grid, Volume
from dicom_node.headers import plain, read_header
from dicom_node.infer.contracts import check_findings
from dicom_node.infer.gates import check_requirements
from dicom_node.phantom import ChestTruth, axial_grid, chest, reoriented
from dicom_node.pipeline import Case, Input
from dicom_node.volume import read_volume
from pipelines.ct_lung import CtLung

HEADER: dict[str, Any] = {"Modality": "CT", "ConvolutionKernel": "STANDARD", "SliceThickness": 2.5}
SMALL = ((60, 256, 256), (5.0, 1.44, 1.44))


@pytest.fixture(scope="module")
def phantom() -> tuple[NDArray[np.int16], Grid, ChestTruth]:
    return chest(*SMALL)


def case(array: NDArray[np.int16], grid: Grid, **header: Any) -> Case:
    return Case({"image": Input(Volume(array, grid, "1.2", (), "[hnsf'U]"), HEADER | header)})


def run(given: Case) -> list[Finding]:
    findings = list(CtLung().run(given))
    check_findings(findings, given)
    return findings


def values(findings: list[Finding]) -> dict[tuple[str | None, str], Measurement]:
    return {(f.segment, f.name.value): f for f in findings if isinstance(f, Measurement)}


def refusal(findings: list[Finding]) -> str:
    (finding,) = findings
    assert isinstance(finding, NotApplicable)
    return finding.reason


def assert_near_truth(findings: list[Finding], truth: ChestTruth) -> None:
    found = values(findings)
    for side in ("right", "left"):
        name = f"{side.title()} lung"
        assert found[name, "118565006"].value == pytest.approx(truth.ml[side], rel=0.03)
        assert found[name, "112031"].value == pytest.approx(truth.mean_hu[side], abs=8)
        assert found[name, "LAA-950"].value == pytest.approx(truth.below_950[side], abs=0.5)
        assert -890 < found[name, "PERC15"].value < -860
    assert found[None, "TLV"].value == pytest.approx(sum(truth.ml.values()), rel=0.03)
    assert all(measurement.doubt is None for measurement in found.values())


@pytest.mark.slow
def test_volumes_and_densities_of_the_phantom() -> None:
    array, grid, truth = chest()
    assert_near_truth(run(case(array, grid)), truth)


@pytest.mark.parametrize(
    "flips", [(False, False, False), (True, False, True), (False, True, True), (True, True, False)]
)
def test_sides_are_the_patients_in_every_position(
    phantom: tuple[NDArray[np.int16], Grid, ChestTruth], flips: tuple[bool, ...]
) -> None:
    array, grid, truth = phantom
    turned, its_grid = reoriented(array, grid, (0, 1, 2), flips)
    findings = run(case(turned, its_grid))
    assert_near_truth(findings, truth)
    (segmentation,) = (f for f in findings if isinstance(f, Segmentation))
    for number, (segment, sign) in enumerate(zip(segmentation.segments, (-1, 1), strict=True), start=1):
        centre = its_grid.to_patient(np.argwhere(segmentation.mask(number)).mean(0))
        assert np.sign(centre[0]) == sign, segment.label


def test_airways_and_gas_in_the_stomach_are_no_lung(
    phantom: tuple[NDArray[np.int16], Grid, ChestTruth],
) -> None:
    array, grid, _ = phantom
    (segmentation,) = (f for f in run(case(array, grid)) if isinstance(f, Segmentation))
    for name, point in {"trachea": (0, 8, 90), "carina": (0, 15, 36), "stomach": (70, -30, -135)}.items():
        k, j, i = np.rint(grid.to_index(point)).astype(int)
        assert array[k, j, i] < -900, name
        assert segmentation.array[k, j, i] == 0, name


def test_lungs_that_touch_are_parted(phantom: tuple[NDArray[np.int16], Grid, ChestTruth]) -> None:
    array, grid, truth = phantom
    points = grid.to_patient(np.stack(np.indices(grid.shape), axis=-1))
    x, y, z = np.moveaxis(points, -1, 0)
    joined = array.copy()
    joined[(np.abs(x) < 40) & (np.abs(y + 35) < 4) & (np.abs(z + 10) < 30)] = -860
    found = values(run(case(joined, grid)))
    for side in ("right", "left"):
        assert found[f"{side.title()} lung", "118565006"].value == pytest.approx(truth.ml[side], rel=0.04)


def test_no_lung_and_too_little_lung_are_refused(
    phantom: tuple[NDArray[np.int16], Grid, ChestTruth],
) -> None:
    array, grid, _ = phantom
    solid = np.where((array < -300) & (np.indices(array.shape)[1] > 40), 40, array).astype(np.int16)
    assert "no lung was found" in refusal(run(case(solid, grid)))
    part = axial_grid((30, 256, 256), SMALL[1])
    assert "cover too little" in refusal(run(case(array[:30], part)))


def test_a_field_of_view_that_cuts_the_lungs_is_said(
    phantom: tuple[NDArray[np.int16], Grid, ChestTruth],
) -> None:
    array, grid, _ = phantom
    first = int(grid.to_index((-125.0, 0, 0))[2])  # the right lung reaches to -136 mm
    narrow = Grid((60, 256, 256 - first), grid.affine.copy())
    narrow.affine[:3, 3] = grid.to_patient((0, 0, first))
    found = values(run(case(array[:, :, first:], narrow)))
    assert "cuts the lungs at their side" in (found["Right lung", "118565006"].doubt or "")


def test_gas_in_an_abdomen_is_no_lung(shared_data: Any) -> None:
    nibabel = pytest.importorskip("nibabel")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = nibabel.load(
            shared_data / "labelled" / "ct_abdomen_totalsegmentator" / "example_ct_sm.nii.gz"
        )
    grid = Grid(image.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
    array, its_grid = reoriented(
        np.asarray(image.dataobj).astype(np.int16), grid, (2, 1, 0), (False, True, True)
    )
    assert "no lung was found" in refusal(run(case(array, its_grid)))


@pytest.mark.parametrize(
    ("header", "doubt"),
    [
        ({"ContrastBolusAgent": "Iohexol"}, "contrast"),
        ({"ContrastBolusRoute": "Oral & IV"}, "contrast"),
        ({"ConvolutionKernel": "LUNG"}, "kernel LUNG is sharp"),
        ({"ConvolutionKernel": ["B70f", "3"]}, "kernel B70F is sharp"),
        ({"ConvolutionKernel": "Br64d"}, "sharp"),
        ({"ConvolutionKernel": "FC51"}, "sharp"),
        ({"ConvolutionKernel": "YA"}, "sharp"),
        ({"SliceThickness": 5.0}, "5 mm thick"),
    ],
)
def test_doubts_about_density_are_stated(
    phantom: tuple[NDArray[np.int16], Grid, ChestTruth], header: dict[str, Any], doubt: str
) -> None:
    array, grid, _ = phantom
    found = values(
        run(case(array[::2, ::2, ::2], Grid((30, 128, 128), grid.affine * [2, 2, 2, 1]), **header))
    )
    assert doubt in (found["Left lung", "112031"].doubt or "")
    assert doubt in (found["Left lung", "LAA-950"].doubt or "")
    assert found["Left lung", "118565006"].doubt is None


@pytest.mark.parametrize("kernel", ["STANDARD", "B31f", "Br36d", "FC03", "FC18", "B", "SOFT", "I30f"])
def test_soft_kernels_raise_no_doubt(
    phantom: tuple[NDArray[np.int16], Grid, ChestTruth], kernel: str
) -> None:
    array, grid, _ = phantom
    small = case(
        array[::2, ::2, ::2], Grid((30, 128, 128), grid.affine * [2, 2, 2, 1]), ConvolutionKernel=kernel
    )
    assert values(run(small))["Left lung", "112031"].doubt is None


def test_what_is_no_axial_ct_does_not_pass_the_gate(
    phantom: tuple[NDArray[np.int16], Grid, ChestTruth],
) -> None:
    array, grid, _ = phantom
    assert check_requirements(CtLung.requires, case(array, grid).inputs["image"]) is None
    coronal, its_grid = reoriented(array, grid, (1, 0, 2), (False, True, False))
    reason = check_requirements(CtLung.requires, case(coronal, its_grid).inputs["image"])
    assert reason is not None
    assert "coronal" in reason
    assert check_requirements(CtLung.requires, case(array, grid, Modality="MR").inputs["image"]) is not None


def test_a_real_chest(shared_data: Any) -> None:
    paths = sorted((shared_data / "ct_chest_cmb_crc").iterdir())
    volume = read_volume(paths)
    given = Case({"image": Input(volume, plain(read_header(paths[0])))})
    findings = run(given)
    found = values(findings)
    right, left = found["Right lung", "118565006"], found["Left lung", "118565006"]
    assert 2300 < right.value < 2650
    assert 1850 < left.value < 2200
    assert right.doubt is not None
    assert "end within the lungs" in right.doubt
    assert "contrast" in (found["Right lung", "112031"].doubt or "")
    (segmentation,) = (f for f in findings if isinstance(f, Segmentation))
    trachea = (85, 230, 250)
    assert volume.array[trachea] < -800 or segmentation.array[trachea] == 0
