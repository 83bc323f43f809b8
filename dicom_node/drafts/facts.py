"""Findings as facts: what was measured of which structure, on which side, in words that a draft may use."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dicom_node.findings import (
    Classification,
    Detection,
    Finding,
    Measurement,
    Segment,
    Segmentation,
)
from dicom_node.terms import ABSENT, LEFT, PRESENT, RIGHT, split_side

Phrase = tuple[str, ...]
SYNONYMS: dict[Phrase, tuple[Phrase, ...]] = {
    ("attenuation", "coefficient"): (("density",), ("attenuation",)),
    ("neoplasm",): (("tumor",), ("tumour",)),
}
"""Other words for what a code's meaning says."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a draft may state.

    Attributes:
        structure: names of the structure without its side; empty for the whole image.
        side: "left", "right" or "".
        measure: names of what was measured or judged; empty where a structure was only outlined.
        value: a number in the unit; None for a judgement.
        unit: UCUM code in lower case; "1" where there is none.
        digits: decimals worth showing.
        answer: "present", "absent", or the words of another judgement; empty for a number.
        source: the fact in words, for whoever asks what supports a sentence.
        derived: it is a mean, a standard deviation or the like, and has to be called so.
    """

    structure: frozenset[Phrase]
    side: str
    measure: frozenset[Phrase]
    value: float | None
    unit: str
    digits: int
    answer: str
    source: str
    derived: bool = False


def facts_of(findings: Sequence[Finding]) -> tuple[Fact, ...]:
    """The facts that findings hold. Probabilities count as numbers, detections as present and counted."""
    segments = {s.label: s for f in findings if isinstance(f, Segmentation) for s in f.segments}
    facts: list[Fact] = []
    for label, segment in segments.items():
        facts.append(_fact(segment, frozenset(), None, "1", 0, "", f"{label} was segmented"))
    for finding in findings:
        if isinstance(finding, Measurement):
            facts.append(_measured(finding, segments.get(finding.segment or "")))
        elif isinstance(finding, Classification):
            facts += _judged(finding, segments.get(finding.segment or ""))
    return (*facts, *_detected([f for f in findings if isinstance(f, Detection)]))


def _measured(finding: Measurement, segment: Segment | None) -> Fact:
    name = finding.name.meaning
    derivation = finding.derivation.meaning if finding.derivation else ""
    measure = names_of(f"{derivation} {name}") | (frozenset() if derivation else names_of(name))
    shown = f"{finding.value:.{finding.digits}f}"
    where = f" of {finding.segment}" if finding.segment else ""
    source = f"{derivation} {name}{where} = {shown} {finding.unit.value}".strip()
    unit = finding.unit.value.lower()
    fact = _fact(segment, measure, finding.value, unit, finding.digits, "", source)
    return replace(fact, derived=finding.derivation is not None)


def _judged(finding: Classification, segment: Segment | None) -> Iterable[Fact]:
    answers = {PRESENT.value: "present", ABSENT.value: "absent"}
    answer = answers.get(finding.value.value, finding.value.meaning.lower())
    measure, where = names_of(finding.name.meaning), f" in {finding.segment}" if finding.segment else ""
    source = f"{finding.name.meaning}{where}: {finding.value.meaning}"
    yield _fact(segment, measure, None, "1", 0, answer, source)
    if finding.probability is not None:
        source += f", probability {finding.probability:.2f}"
        named = measure | {("probability",)}
        yield _fact(segment, named, finding.probability, "1", 2, "", source)
        yield _fact(segment, named, 100 * finding.probability, "%", 0, "", source)


def _detected(detections: Sequence[Detection]) -> Iterable[Fact]:
    counts = Counter(detection.name for detection in detections)
    for name, count in counts.items():
        named = names_of(name.meaning)
        source = f"{name.meaning}: {count} detected"
        yield Fact(named, "", frozenset({("number",), ("count",)}), float(count), "count", 0, "", source)
    for detection in detections:
        for measurement in detection.measurements:
            fact = _measured(measurement, None)
            named = names_of(detection.name.meaning)
            yield replace(fact, structure=named)


def _fact(
    segment: Segment | None,
    measure: frozenset[Phrase],
    value: float | None,
    unit: str,
    digits: int,
    answer: str,
    source: str,
) -> Fact:
    if segment is None:
        return Fact(frozenset(), "", measure, value, unit, digits, answer, source)
    bare, named_side = split_side(segment.label)
    side = {LEFT: "left", RIGHT: "right"}.get(segment.laterality or named_side or segment.type, "")
    structure = names_of(bare) | names_of(split_side(segment.type.meaning)[0])
    return Fact(structure, side, measure, value, unit, digits, answer, source)


def names_of(meaning: str) -> frozenset[Phrase]:
    """The ways to write a name: as it is, its synonyms, and each in singular and plural."""
    plain = tuple(re.findall(r"[a-z]+|(?<![\w-])-?\d+(?:\.\d+)?|\d+", meaning.lower()))
    if not plain:
        return frozenset()
    names = {plain, *SYNONYMS.get(plain, ())}
    for known, others in SYNONYMS.items():
        if plain[-len(known) :] == known:
            names |= {plain[: -len(known)] + other for other in others}
    return frozenset(names | {plural(name) for name in names} | {singular(name) for name in names})


def plural(name: Phrase) -> Phrase:
    """A name with its last word in the plural."""
    last = name[-1]
    if last.endswith("s") or not last.isalpha():
        return name
    irregular = {"mass": "masses", "diagnosis": "diagnoses"}
    return (*name[:-1], irregular.get(last, last[:-1] + "ies" if last.endswith("y") else last + "s"))


def singular(name: Phrase) -> Phrase:
    """A name with its last word in the singular, where that is plain."""
    last = name[-1]
    return (*name[:-1], last[:-1]) if last.endswith("s") and not last.endswith("ss") else name
