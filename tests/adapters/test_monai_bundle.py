"""MONAI bundles fed from memory: the same structures whichever way the slices run, as MONAI finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle.config_parser import ConfigParser
from monai.data.meta_tensor import MetaTensor
from safetensors.torch import save_file

from dicom_node.errors import ModelFailed, ModelUnavailable
from dicom_node.geometry import Grid, Volume
from dicom_node.infer.engine import Engine
from dicom_node.infer.equality import difference
from dicom_node.models import ModelStore
from dicom_node.phantom.series import write_series
from dicom_node.pipeline import (
    Case,
    Classification,
    Finding,
    Input,
    Measurement,
    NotApplicable,
    Segmentation,
)
from dicom_node.volume import read_volume
from pipelines.monai_bundle import BundleOptions, MonaiBundle
from tests.adapters.bundles import ARGMAX, write_bundle
from tests.adapters.volumes import AXIAL, ORIENTATIONS, case_of, lopsided, seen, volumes_ml

reads_files = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")
"""MONAI's own file reader warns that a GPU codec is not there."""
SHARED = ("thalamus", "caudate", "putamen", "pallidum")


def run(folder: Path, case: Case, **options: Any) -> list[Finding]:
    """Through the engine, so that the findings' contracts are checked too."""
    made = MonaiBundle(BundleOptions.model_validate({"model": str(folder), "allow_pickle": True} | options))
    return Engine({"bundle": made}, "cpu").run("bundle", case)


def as_monai_finds(folder: Path, nifti: Path) -> np.ndarray[Any, Any]:
    """The label map of the bundle's own parts, run by MONAI on the file as the bundle's authors meant."""
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser["bundle_root"] = str(folder)
    parser["output_dir"] = str(nifti.parent / "eval")
    network = parser.get_parsed_content("network")
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    data = parser.get_parsed_content("preprocessing")({"image": str(nifti)})
    with torch.no_grad():
        found = parser.get_parsed_content("inferer")(data["image"][None], network.eval())[0]
    data["pred"] = MetaTensor(found, meta=data["image"].meta)
    parser.get_parsed_content("postprocessing")(data)
    return np.asarray(nibabel.load(next((nifti.parent / "eval").rglob("*.nii.gz"))).dataobj)


def write_nifti(array: np.ndarray[Any, Any], lps: np.ndarray[Any, Any], file: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps), file)
    return file


@reads_files
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_structures_lie_where_monai_finds_them(tmp_path: Path, orientation: Any) -> None:
    folder = write_bundle(tmp_path / "lumps")
    array, affine = lopsided()
    truth = as_monai_finds(folder, write_nifti(array, affine, tmp_path / "head.nii.gz"))
    findings = run(folder, case_of(seen(array, affine, *orientation)))
    segmentation = findings[0]
    assert isinstance(segmentation, Segmentation)
    expected = seen(truth, affine, *orientation)
    assert np.array_equal(segmentation.array, expected.array)
    labels = [segment.label for segment in segmentation.segments]
    assert labels == ["brain", "tumor", "cyst"]
    for number, label in enumerate(labels, start=1):
        assert volumes_ml(findings)[label] == pytest.approx(np.count_nonzero(truth == number) * 8e-3)


def test_a_bundle_that_does_not_invert_is_brought_back(tmp_path: Path) -> None:
    array, affine = lopsided()
    volume = seen(array, affine, *ORIENTATIONS[1])
    own = run(write_bundle(tmp_path / "own"), case_of(volume))[0]
    ours = run(write_bundle(tmp_path / "ours", postprocessing=[ARGMAX]), case_of(volume))[0]
    assert isinstance(own, Segmentation)
    assert isinstance(ours, Segmentation)
    assert np.array_equal(own.array, ours.array)


