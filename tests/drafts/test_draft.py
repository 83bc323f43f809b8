"""What becomes of a draft: sentences dropped, or the template instead; and the template is always true."""

from __future__ import annotations

import pytest

from dicom_node.drafts import checked_text, facts_of, judge, template_sentences
from tests.drafts.patients import make_patient
from tests.drafts.test_check import LUNGS

DRAFT = "The left lung measures 2450 ml. There is a large mass in the liver.\n- No cyst is seen."


def test_unsupported_sentences_are_dropped_and_the_others_say_what_supports_them() -> None:
    text = checked_text(DRAFT, LUNGS.findings, modality="CT")
    assert text.sentences == (
        ("The left lung measures 2450 ml.", "Volume of left lung = 2450.3 ml"),
        ("No cyst is seen.", "Cyst: Absent"),
    )
    assert text.kind == "impression"


def test_the_template_stands_where_the_site_wants_all_or_nothing() -> None:
    text = checked_text(DRAFT, LUNGS.findings, modality="CT", policy="template")
    assert text.sentences == template_sentences(LUNGS.findings)
    whole = checked_text("The left lung measures 2450 ml.", LUNGS.findings, policy="template")
    assert [sentence for sentence, _ in whole.sentences] == ["The left lung measures 2450 ml."]


def test_the_template_stands_where_nothing_is_left() -> None:
    assert checked_text("All is well.", LUNGS.findings).sentences == template_sentences(LUNGS.findings)


@pytest.mark.parametrize("seed", range(5))
def test_the_template_passes_its_own_check(seed: int) -> None:
    findings = make_patient(seed).findings
    facts = facts_of(findings)
    for sentence, support in template_sentences(findings):
        assert judge(sentence, facts).reason == "", sentence
        assert support
