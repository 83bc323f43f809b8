"""What a series has to say on a subject: its facts, its keywords through sequences, its private elements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dicom_node.config.when import PrivateTag, Subject
from dicom_node.records import SeriesFacts

_PRIVATE_KEY = re.compile(r"^\((?P<group>[0-9A-F]{4}),xx(?P<element>[0-9A-F]{2}),(?P<creator>.*)\)$")


def look_up(subject: Subject, facts: SeriesFacts) -> tuple[Any, ...]:
    """Every value of a subject, in the series' order; empty where there is none.

    A keyword path goes into every item of each sequence on its way. Private elements stand in the header
    as "(gggg,xxee,CREATOR)", with capital hexadecimal digits.
    """
    if subject.private is not None:
        return tuple(_private(subject.private, facts.header))
    if subject.keywords:
        return tuple(_along(subject.keywords, facts.header))
    known = {"images": facts.images, "frames": facts.frames, "calling_ae_title": facts.calling_ae_titles}
    return tuple(_each(known.get(subject.name, facts.derived.get(subject.name))))


def _along(keywords: tuple[str, ...], header: Mapping[str, Any]) -> Iterator[Any]:
    for value in _each(header.get(keywords[0])):
        if len(keywords) == 1:
            yield value
        elif isinstance(value, Mapping):
            yield from _along(keywords[1:], value)


def _private(tag: PrivateTag, header: Mapping[str, Any]) -> Iterator[Any]:
    for key, value in header.items():
        stands = _PRIVATE_KEY.match(key)
        if (
            stands
            and int(stands["group"], 16) == tag.group
            and int(stands["element"], 16) == tag.element
            and (tag.creator is None or tag.creator == stands["creator"])
        ):
            yield from _each(value)


def _each(value: Any) -> Iterator[Any]:
    """The single values of a value; an empty text is none."""
    values = value if isinstance(value, list | tuple) else (value,)
    yield from (one for one in values if one is not None and one != "")