def test_channels_that_overlap_stay_apart(tmp_path: Path) -> None:
    over_half = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.3}
    folder = write_bundle(tmp_path / "layers", postprocessing=[over_half], bias=0.2)
    findings = run(folder, case_of(seen(*lopsided(), *AXIAL)))
    segmentation = findings[0]
    assert isinstance(segmentation, Segmentation)
    assert segmentation.array.dtype == np.bool_
    assert np.count_nonzero(segmentation.array, axis=0).max() > 1


def test_two_series_make_two_channels(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "pair", inputs=2)
    volume = seen(*lopsided(), *AXIAL)
    header = {"Modality": "MR"}
    case = Case({"t1": Input(volume, header), "t2": Input(volume, header)})
    findings = run(folder, case, inputs={"image": ["t1", "t2"]})
    alone = run(write_bundle(tmp_path / "single"), case_of(volume))
    assert volumes_ml(findings) == volumes_ml(alone)
    assert isinstance(findings[0], Segmentation)
    assert findings[0].role == "t1"

    elsewhere = Volume(volume.array, Grid(volume.grid.shape, volume.grid.affine + np.eye(4)), "1.2.3", ())
    with pytest.raises(ModelFailed, match="same grid"):
        run(
            folder,
            Case({"t1": Input(volume, header), "t2": Input(elsewhere, header)}),
            inputs={"image": ["t1", "t2"]},
        )


def test_what_is_not_there_is_said_to_be_absent(tmp_path: Path) -> None:
    array, affine = lopsided()
    array[array == 900] = 500
    findings = run(write_bundle(tmp_path / "lumps"), case_of(seen(array, affine, *AXIAL)))
    absent = [f for f in findings if isinstance(f, Classification)]
    assert [f.name.meaning for f in absent] == ["Neoplasm"]
    assert absent[0].value.meaning == "Absent"
    assert set(volumes_ml(findings)) == {"brain", "cyst"}


def test_the_site_names_structures_and_their_plausible_volumes(tmp_path: Path) -> None:
    structures = {
        "tumor": {"label": "lesion", "code": ("52988006", "SCT", "Lesion"), "color": (255, 0, 0)},
        "brain": {"plausible_ml": (1000, 2000)},
    }
    findings = run(
        write_bundle(tmp_path / "lumps"), case_of(seen(*lopsided(), *AXIAL)), structures=structures
    )
    assert isinstance(findings[0], Segmentation)
    lesion = findings[0].segments[1]
    assert (lesion.label, lesion.type.value, lesion.color) == ("lesion", "52988006", (255, 0, 0))
    doubts = {f.segment: f.doubt for f in findings if isinstance(f, Measurement)}
    assert doubts["brain"] == "outside of the plausible 1000 to 2000 ml"
    assert doubts["lesion"] is None


def test_the_metadata_name_the_algorithm_and_gate_the_modality(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "lumps")
    made = MonaiBundle(BundleOptions(model=str(folder)))
    assert (made.title, made.algorithm.source) == ("Lumps", "the tests")
    assert made.version.startswith("0.3.1+")
    other = MonaiBundle(BundleOptions(model=str(write_bundle(tmp_path / "other", inputs=2))))
    assert other.version != made.version
    [refusal] = run(folder, case_of(seen(*lopsided(), *AXIAL), modality="CT"))
    assert refusal == NotApplicable("Modality is CT, needed is MR")


def test_smaller_tiles_give_the_same(tmp_path: Path) -> None:
    made = MonaiBundle(BundleOptions(model=str(write_bundle(tmp_path / "lumps")), allow_pickle=True))
    case = case_of(seen(*lopsided(), *AXIAL))
    made.load("cpu")
    whole = volumes_ml(list(made.run(case)))
    assert made.shrink()
    assert volumes_ml(list(made.run(case))) == whole
    while made.shrink():
        assert volumes_ml(list(made.run(case))) == whole


