"""Explanations as text for people: what a series is, whether it is complete, what each route made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dicom_node.counted import counted
from dicom_node.records import GeometryEvidence, SeriesFacts, Verdict
from dicom_node.route.explanation import Explanation, Weighed
from dicom_node.route.study import StudyExplanation
from dicom_node.understanding import Answer

HELD, FAILED = "✓", "✗"
GUESS = 0.05
"""What is less sure than this is not told."""
_NO_IMAGES = {"SR", "KO", "PR", "RTSTRUCT", "RTPLAN", "RWV", "REG", "FID", "DOC", "PLAN", "ECG"}
"""Modalities (PS3.3 C.7.3.1.1.1) of objects without pixels."""


def tell(
    facts: SeriesFacts,
    answers: Sequence[Answer],
    verdict: Verdict | None,
    explanations: Iterable[Explanation],
    studies: Iterable[StudyExplanation] = (),
    geometry: GeometryEvidence | None = None,
) -> str:
    """A series' explanation, several lines; it holds values of the header, so it is no log.

    Args:
        facts: of the series.
        answers: what was understood of it.
        verdict: on its completeness; None where it was read from a folder.
        explanations: of routes of one series.
        studies: of routes of several.
        geometry: what its slices show of its completeness, where there is no verdict.
    """
    lines = [_title(facts), *_answers(answers)]
    if verdict is not None:
        lines.append(f"  {_completeness(verdict)}")
    if geometry is not None:
        lines.append(f"  {'whole' if geometry.whole else 'no proof that it is whole'}: {geometry.reason}")
    for explanation in explanations:
        lines += _route(explanation)
    for study in studies:
        lines.append(f"  {HELD if study.stands == 'ready' else FAILED} route {study.route}: {study.reason}")
    return "\n".join(lines)


def _title(facts: SeriesFacts) -> str:
    header = facts.header
    named = " ".join(str(header[key]) for key in ("SeriesNumber", "SeriesDescription") if header.get(key))
    frames = f", {facts.frames} frames" if facts.frames != facts.images else ""
    kind = "object" if facts.modality in _NO_IMAGES else "image"
    count = counted(facts.images, kind)
    parts = [part for part in (facts.modality or "no modality", named) if part]
    return f"{' '.join(parts)} ({count}{frames})\n  series {facts.series_instance_uid}"


def _answers(answers: Sequence[Answer]) -> Iterator[str]:
    """What it is, the sure before the unsure; flags that don't hold and mere guesses aren't worth a line."""
    for answer in sorted(answers, key=lambda one: not one.likely):
        if answer.value is False or answer.confidence < GUESS:
            continue
        value = "yes" if answer.value is True else answer.value
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        sure = "" if answer.confidence == 1 else f"{answer.confidence:.0%} sure: "
        doubt = "" if answer.likely else " — too unsure for rules"
        yield f"  {answer.fact}: {shown} ({sure}{'; '.join(answer.because)}){doubt}"


def _completeness(verdict: Verdict) -> str:
    if not verdict.complete:
        until = f" (looked at again {verdict.look_again_at:%H:%M:%S %Z})" if verdict.look_again_at else ""
        return f"not complete: {verdict.reason}{until}"
    doubt = ", in doubt" if verdict.doubtful else ""
    return f"complete by {verdict.evidence}{doubt}: {verdict.reason}"


def _route(explanation: Explanation) -> Iterator[str]:
    mark, verb = (HELD, "runs") if explanation.matched else (FAILED, "does not run")
    why = "" if explanation.weighed else f": {explanation.reason}"
    yield f"  {mark} route {explanation.route} {verb}{why}"
    if explanation.weighed is not None:
        whole = explanation.weighed
        for part in whole.parts if whole.says == "all of" else (whole,):
            yield from _weighed(part, 2)


def _weighed(weighed: Weighed, depth: int) -> Iterator[str]:
    actual = (
        "" if weighed.parts else f" (found: {weighed.actual if weighed.actual is not None else 'nothing'})"
    )
    if weighed.says != "always":
        yield f"{'  ' * depth}{HELD if weighed.held else FAILED} {weighed.says}{actual}"
    for part in weighed.parts:
        yield from _weighed(part, depth + 1)
