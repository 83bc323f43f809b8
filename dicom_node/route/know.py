"""A series' facts with what was understood of it, and with what the site has taught."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dicom_node.config.models import LessonConfig
from dicom_node.records import SeriesFacts
from dicom_node.route.weigh import weigh
from dicom_node.understanding import Answer, facts_of, understand


def know(
    facts: SeriesFacts, fields: Sequence[Mapping[str, Any]], lessons: Iterable[LessonConfig] = ()
) -> tuple[SeriesFacts, tuple[Answer, ...]]:
    """Works out the facts that rules may ask for beyond the header.

    Args:
        facts: with the header; what stands in `derived` already is kept, save where an answer replaces it.
        fields: `headers.slice_fields` of every image.
        lessons: the site's, which stand above what was worked out; of several on one fact, the last.

    Returns:
        The same series with `derived`, and all answers with their evidence.
    """
    answers = understand(facts.header, fields)
    known = replace(facts, derived={**facts.derived, **facts_of(answers)})
    taught: dict[str, Answer] = {}
    for index, lesson in enumerate(lessons):
        if weigh(lesson.when, known).held:
            because = (f"conf.yaml says so: understanding[{index}]",)
            taught |= {fact: Answer(fact, value, 1.0, because) for fact, value in lesson.means.items()}
    answers = (*(answer for answer in answers if answer.fact not in taught), *taught.values())
    return replace(facts, derived={**facts.derived, **facts_of(answers)}), answers
