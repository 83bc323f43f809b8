"""A draft to text that may leave: supported sentences kept, the others dropped, or the template instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import structlog

from dicom_node.drafts.check import judge
from dicom_node.drafts.facts import facts_of
from dicom_node.drafts.parse import sentences
from dicom_node.drafts.template import template_sentences
from dicom_node.findings import Finding, Text

log = structlog.get_logger()

Policy = Literal["drop", "template"]


def checked_text(
    draft: str,
    findings: Sequence[Finding],
    *,
    modality: str = "",
    policy: Policy = "drop",
    kind: Literal["findings", "impression", "note"] = "impression",
) -> Text:
    """Makes a Text whose every sentence is supported by the findings.

    Args:
        draft: what a model wrote.
        findings: all that the draft may state.
        modality: Modality (0008,0060) of the images that it is about.
        policy: what happens where a sentence is unsupported: it is dropped, or the template stands
            instead of the whole draft. Where no sentence is left, the template stands either way.
        kind: where the text belongs in a report.
    """
    facts = facts_of(findings)
    judged = [judge(sentence, facts, modality) for sentence in sentences(draft)]
    kept = tuple((each.sentence, each.support) for each in judged if each.support is not None)
    log.info("draft_checked", sentences=len(judged), supported=len(kept))
    if not kept or (policy == "template" and len(kept) < len(judged)):
        return Text(template_sentences(findings), kind)
    return Text(kept, kind)
