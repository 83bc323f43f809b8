"""Adapters of Hugging Face models on several cases at once: one pass, and of each what it gives alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_node.errors import NodeError
from dicom_node.infer.engine import Engine
from dicom_node.pipeline import (
    Case,
    Classification,
    Detection,
    Embedding,
    Finding,
    Heatmap,
    ModelFailed,
)
from pipelines.transformers_classify import ImageClassifier
from pipelines.transformers_detect import Detector
from pipelines.transformers_embed import ImageEmbedder
from pipelines.transformers_pictures import PicturePipeline
from pipelines.transformers_zero_shot import ZeroShot
from tests.adapters import hub
from tests.adapters.volumes import AXIAL, case_of, seen

TOLERANCE = 1e-5
"""Of probabilities, scores and heat, in float32; of vectors and boxes, relative to their size."""
SIZES = ((40, 36), (40, 36), (64, 48), (33, 90), (40, 36))
PROMPTS = {
    "nodule": {"present": ["a nodule", "the nodule is seen"], "absent": ["no nodule"]},
    "effusion": {"present": ["a left lung"], "absent": ["no lung", "a right lung"]},
}
ADAPTERS: dict[str, tuple[type[PicturePipeline], Callable[[Path], Path], dict[str, Any]]] = {
    "convolutional classifier": (ImageClassifier, hub.classifier, {"heatmap": True}),
    "transformer classifier": (
        ImageClassifier,
        hub.vision_transformer,
        {"heatmap": True, "kind": "multi-label"},
    ),
    "embedder": (ImageEmbedder, hub.encoder, {}),
    "zero-shot": (ZeroShot, hub.clip, {"prompts": PROMPTS}),
    "detector": (Detector, hub.detector, {"labels": {"nodule": {"threshold": 0.0}, "fracture": {}}}),
}


def pictures(number: int, slices: int = 2) -> Case:
    """A case of noise round a bright spot; sizes differ."""
    columns, rows = SIZES[number]
    draw = np.random.default_rng(number)
    array = draw.normal(100, 20, (columns, rows, slices)).astype(np.float32)
    array[5 + 4 * number : 12 + 4 * number, 8:16] += 300
    return case_of(seen(array, np.eye(4), *AXIAL), "DX")


def differences(one: Finding, other: Finding) -> list[float]:
    """How far two findings are apart, in each of their numbers."""
    assert type(one) is type(other)
    if isinstance(one, Heatmap) and isinstance(other, Heatmap):
        return [float(np.abs(one.array - other.array).max())]
    if isinstance(one, Embedding) and isinstance(other, Embedding):
        return [float(np.abs(one.vector - other.vector).max() / np.abs(one.vector).max())]
    if isinstance(one, Detection) and isinstance(other, Detection):
        assert one.name == other.name
        edges = zip((*one.lower, *one.upper), (*other.lower, *other.upper), strict=True)
        return [abs(one.score - other.score), *(abs(a - b) / 100 for a, b in edges)]
    assert isinstance(one, Classification)
    assert isinstance(other, Classification)
    assert (one.name, one.value) == (other.name, other.value)
    return [abs((one.probability or 0) - (other.probability or 0))]


@pytest.mark.parametrize("which", ADAPTERS)
def test_cases_at_once_give_what_each_gives_alone(tmp_path: Path, which: str) -> None:
    kind, made, options = ADAPTERS[which]
    given = {"model": str(made(tmp_path / "model")), "slices": 2, "at_once": 10}
    adapter = kind(kind.options_type.model_validate(given | options))
    assert adapter.at_once == 10
    engine = Engine({"it": adapter}, "cpu")
    engine.warm("it")
    cases = [pictures(number) for number in range(len(SIZES))]
    passes: list[int] = []
    hook = adapter._model.register_forward_hook(lambda *_: passes.append(1))
    together = list(adapter.run_many(cases))  # the passes come before any heat map
    assert len(passes) == 1
    hook.remove()
    del together
    answers = engine.run_many("it", cases)
    apart = 0.0
    for answer, case in zip(answers, cases, strict=True):
        assert not isinstance(answer, NodeError)
        alone = engine.run("it", case)
        assert len(answer) == len(alone) > 0
        apart = max(apart, *(d for pair in zip(answer, alone, strict=True) for d in differences(*pair)))
    assert apart <= TOLERANCE
    first, second = answers[:2]
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert max(d for pair in zip(first, second, strict=False) for d in differences(*pair)) > TOLERANCE, (
        "two cases are told apart"
    )


def test_pictures_that_stay_of_different_sizes_go_in_passes_of_one_size(tmp_path: Path) -> None:
    folder = str(hub.classifier(tmp_path / "resnet"))
    adapter = ImageClassifier(ImageClassifier.options_type.model_validate({"model": folder, "at_once": 5}))
    engine = Engine({"it": adapter}, "cpu")
    engine.warm("it")
    adapter._processor.do_resize = False
    cases = [pictures(number) for number in range(len(SIZES))]
    passes: list[int] = []
    hook = adapter._model.register_forward_hook(lambda *_: passes.append(1))
    answers = engine.run_many("it", cases)
    assert len(passes) == 3
    hook.remove()
    for answer, case in zip(answers, cases, strict=True):
        assert isinstance(answer, list)
        pairs = zip(answer, engine.run("it", case), strict=True)
        assert max(d for pair in pairs for d in differences(*pair)) <= TOLERANCE


def test_a_picture_that_the_model_can_not_take_fails_alone(tmp_path: Path) -> None:
    folder = str(hub.vision_transformer(tmp_path / "vit"))
    adapter = ImageClassifier(ImageClassifier.options_type.model_validate({"model": folder, "at_once": 3}))
    engine = Engine({"it": adapter}, "cpu")
    engine.warm("it")
    adapter._processor.do_resize = False  # a transformer takes pictures of one size alone
    fit = case_of(seen(np.ones((32, 32, 1), np.float32), np.eye(4), *AXIAL), "DX")
    answers = engine.run_many("it", [fit, pictures(2), fit])
    assert [type(answer) for answer in answers] == [list, ModelFailed, list]


def test_how_many_go_at_once_shapes_no_result_and_is_not_told(tmp_path: Path) -> None:
    folder = str(hub.encoder(tmp_path / "dino"))
    one, eight = (
        ImageEmbedder(ImageEmbedder.options_type.model_validate({"model": folder, "at_once": number}))
        for number in (1, 8)
    )
    assert one.algorithm == eight.algorithm
    with pytest.raises(ValueError, match="at_once"):
        ImageEmbedder.options_type.model_validate({"model": folder, "at_once": 0})
