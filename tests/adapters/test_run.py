"""A vision-language model by `dicom-node run`: from files and conf.yaml to the report in the study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.drafts import template_sentences
from dicom_node.phantom import write_series
from dicom_node.pipeline import Case, Input
from pipelines.transformers_draft import DraftOptions, VisionDrafter
from tests.adapters import hub
from tests.adapters.test_transformers_text import HERE, Halves
from tests.adapters.volumes import AXIAL, case_of, lopsided, seen

QUESTION = "Nodule of 8 mm in the left lung known. No fever."
PROMPT = "{modality} {body_part}. Question: {history} Earlier: {prior} Measured: {findings}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A series whose order asks a question."""
    order = Dataset()
    order.ReasonForTheRequestedProcedure = QUESTION
    array, affine = lopsided()
    volume = seen(array, affine, *AXIAL)
    attributes = {"RequestAttributesSequence": [order], "BodyPartExamined": "CHEST"}
    write_series(volume.array, volume.grid, tmp_path / "ct", "CT", attributes)
    return tmp_path / "ct"


def run(tmp_path: Path, use: str, options: dict[str, Any]) -> Dataset:
    """The structured report of a run."""
    conf = tmp_path / "conf.yaml"
    described = {"node": {"data": "var"}, "pipelines": {"it": {"use": use, "options": options}}}
    conf.write_text(json.dumps(described))
    arguments = ["run", "it", str(tmp_path / "ct"), "--output", str(tmp_path / "out"), "--config", str(conf)]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    [report] = (tmp_path / "out").rglob("sr_*.dcm")
    return dcmread(report)


def texts(item: Dataset, concept: str) -> list[str]:
    """The texts of a concept anywhere below an item."""
    found = []
    for child in item.get("ContentSequence", []):
        name = child.get("ConceptNameCodeSequence") or [Dataset()]
        if name[0].get("CodeMeaning") == concept and "TextValue" in child:
            found.append(str(child.TextValue))
        found += texts(child, concept)
    return found


def test_a_vision_language_models_draft_reaches_the_report(tmp_path: Path, folder: Path) -> None:
    """A model of random weights babbles: the template stands, each sentence with its support."""
    model = str(hub.vision_language_model(tmp_path / "llava"))
    options = {"of": HERE, "model": model, "max_new_tokens": 4, "slices": 4, "prompt": PROMPT}
    report = run(tmp_path, "pipelines.transformers_draft:VisionDrafter", options)
    measured = template_sentences(list(Halves().run(case_of(seen(*lopsided(), *AXIAL), "CT"))))
    drafted = texts(report, "Impression")
    assert len(drafted) == len(measured) == 2
    for told, (sentence, _) in zip(drafted, measured, strict=True):
        assert told == f"DRAFT, not verified: {sentence}"
    assert any(text.startswith("Support: ") for text in texts(report, "Comment"))
    assert f"draft.prompt={PROMPT}" in texts(report, "Algorithm Parameters")


def test_the_prompt_holds_the_order_and_the_priors(tmp_path: Path) -> None:
    model = str(hub.vision_language_model(tmp_path / "llava"))
    made = VisionDrafter(DraftOptions(model=model, of=HERE, prompt=PROMPT))
    made.roles = ("image", "prior")
    order = {"ReasonForTheRequestedProcedure": QUESTION}
    now = {"Modality": "CT", "BodyPartExamined": "CHEST", "RequestAttributesSequence": [order]}
    before = {"Modality": "CT", "StudyDate": "20230405", "StudyDescription": "CT chest"}
    volume = seen(*lopsided(), *AXIAL)
    case = Case({"image": Input(volume, now), "prior": Input(volume, before)})
    prompt = made._prompt([], case)
    assert prompt == f"CT CHEST. Question: {QUESTION} Earlier: 20230405 CT chest Measured: "