def test_reduced_precision_is_equal_within_a_tolerance(tmp_path: Path) -> None:
    folder, case = write_bundle(tmp_path / "lumps"), case_of(seen(*lopsided(), *AXIAL))
    full = run(folder, case)
    assert difference(full, full).within(0)
    assert difference(full, run(folder, case, precision="bfloat16")).within(0.01)
    assert not difference(full, run(folder, case, structures={"tumor": {"label": "other"}})).within(0.5)


def test_the_spread_over_contrasts_is_measured(tmp_path: Path) -> None:
    findings = run(
        write_bundle(tmp_path / "lumps"), case_of(seen(*lopsided(), *AXIAL)), contrasts=(0.72, 1.0)
    )
    spreads = {f.segment: f.value for f in findings if isinstance(f, Measurement) and f.derivation}
    volumes = {f.segment: f.value for f in findings if isinstance(f, Measurement) and not f.derivation}
    assert spreads["tumor"] > 0
    assert set(spreads) == set(volumes)


def test_pickles_need_the_sites_word_and_safetensors_none(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "lumps")
    with pytest.raises(ModelUnavailable, match="pickles are refused"):
        MonaiBundle(BundleOptions(model=str(folder))).check()
    weights = torch.load(folder / "models" / "model.pt", weights_only=True)
    save_file(weights, folder / "models" / "model.safetensors")
    case = case_of(seen(*lopsided(), *AXIAL))
    assert volumes_ml(run(folder, case, allow_pickle=False)) == volumes_ml(run(folder, case))


def test_a_missing_wrong_or_changed_bundle_gives_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(**options: Any) -> str:
        made = MonaiBundle(BundleOptions.model_validate({"allow_pickle": True} | options))
        with pytest.raises(ModelUnavailable) as caught:
            made.load("cpu")
        return str(caught.value)

    monkeypatch.setenv("DICOM_NODE_MODELS", str(tmp_path / "store"))
    assert "there is no model 'nowhere'" in fault(model="nowhere")
    ModelStore(tmp_path / "store").add("lumps", write_bundle(tmp_path / "source"), origin="source")
    stored = tmp_path / "store" / "lumps"
    assert "pins abc" in fault(model="lumps", revision="abc")
    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "source" / "models" / "model.pt")
    assert "don't fit its network" in fault(model=str(tmp_path / "source"))
    (stored / "configs" / "inference.json").write_text("{}")
    assert "configs/inference.json was changed" in fault(model="lumps")
    (stored / "models" / "model.pt").unlink()
    assert "models/model.pt is missing" in fault(model="lumps")


@reads_files
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_brain_structures_agree_in_every_orientation(
    shared_bundles: Path, shared_data: Path, tmp_path: Path
) -> None:
    """Colin27 written as DICOM, read back, and through the real bundle, beside MONAI's run on the file."""
    file = shared_data / "labelled" / "colin27" / "ch2.nii.gz"
    image = nibabel.load(file)
    array = np.asarray(image.dataobj, np.float32)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    truth = as_monai_finds(
        shared_bundles / "brain_structures", write_nifti(array, affine, tmp_path / "ch2.nii.gz")
    )
    expected = {name: np.count_nonzero(truth == 7 + n) * 1e-3 for n, name in enumerate(SHARED)}
    found = []
    for number, orientation in enumerate(ORIENTATIONS[:3]):
        volume = seen(array, affine, *orientation)
        files = write_series(volume.array, volume.grid, tmp_path / str(number), "MR")
        found.append(volumes_ml(run(shared_bundles / "brain_structures", case_of(read_volume(files)))))
    print("ml of MONAI's own run, then in each orientation")
    for name in SHARED:
        volumes = [each[name] for each in found]
        print(f"{name}: {expected[name]:.3f}; {', '.join(f'{volume:.3f}' for volume in volumes)}")
        assert volumes == pytest.approx([expected[name]] * len(volumes), rel=0.03)
        assert max(volumes) <= 1.03 * min(volumes)
