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
    name = finding.name.meaning
    if finding.derivation is not None:
        name = f"{finding.derivation.meaning} {_in_sentence(name)}"
    where = f" of the {_in_sentence(finding.segment)}" if finding.segment else ""
    doubt = f" (doubtful: {finding.doubt})" if finding.doubt else ""
    return f"{name}{where}: {finding.value:.{finding.digits}f} {_unit(finding)}{doubt}.".replace(" .", ".")


def _judged(finding: Classification) -> str:
    where = f" in the {_in_sentence(finding.segment)}" if finding.segment else ""
    likely = "" if finding.probability is None else f" (probability {finding.probability:.2f})"
    if finding.value in (PRESENT, ABSENT):
        return f"{finding.name.meaning}{where}: {finding.value.meaning.lower()}{likely}."
    return f"{finding.name.meaning}{where}: {finding.value.meaning}{likely}."


def _in_sentence(name: str) -> str:
    """A name as it stands within a sentence: in small letters, but for words all in capitals."""
    return " ".join(word if word.isupper() else word.lower() for word in name.split())


def _unit(finding: Measurement) -> str:
    return {"[hnsf'U]": "HU", "1": ""}.get(finding.unit.value, finding.unit.value)
