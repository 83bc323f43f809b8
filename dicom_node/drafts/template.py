"""The template: plain sentences straight from the findings, each with its support. It is always true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dicom_node.findings import Classification, Detection, Finding, Measurement
from dicom_node.terms import ABSENT, PRESENT


def template_sentences(findings: Sequence[Finding]) -> tuple[tuple[str, str], ...]:
    """Sentences for every measurement, judgement and detection, each with the finding that supports it."""
    return tuple((sentence, sentence.removesuffix(".")) for sentence in _sentences(findings))


def _sentences(findings: Sequence[Finding]) -> Iterable[str]:
    detected: dict[str, int] = {}
    for finding in findings:
        match finding:
            case Measurement():
                yield _measured(finding)
            case Classification():
                yield _judged(finding)
            case Detection():
                detected[finding.name.meaning] = detected.get(finding.name.meaning, 0) + 1
            case _:
                pass
    yield from (f"Number of {name}: {count}." for name, count in detected.items())


def _measured(finding: Measurement) -> str:
    name = (
        finding.name.meaning
        if finding.derivation is None
        else f"{finding.derivation.meaning} {_lower(finding)}"
    )
    where = f" of the {finding.segment}" if finding.segment else ""
    doubt = f" (doubtful: {finding.doubt})" if finding.doubt else ""
    return f"{name}{where}: {finding.value:.{finding.digits}f} {_unit(finding)}{doubt}.".replace(" .", ".")


def _judged(finding: Classification) -> str:
    where = f" in the {finding.segment}" if finding.segment else ""
    likely = "" if finding.probability is None else f" (probability {finding.probability:.2f})"
    if finding.value in (PRESENT, ABSENT):
        return f"{finding.name.meaning}{where}: {finding.value.meaning.lower()}{likely}."
    return f"{finding.name.meaning}{where}: {finding.value.meaning}{likely}."


def _lower(finding: Measurement) -> str:
    meaning = finding.name.meaning
    return meaning[:1].lower() + meaning[1:]


def _unit(finding: Measurement) -> str:
    return {"[hnsf'U]": "HU", "1": ""}.get(finding.unit.value, finding.unit.value)
