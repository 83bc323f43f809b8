"""Networks in one file: TorchScript, torch.export and ONNX give the same structures, and tiles do too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dicom_node.errors import ModelFailed, ModelUnavailable
from dicom_node.infer.engine import Engine
from dicom_node.pipeline import Case, Classification, Finding, Measurement, Segmentation
from pipelines.torch_file import TorchFile, TorchFileOptions
from tests.adapters.bundles import network
from tests.adapters.volumes import AXIAL, ORIENTATIONS, case_of, lopsided, seen, volumes_ml

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")
"""TorchScript is deprecated, and many published models are in it."""
NAMES = {1: "brain", 2: "tumor", 3: "cyst"}
PREPARED = {"orientation": "LIA", "window": (500, 1000)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network, in each kind of file."""
    made, folder = network(1).eval(), tmp_path_factory.mktemp("files")
    example = torch.zeros(1, 1, 16, 16, 16)
    torch.jit.trace(made, example).save(folder / "lumps.ts")
    torch.export.save(torch.export.export(made, (example,)), folder / "lumps.pt2")
    write_onnx(made, folder / "lumps.onnx")
    weighs = torch.nn.Linear(1, 2)
    with torch.no_grad():
        weighs.weight.copy_(torch.tensor([[8.0], [-8.0]]))
    mean = torch.nn.Sequential(torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), weighs)
    torch.jit.trace(mean.eval(), example).save(folder / "classes.ts")
    return folder


def write_onnx(made: torch.nn.Module, file: Path) -> None:
    """The same convolution as an ONNX graph, with axes of any size."""
    from onnx import TensorProto, helper, numpy_helper, save

    space = ["x", "y", "z"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["out"], kernel_shape=[1, 1, 1])],
        "lumps",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, *space])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 4, *space])],
        [
            numpy_helper.from_array(part.detach().numpy(), name)
            for part, name in zip(made.parameters(), ("weight", "bias"), strict=True)
        ],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), file)


def run(folder: Path, case: Case, file: str = "lumps.ts", **options: Any) -> list[Finding]:
    declared = {"input": PREPARED | {"tile": (16, 16, 16)}, "output": {"kind": "labels", "names": NAMES}}
    made = TorchFile(
        TorchFileOptions.model_validate({"model": str(folder), "file": file} | declared | options)
    )
    return Engine({"it": made}, "cpu").run("it", case)


@pytest.mark.parametrize("file", ["lumps.ts", "lumps.pt2", "lumps.onnx"])
def test_every_kind_of_file_finds_the_lumps_where_they_are(folder: Path, file: str) -> None:
    array, affine = lopsided()
    case = case_of(seen(array, affine, *ORIENTATIONS[1]))
    findings = run(folder, case, file)
    masks = findings[0]
    assert isinstance(masks, Segmentation)
    assert np.array_equal(masks.mask(2), case.volume.array == 900)
    assert volumes_ml(findings)["tumor"] == pytest.approx(np.count_nonzero(array == 900) * 8e-3)


def test_tiles_and_the_whole_volume_agree(folder: Path) -> None:
    case = case_of(seen(*lopsided(), *AXIAL))
    assert volumes_ml(run(folder, case, input=PREPARED)) == volumes_ml(run(folder, case))


def test_a_resampled_result_comes_back_to_the_input(folder: Path) -> None:
    case = case_of(seen(*lopsided(), *AXIAL))
    coarse = PREPARED | {"spacing": (3.0, 3.0, 3.0)}
    findings = run(folder, case, input=coarse)
    assert isinstance(findings[0], Segmentation)
    assert findings[0].array.shape == case.volume.grid.shape
    assert volumes_ml(findings)["brain"] == pytest.approx(volumes_ml(run(folder, case))["brain"], rel=0.1)


def test_classes_of_a_whole_volume(folder: Path) -> None:
    case = case_of(seen(*lopsided(), *AXIAL))
    output = {"kind": "classes", "names": {0: "nodule", 1: "cyst"}, "exclusive": True}
    findings = run(folder, case, "classes.ts", input=PREPARED, output=output)
    assert sum(f.probability or 0 for f in findings if isinstance(f, Classification)) == pytest.approx(1)
    with pytest.raises(ModelFailed, match="declared are"):
        run(folder, case, "classes.ts", input=PREPARED, output=output | {"names": {5: "nodule"}})


