"""Language models that word findings and fill forms: whatever they write, only what is supported stays."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from dicom_node.drafts import template_sentences
from dicom_node.infer.engine import Engine
from dicom_node.pipeline import (
    MILLILITRE,
    VOLUME,
    Case,
    Finding,
    Measurement,
    ModelUnavailable,
    NotApplicable,
    Options,
    Pipeline,
    Requirements,
    Segmentation,
    Text,
    segment_for,
)
from pipelines.transformers_draft import DraftOptions, TextDrafter, VisionDrafter
from pipelines.transformers_extract import ExtractOptions, FieldOptions, ReportExtractor, form_of, grounded
from tests.adapters import hub
from tests.adapters.volumes import AXIAL, case_of, lopsided, seen

HERE = f"{__name__}:Halves"


class HalvesOptions(Options):
    applies: bool = True


class Halves(Pipeline):
    """Measures the left and the right half of the volume."""

    name, version, title = "halves", "2", "Halves"
    options_type = HalvesOptions
    options: HalvesOptions
    requires = Requirements(modality=("CT",))

    def run(self, case: Case) -> Iterable[Finding]:
        if not self.options.applies:
            yield NotApplicable("nothing to halve")
            return
        array = np.ones(case.volume.grid.shape, np.uint8)
        array[..., : array.shape[2] // 3] = 2
        yield Segmentation(array, (segment_for("left lung"), segment_for("right lung")))
        for number, label in enumerate(("left lung", "right lung"), start=1):
            value = float(np.count_nonzero(array == number)) * case.volume.grid.voxel_ml
            yield Measurement(VOLUME, value, MILLILITRE, label)


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of(seen(*lopsided(), *AXIAL), "CT")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(hub.language_model(tmp_path_factory.mktemp("llama")))


def run(adapter: type[Pipeline], case: Case, **options: Any) -> list[Finding]:
    made = adapter(adapter.options_type.model_validate(options))
    return Engine({"it": made}, "cpu").run("it", case)


def test_a_model_that_babbles_leaves_the_template(case: Case, model: str) -> None:
    findings = run(TextDrafter, case, model=model, of=HERE, max_new_tokens=8)
    assert [type(f).__name__ for f in findings] == ["Segmentation", "Measurement", "Measurement", "Text"]
    assert isinstance(findings[-1], Text)
    assert findings[-1].sentences == template_sentences(findings)


def test_a_prompt_for_another_modality_never_reaches_the_model(case: Case, model: str) -> None:
    made = TextDrafter(DraftOptions(model=model, of=HERE, prompt="Report this chest X-ray: {findings}"))
    made.load("cpu")
    del made._model  # so that asking it would fail
    findings = list(made.run(case))
    assert isinstance(findings[-1], Text)
    assert findings[-1].sentences == template_sentences(findings)


def test_a_vision_language_model_sees_the_slices_and_states_no_more(tmp_path: Path, case: Case) -> None:
    folder = str(hub.vision_language_model(tmp_path / "llava"))
    options = DraftOptions(model=folder, of=HERE, max_new_tokens=4, slices=4)
    made = VisionDrafter(options)
    made.load("cpu")
    seen_by_model: list[Any] = []
    made._model.model.vision_tower.register_forward_pre_hook(
        lambda _module, pixels: seen_by_model.append(pixels[0])
    )
    findings = list(made.run(case))
    assert isinstance(findings[-1], Text)
    assert findings[-1].sentences == template_sentences(findings)
    assert seen_by_model[0].shape == (1, 3, 32, 32)


def test_what_does_not_apply_is_not_worded(case: Case, model: str) -> None:
    findings = run(TextDrafter, case, model=model, of=HERE, of_options={"applies": False})
    assert findings == [NotApplicable("nothing to halve")]
    [refusal] = run(TextDrafter, case_of(case.volume, "MR"), model=model, of=HERE)
    assert refusal == NotApplicable("Modality is MR, needed is CT")


def test_model_and_prompt_are_kept_with_the_result(model: str) -> None:
    made = TextDrafter(DraftOptions(model=model, of=HERE, prompt="Word this: {findings}"))
    parameters = dict(made.algorithm.parameters)
    assert made.algorithm.name == "halves"
    assert made.version.startswith("2+")
    assert parameters["draft.prompt"] == "Word this: {findings}"
    assert parameters["draft"].startswith("text_drafter: ")


@pytest.mark.parametrize("options", [{"of": "no.module:Thing"}, {"of": HERE, "prompt": "{patient}"}])
def test_a_wrong_option_is_a_fault_of_the_configuration(options: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, KeyError)):
        DraftOptions.model_validate({"model": "x"} | options)


TEXT = "Known nodule of 8 mm in the left lung. No fever. Smoker: 20 pack years; on the right side pain."
FIELDS = {
    "nodule_mm": FieldOptions(kind="number"),
    "side": FieldOptions(kind="choice", choices=("left", "right")),
    "symptom": FieldOptions(),
}


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ('Here: {"nodule_mm": 8, "side": "left", "symptom": "pain"} Done.', {"nodule_mm", "side", "symptom"}),
        ('{"nodule_mm": 9, "side": "left"}', {"side"}),
        ('{"nodule_mm": 8, "symptom": "fever"}', {"nodule_mm"}),
        ('{"symptom": "cough"}', set()),
        ('{"side": "both"}', set()),
        ('{"nodule_mm": "8 mm"}', set()),
        ('{"invented": 8}', set()),
        ('{"nodule_mm": 8', set()),
        ("I don't know", set()),
    ],
)
def test_a_filled_field_stands_only_if_schema_and_text_agree(answer: str, kept: set[str]) -> None:
    found = grounded(form_of(FIELDS), answer, TEXT)
    assert set(found) == kept
    assert all(quote in TEXT for _, quote in found.values())


def test_extraction_needs_text_and_drops_babble(case: Case, model: str) -> None:
    options: dict[str, Any] = {"model": model, "fields": {"symptom": {}}, "max_new_tokens": 8}
    [nothing] = run(ReportExtractor, case, **options)
    assert isinstance(nothing, NotApplicable)
    assert "there is no text" in nothing.reason
    [babble] = run(ReportExtractor, case_of(case.volume, "CT", ImageComments=TEXT), **options)
    assert babble == NotApplicable("the model filled no field with what the text says")
    with pytest.raises(ValidationError, match="a choice needs choices"):
        ExtractOptions.model_validate({"model": model, "fields": {"side": {"kind": "choice"}}})


def test_a_gguf_file_that_is_not_there_is_one_clear_error(model: str) -> None:
    made = TextDrafter(DraftOptions(model=model, of=HERE, gguf_file="none.gguf"))
    with pytest.raises(ModelUnavailable, match=re.escape("none.gguf")):
        made.check()
