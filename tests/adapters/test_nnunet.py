"""nnU-Net's result folders fed from memory: what nnU-Net finds in the file, whichever way slices run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from dicom_node.errors import ModelUnavailable
from dicom_node.infer.engine import Engine
from dicom_node.models import ModelStore
from dicom_node.models.pull import pull
from dicom_node.pipeline import Case, Finding, Measurement, NotApplicable, Segmentation
from pipelines.nnunet import NnUNet, NnUNetOptions
from pipelines.totalsegmentator import TotalSegmentator
from tests.adapters.volumes import AXIAL, ORIENTATIONS, case_of, lopsided, seen, volumes_ml

pytest.importorskip("nnunetv2", reason="nnU-Net, an option, is not installed: dicom-node[nnunet]")
from tests.adapters.trained import write_folder

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*nnU-Net.*:UserWarning"
)


def run(kind: type[NnUNet], model: Path | str, case: Case, **options: Any) -> list[Finding]:
    stated = {"model": str(model), "allow_pickle": True} | options
    made = kind(kind.options_type.model_validate(stated))
    return Engine({"trained": made}, "cpu").run("trained", case)


def as_nnunet_finds(folder: Path, nifti: Path) -> np.ndarray[Any, Any]:
    """The label map that nnU-Net's own predictor writes for a file."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), None)
    predictor.predict_from_files_sequential(
        [[str(nifti)]], [str(nifti.parent / "found")], save_probabilities=False
    )
    return np.asarray(nibabel.load(nifti.parent / "found.nii.gz").dataobj)


def label_map(findings: list[Finding]) -> np.ndarray[Any, Any]:
    assert isinstance(findings[0], Segmentation)
    return findings[0].array


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.0, 2.5, 1.5)])
def test_the_structures_lie_where_nnunet_finds_them(tmp_path: Path, spacing: tuple[float, ...]) -> None:
    folder = write_folder(tmp_path / "lumps", spacing=spacing)
    array, affine = lopsided()
    nifti = tmp_path / "head_0000.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine), nifti)
    truth = as_nnunet_finds(folder, nifti)
    assert set(np.unique(truth)) == {0, 1, 2, 3}
    for orientation in ORIENTATIONS:
        findings = run(NnUNet, tmp_path / "lumps", case_of(seen(array, affine, *orientation)))
        assert np.array_equal(label_map(findings), seen(truth, affine, *orientation).array)
        segmentation = findings[0]
        assert isinstance(segmentation, Segmentation)
        assert [each.label for each in segmentation.segments] == ["brain", "tumor", "cyst"]
        assert volumes_ml(findings)["tumor"] == pytest.approx(np.count_nonzero(truth == 2) * 8e-3)


def test_a_model_that_is_not_told_how_its_images_lay_says_so_at_the_start(tmp_path: Path) -> None:
    write_folder(tmp_path / "lumps", reader="SimpleITKIO")
    case = case_of(seen(*lopsided(), *ORIENTATIONS[2]))
    with pytest.raises(ModelUnavailable, match="option `orientation`"):
        run(NnUNet, tmp_path / "lumps", case)
    told = run(NnUNet, tmp_path / "lumps", case, orientation="RAS")
    write_folder(tmp_path / "turning")
    assert np.array_equal(label_map(told), label_map(run(NnUNet, tmp_path / "turning", case)))


def test_folds_are_averaged_and_their_spread_is_measured(tmp_path: Path) -> None:
    write_folder(tmp_path / "folds", shifts=(-0.08, 0.0, 0.08))
    case = case_of(seen(*lopsided(), *AXIAL))
    findings = run(NnUNet, tmp_path / "folds", case, spread=True, mirroring=False)
    middle = run(NnUNet, tmp_path / "folds", case, folds=["1"], mirroring=False)
    assert np.array_equal(label_map(findings), label_map(middle))
    spreads = [f for f in findings if isinstance(f, Measurement) and f.derivation is not None]
    assert {f.segment for f in spreads} == {"brain", "tumor", "cyst"}
    assert all(f.value >= 0 for f in spreads)
    alone = [
        volumes_ml(run(NnUNet, tmp_path / "folds", case, folds=[fold], mirroring=False)) for fold in "012"
    ]
    for spread in spreads:
        volumes = [each.get(spread.segment or "", 0.0) for each in alone]
        assert spread.value == pytest.approx(np.std(volumes))


def test_regions_of_several_labels_overlap(tmp_path: Path) -> None:
    labels = {"background": 0, "whole head": [1, 2, 3], "lumps": [2, 3], "cyst": [3]}
    folder = write_folder(tmp_path / "regions", labels=labels)
    [file] = folder.glob("fold_0/*.pth")
    checkpoint = torch.load(file, weights_only=False)
    for key, tensor in checkpoint["network_weights"].items():
        if "seg_layers" in key:  # sigmoids: each region begins at an intensity
            thresholds = torch.tensor([0.3, 0.7, 0.8])
            made = torch.full((3,), 100.0) if key.endswith("weight") else -100 * thresholds
            checkpoint["network_weights"][key] = made.reshape((3, *tensor.shape[1:]))
    torch.save(checkpoint, file)
    findings = run(NnUNet, tmp_path / "regions", case_of(seen(*lopsided(), *AXIAL)))
    assert label_map(findings).dtype == np.bool_
    found = volumes_ml(findings)
    assert found["whole head"] > found["lumps"] >= found["cyst"] > 0