def test_the_spread_over_changed_images_is_measured(folder: Path) -> None:
    """At 0.72 of its brightness a tumor is brain to the network; mirrored, it is a tumor in its place."""
    case = case_of(seen(*lopsided(), *AXIAL))
    plain = volumes_ml(run(folder, case))
    findings = run(folder, case, contrasts=(0.72,), mirrors=("x", "y", "z"))
    measured = [f for f in findings if isinstance(f, Measurement)]
    volumes = {f.segment: f.value for f in measured if f.derivation is None}
    assert volumes == plain, "the result is that of the image as it is"
    spreads = {f.segment: f.value for f in measured if f.derivation is not None}
    tumor, brain = plain["tumor"], plain["brain"]
    assert spreads["tumor"] == pytest.approx(np.std([tumor, 0, tumor, tumor, tumor]))
    assert spreads["brain"] == pytest.approx(np.std([brain, brain + tumor, brain, brain, brain]))
    assert spreads["cyst"] == pytest.approx(0)


def test_a_mirrored_result_is_mirrored_back(tmp_path: Path) -> None:
    """A network that looks one voxel further along x shifts its masks, mirrored the other way."""
    shift = torch.nn.Conv3d(1, 2, (3, 1, 1), padding=(1, 0, 0), bias=False).eval()
    with torch.no_grad():
        shift.weight.zero_()
        shift.weight[1, 0, 0] = 1
    torch.jit.trace(shift, torch.zeros(1, 1, 8, 8, 8)).save(tmp_path / "shift.ts")
    array, affine = np.zeros((12, 10, 8), np.float32), np.diag([-2.0, -2.0, 2.0, 1.0])
    array[0, 4, 4] = array[6, 4, 4] = 1000
    case = case_of(seen(array, affine, *AXIAL))
    declared = {"input": {"orientation": "RAS"}, "output": {"kind": "labels", "names": {1: "tumor"}}}
    measured = [
        f
        for mirrors in ((), ("x",), ("y",))
        for f in run(tmp_path, case, "shift.ts", mirrors=mirrors, **declared)
        if isinstance(f, Measurement)
    ]
    voxel = case.volume.grid.voxel_ml
    # Looking to one side the mark at the border is seen or lost; looking to the other it is the contrary.
    one, other = (2, 1) if measured[0].value == pytest.approx(2 * voxel) else (1, 2)
    assert [f.value for f in measured if f.derivation is None] == pytest.approx([one * voxel] * 3)
    expected = [np.std([one, other]) * voxel, 0]
    assert [f.value for f in measured if f.derivation is not None] == pytest.approx(expected)


def test_the_spread_of_classes_is_told(folder: Path) -> None:
    case = case_of(seen(*lopsided(), *AXIAL))
    output = {"kind": "classes", "names": {0: "nodule", 1: "cyst"}, "exclusive": True}
    declared = {"input": PREPARED, "output": output}
    alone = [
        [
            f.probability or 0
            for f in run(folder, case_of(scaled), "classes.ts", **declared)
            if isinstance(f, Classification)
        ]
        for scaled in (case.volume, replace(case.volume, array=case.volume.array * np.float32(0.5)))
    ]
    findings = run(folder, case, "classes.ts", contrasts=(0.5,), mirrors=("x",), **declared)
    classes = [f for f in findings if isinstance(f, Classification)]
    assert [f.probability for f in classes] == pytest.approx(alone[0])
    spread = np.std([alone[0][0], alone[1][0], alone[0][0]])
    assert spread > 0.001
    assert classes[0].support == f"standard deviation {spread:.3f} over 3 runs"


def test_implausible_volumes_parts_and_sides_are_doubted(folder: Path) -> None:
    array, affine = lopsided()
    array[5:7, 5:7, 5:7] = 900
    names = {1: "brain", 2: "right lung", 3: "left lung"}
    site = {"right lung": {"most_parts": 1}, "left lung": {"plausible_ml": (0, 0.1)}}
    output = {"kind": "labels", "names": names}
    flipped = affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    for placed, swapped in ((affine, False), (flipped, True)):
        case = case_of(seen(array, placed, *AXIAL))
        findings = run(folder, case, output=output, structures=site)
        doubts = {f.segment: f.doubt or "" for f in findings if isinstance(f, Measurement)}
        assert "2 unconnected parts" in doubts["right lung"]
        assert "outside of the plausible 0 to 0.1 ml" in doubts["left lung"]
        assert doubts["brain"] == ""
        assert ("swapped" in doubts["left lung"]) is not swapped


def test_a_missing_or_damaged_file_is_one_clear_error(folder: Path, tmp_path: Path) -> None:
    case = case_of(seen(*lopsided(), *AXIAL))
    for file in ("broken.ts", "broken.pt2", "broken.onnx"):
        (tmp_path / file).write_bytes(b"not a network")
        with pytest.raises(ModelUnavailable, match=f"the network {file} can't be read"):
            run(tmp_path, case, file)
    with pytest.raises(ModelUnavailable, match="holds no file"):
        run(folder, case, "none.ts")
    with pytest.raises(ModelUnavailable, match="is none of"):
        run(folder, case, "lumps.pkl")
