"""Adapters of Hugging Face models for images, with tiny models of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dicom_node.errors import ModelUnavailable
from dicom_node.infer.engine import Engine
from dicom_node.models import ModelStore, model_revision
from dicom_node.pipeline import (
    Case,
    Classification,
    Detection,
    Embedding,
    Finding,
    Heatmap,
    Measurement,
    NotApplicable,
    Options,
    Pipeline,
    Segmentation,
)
from dicom_node.similar import cosine
from pipelines.transformers_base import HubOptions, HubPipeline
from pipelines.transformers_classify import ImageClassifier, calibrated
from pipelines.transformers_detect import Detector
from pipelines.transformers_embed import ImageEmbedder
from pipelines.transformers_segment import EverythingSegmenter, PromptedSegmenter
from pipelines.transformers_zero_shot import ZeroShot, present_probability
from tests.adapters import hub
from tests.adapters.volumes import AXIAL, case_of, lopsided, seen

NODULE = ("27925004", "SCT", "Nodule")


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of(seen(*lopsided(), *AXIAL), "CT", WindowCenter=450, WindowWidth=900)


def run(adapter: type[Pipeline], case: Case, **options: Any) -> list[Finding]:
    made = adapter(adapter.options_type.model_validate(options))
    return Engine({"it": made}, "cpu").run("it", case)


def probabilities(findings: list[Finding]) -> dict[str, float]:
    return {f.name.meaning: f.probability or 0.0 for f in findings if isinstance(f, Classification)}


def test_a_classifier_gives_each_label_its_probability(tmp_path: Path, case: Case) -> None:
    folder = hub.classifier(tmp_path / "resnet")
    findings = run(ImageClassifier, case, model=str(folder), slices=3)
    assert set(probabilities(findings)) == {"Nodule", "effusion"}
    assert sum(probabilities(findings).values()) != pytest.approx(1)
    exclusive = run(ImageClassifier, case, model=str(folder), kind="single-label", over_slices="mean")
    assert sum(probabilities(exclusive).values()) == pytest.approx(1)


def test_labels_are_chosen_coded_and_calibrated_by_the_site(tmp_path: Path, case: Case) -> None:
    folder = str(hub.classifier(tmp_path / "resnet"))
    plain = probabilities(run(ImageClassifier, case, model=folder))["Nodule"]
    site = {"code": ("416940007", "SCT", "Past"), "temperature": 4.0, "threshold": 0.99}
    [finding] = run(ImageClassifier, case, model=folder, labels={"nodule": site})
    assert isinstance(finding, Classification)
    assert finding.name.value == "416940007"
    assert finding.value.meaning == "Absent"
    expected = 1 / (1 + np.exp(-np.log(plain / (1 - plain)) / 4))
    assert finding.probability == pytest.approx(expected, rel=1e-3)


def test_an_isotonic_table_maps_scores_to_probabilities() -> None:
    table = ((0.2, 0.0), (0.6, 0.5), (0.8, 0.9))
    scores = (0.1, 0.4, 0.7, 0.95)
    assert [calibrated(score, table) for score in scores] == pytest.approx([0, 0.25, 0.7, 0.9])
    assert calibrated(0.3, ()) == 0.3


def test_a_heat_map_shows_the_slices_that_were_looked_at(tmp_path: Path, case: Case) -> None:
    folder = str(hub.classifier(tmp_path / "resnet"))
    findings = run(ImageClassifier, case, model=folder, slices=2, heatmap=True)
    [heat] = [f for f in findings if isinstance(f, Heatmap)]
    assert np.flatnonzero(heat.array.any(axis=(1, 2))).tolist() == [7, 22]


def test_a_heat_map_changes_nothing_of_what_is_found_then_and_later(tmp_path: Path, case: Case) -> None:
    folder = str(hub.classifier(tmp_path / "resnet"))
    plain = probabilities(run(ImageClassifier, case, model=folder))
    adapter = ImageClassifier(ImageClassifier.options_type.model_validate({"model": folder, "heatmap": True}))
    adapter.load("cpu")
    assert [probabilities(list(adapter.run(case))) for _ in range(3)] == [plain] * 3


def test_a_transformers_heat_map_lies_on_what_it_saw(tmp_path: Path) -> None:
    folder = str(hub.vision_transformer(tmp_path / "vit"))
    for row, column in ((8, 16), (24, 0), (0, 8), (16, 24)):
        array = np.full((32, 32, 1), 127, np.float32)  # x, y, z
        array[column : column + 8, row : row + 8] = 255
        shown = case_of(seen(array, np.eye(4), *AXIAL), "CT", WindowCenter=128, WindowWidth=256)
        findings = run(ImageClassifier, shown, model=folder, heatmap=True)
        found = probabilities(findings)
        assert max(found, key=found.__getitem__) == "bright"
        [heat] = [f for f in findings if isinstance(f, Heatmap)]
        _, y, x = np.unravel_index(heat.array.argmax(), heat.array.shape)
        assert (y // 8 * 8, x // 8 * 8) == (row, column)


def test_zero_shot_compares_the_sites_words(tmp_path: Path, case: Case) -> None:
    folder = str(hub.clip(tmp_path / "clip"))
    prompts = {"nodule": {"present": ["a nodule"], "absent": ["no nodule"], "code": NODULE}}
    [finding] = run(ZeroShot, case, model=folder, prompts=prompts, slices=2)
    assert isinstance(finding, Classification)
    assert 0 < (finding.probability or 0) < 1
    swapped = {"nodule": {"present": ["no nodule"], "absent": ["a nodule"], "code": NODULE}}
    [contrary] = run(ZeroShot, case, model=folder, prompts=swapped, slices=1)
    [same] = run(ZeroShot, case, model=folder, prompts=prompts, slices=1)
    assert isinstance(contrary, Classification)
    assert isinstance(same, Classification)
    assert (contrary.probability or 0) + (same.probability or 0) == pytest.approx(1)
    assert present_probability(np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32), 1.0) == 0.5


def test_zero_shot_judges_each_finding_by_its_own_words_alone(tmp_path: Path, case: Case) -> None:
    folder = str(hub.clip(tmp_path / "clip"))
    prompts = {
        "nodule": {"present": ["a nodule", "a round spot"], "absent": ["no nodule"], "code": NODULE},
        "pneumonia": {"present": ["an infiltrate"], "absent": ["clear lungs", "no disease"]},
    }
    together = probabilities(run(ZeroShot, case, model=folder, prompts=prompts, slices=2))
    for label, words in prompts.items():
        alone = probabilities(run(ZeroShot, case, model=folder, prompts={label: words}, slices=2))
        assert len(alone) == 1
        for name, probability in alone.items():
            assert together[name] == pytest.approx(probability, abs=1e-6)
    assert len(together) == 2


def test_boxes_lie_on_their_slices_and_labels_without_one_are_absent(tmp_path: Path, case: Case) -> None:
    folder = str(hub.detector(tmp_path / "yolos"))
    site = {"nodule": {"threshold": 0.0}, "fracture": {"threshold": 1.0}}
    findings = run(Detector, case, model=folder, slices=2, labels=site, most=3)
    boxes = [f for f in findings if isinstance(f, Detection)]
    assert 1 <= len(boxes) <= 3
    assert {box.lower[0] for box in boxes} <= {7.0, 22.0}
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)
    assert probabilities(findings) == {"fracture": 0.0}


def test_prompts_in_millimetres_give_masks_where_they_lie(tmp_path: Path, case: Case) -> None:
    folder = str(hub.sam(tmp_path / "sam"))
    grid = case.volume.grid
    corners = grid.to_patient(np.array([[10, 8, 8], [12, 24, 24]])).tolist()
    structures = {"left kidney": {"box": corners}, "tumor": {"point": grid.to_patient((20, 18, 20)).tolist()}}
    findings = run(PromptedSegmenter, case, model=folder, structures=structures, mask_threshold=-100)
    [masks] = [f for f in findings if isinstance(f, Segmentation)]
    assert [segment.label for segment in masks.segments] == ["left kidney", "tumor"]
    assert np.flatnonzero(masks.array[0].any(axis=(1, 2))).tolist() == [10, 11, 12]
    assert np.flatnonzero(masks.array[1].any(axis=(1, 2))).tolist() == [20]
    assert len([f for f in findings if isinstance(f, Measurement)]) == 2
    far = run(PromptedSegmenter, case, model=folder, structures={"tumor": {"point": (9999, 0, 0)}})
    assert isinstance(far[0], NotApplicable)


def test_everything_that_stands_out_becomes_a_region(tmp_path: Path, case: Case) -> None:
    folder = str(hub.sam(tmp_path / "sam"))
    dense: dict[str, Any] = {"least_score": 0, "least_mm2": 0, "most_share": 1, "points": 4, "at_once": 5}
    findings = run(EverythingSegmenter, case, model=folder, slices=2, **dense, mask_threshold=-100, most=3)
    masks = findings[0]
    assert isinstance(masks, Segmentation)
    assert np.flatnonzero(masks.array.any(axis=(1, 2))).tolist() == [7, 22]
    assert [each.label for each in masks.segments] == [f"region {n + 1}" for n in range(len(masks.segments))]
    volumes = {f.segment: f.value for f in findings if isinstance(f, Measurement)}
    for number, segment in enumerate(masks.segments, start=1):
        assert volumes[segment.label] == pytest.approx(np.count_nonzero(masks.mask(number)) * 8e-3)
    # Where every point of the grid gives the same mask, one stands for all.
    assert len(masks.segments) == 2
    [nothing] = run(EverythingSegmenter, case, model=folder, **dense | {"least_score": 1})
    assert isinstance(nothing, NotApplicable)


def test_an_embedding_says_whose_and_of_what_and_tells_images_apart(tmp_path: Path) -> None:
    folder = hub.encoder(tmp_path / "dino")
    array, affine = lopsided()
    heads = {"one": array, "inverse": array.max() - array, "nearly": np.where(array == 900, 880, array)}
    made: dict[str, Embedding] = {}
    for name, head in heads.items():
        [found] = run(ImageEmbedder, case_of(seen(head, affine, *AXIAL), "CT"), model=str(folder), slices=3)
        assert isinstance(found, Embedding)
        made[name] = found
    one = made["one"]
    assert (one.vector.shape, one.vector.dtype) == ((16,), np.float32)
    assert (one.model, one.version) == ("dino", model_revision(folder))
    assert one.of == "mean over 3 key slices, float32"
    assert cosine(one.vector, made["nearly"].vector) > cosine(one.vector, made["inverse"].vector)
    [again] = run(ImageEmbedder, case_of(seen(array, affine, *AXIAL), "CT"), model=str(folder), slices=3)
    assert isinstance(again, Embedding)
    assert np.array_equal(again.vector, one.vector)


def test_reduced_precision_is_close(tmp_path: Path, case: Case) -> None:
    folder = str(hub.classifier(tmp_path / "resnet"))
    full = probabilities(run(ImageClassifier, case, model=folder))
    half = probabilities(run(ImageClassifier, case, model=folder, precision="bfloat16"))
    assert half == pytest.approx(full, abs=0.02)


def test_models_are_shared_between_pipelines(tmp_path: Path) -> None:
    folder = str(hub.classifier(tmp_path / "resnet"))
    pair = [ImageClassifier(ImageClassifier.options_type(model=folder)) for _ in range(2)]
    for each in pair:
        each.load("cpu")
    assert pair[0]._model is pair[1]._model


def test_a_missing_wrong_or_changed_model_gives_one_clear_error(tmp_path: Path) -> None:
    def fault(model: Path | str, kind: type[HubPipeline] = ImageClassifier, **options: Any) -> str:
        values: Options = kind.options_type.model_validate({"model": str(model)} | options)
        assert isinstance(values, HubOptions)
        with pytest.raises(ModelUnavailable) as caught:
            kind(values).load("cpu")
        return str(caught.value)

    folder = hub.classifier(tmp_path / "resnet")
    assert "no such folder" in fault(tmp_path / "none")
    assert "lacks" in fault(folder, Detector) or "can't be loaded" in fault(folder, Detector)
    store = ModelStore(tmp_path / "store")
    store.add("resnet", folder, origin="made here")
    stored = store.folder("resnet")
    weights = stored / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert "model.safetensors was changed" in fault(stored)
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "pickles are refused" in fault(folder)