def test_converted_checkpoints_need_no_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOM_NODE_MODELS", str(tmp_path / "store"))
    write_folder(tmp_path / "made", shifts=(0.0, 0.02))
    case = case_of(seen(*lopsided(), *AXIAL))
    with pytest.raises(ModelUnavailable, match="is a pickle, and pickles are refused"):
        run(NnUNet, tmp_path / "made", case, allow_pickle=False)
    pull(ModelStore(tmp_path / "store"), str(tmp_path / "made"), "lumps", convert=True)
    safe = run(NnUNet, "lumps", case, allow_pickle=False)
    assert np.array_equal(label_map(safe), label_map(run(NnUNet, tmp_path / "made", case)))


def test_a_checkpoint_that_runs_code_is_refused_unread(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "lumps")

    class Runs:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    [file] = folder.glob("fold_0/*.pth")
    torch.save({"network_weights": {}, "init_args": Runs()}, file)
    with pytest.raises(ModelUnavailable, match="can't be read"):
        run(NnUNet, tmp_path / "lumps", case_of(seen(*lopsided(), *AXIAL)))
    assert not (tmp_path / "ran").exists()


def test_what_a_folder_says_wrong_is_one_error(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "lumps")
    planned = json.loads((folder / "plans.json").read_text())
    case = case_of(seen(*lopsided(), *AXIAL))

    def fails(match: str, **changes: Any) -> None:
        described = planned | changes
        (folder / "plans.json").write_text(json.dumps(described))
        with pytest.raises(ModelUnavailable, match=match):
            run(NnUNet, tmp_path / "lumps", case)

    fails("names no configuration", configurations={})
    fullres = planned["configurations"]["3d_fullres"]
    fails("second stage", configurations={"3d_fullres": fullres | {"previous_stage": "3d_lowres"}})
    elsewhere = fullres["architecture"] | {"network_class_name": "subprocess.Popen"}
    fails("not nnU-Net's own", configurations={"3d_fullres": fullres | {"architecture": elsewhere}})
    wider = fullres["architecture"]["arch_kwargs"] | {"features_per_stage": [2, 2]}
    deeper = fullres["architecture"] | {"arch_kwargs": wider}
    fails("don't fit its plans", configurations={"3d_fullres": fullres | {"architecture": deeper}})
    (folder / "plans.json").write_text(json.dumps(planned))
    two = NnUNetOptions(model=str(tmp_path / "lumps"), allow_pickle=True, inputs=("t1", "t2"))
    with pytest.raises(ModelUnavailable, match="takes 1 images"):
        NnUNet(two).check()


def test_totalsegmentators_parts_are_put_together_and_coded(tmp_path: Path) -> None:
    """Two of its folders, resampled before as it does; a later part's structures override an earlier's."""
    first = {"background": 0, "liver": 1, "kidney_right": 2, "spleen": 3}
    second = {"background": 0, "vertebrae_L1": 2, "lung_upper_lobe_left": 3, "aorta": 1}
    for number, labels in ((291, first), (292, second)):
        name = f"Dataset{number}_TotalSegmentator"
        write_folder(tmp_path / "total" / name, labels=labels, channel="CT", name=name, reader="NibabelIO")
    array, affine = lopsided()
    case = case_of(seen(array, affine, *ORIENTATIONS[1]), "CT")
    findings = run(TotalSegmentator, tmp_path / "total", case, parts=["Dataset291"])
    whole = run(TotalSegmentator, tmp_path / "total", case)
    segmentation, joined = findings[0], whole[0]
    assert isinstance(segmentation, Segmentation)
    assert isinstance(joined, Segmentation)
    coded = {each.label: each.type.value for each in segmentation.segments}
    assert coded == {"liver": "10200004", "kidney right": "64033007", "spleen": "78961009"}
    assert [each.label for each in joined.segments] == ["vertebrae L1", "lung upper lobe left", "aorta"]
    assert np.count_nonzero(joined.array) == np.count_nonzero(segmentation.array)
    [refusal] = run(TotalSegmentator, tmp_path / "total", case_of(seen(array, affine, *AXIAL), "MR"))
    assert isinstance(refusal, NotApplicable)
    with pytest.raises(ModelUnavailable, match="holds 0 result folders"):
        run(TotalSegmentator, tmp_path / "total", case, parts=["Dataset297"])
    with pytest.raises(ModelUnavailable, match="name one in `parts`"):
        run(NnUNet, tmp_path / "total", case)


def test_resampling_before_gives_nearly_the_same(tmp_path: Path) -> None:
    write_folder(tmp_path / "lumps", spacing=(3.0, 3.0, 3.0))
    case = case_of(seen(*lopsided(), *ORIENTATIONS[3]))
    usual = label_map(run(NnUNet, tmp_path / "lumps", case))
    before = label_map(run(NnUNet, tmp_path / "lumps", case, resample_first=True))
    assert 2 * np.count_nonzero((usual == 1) & (before == 1)) > 0.9 * (
        np.count_nonzero(usual == 1) + np.count_nonzero(before == 1)
    )
