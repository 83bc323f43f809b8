"""A header as clues read it: texts, numbers and words, whatever a modality wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dicom_node.understanding.belief import Clue

WORDED = {
    "SeriesDescription": 0.8,
    "ProtocolName": 0.65,
    "RequestedProcedureDescription": 0.5,
    "StudyDescription": 0.5,
}
"""Where people describe a series in words, and how far a word there is to be trusted."""


class Header:
    """Keywords with plain values (`headers.plain`)."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, keyword: str) -> str:
        """The value in capitals; several are joined by a backslash; empty where there is none."""
        return "\\".join(self.texts(keyword))

    def texts(self, keyword: str) -> list[str]:
        """All values, in capitals."""
        value = self._values.get(keyword)
        values = value if isinstance(value, list | tuple) else [value]
        return [str(one).strip().upper() for one in values if one is not None and str(one).strip()]

    def number(self, keyword: str) -> float | None:
        """The first value as a number, or None."""
        for one in self.texts(keyword):
            try:
                return float(one)
            except ValueError:
                return None
        return None

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly as many numbers as there must be, or None."""
        try:
            values = tuple(float(one) for one in self.texts(keyword))
        except ValueError:
            return None
        return values if len(values) == count else None

    def items(self, keyword: str) -> list[Mapping[str, Any]]:
        """The items of a sequence."""
        value = self._values.get(keyword)
        return (
            [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
        )

    def worded(self, vocabulary: Mapping[str, re.Pattern[str]], scale: float = 1.0) -> Iterator[Clue]:
        """A clue for each value whose word stands in a description."""
        for keyword, weight in WORDED.items():
            text = self.text(keyword)
            for value, pattern in vocabulary.items():
                if text and (found := pattern.search(text)):
                    yield Clue(value, weight * scale, f'{keyword} says "{found[0].strip()}"')


def words(*alternatives: str) -> re.Pattern[str]:
    """A pattern for whole words in capitals: letters on neither side, digits and signs allowed."""
    return re.compile(rf"(?<![A-ZÀ-Ý])(?:{'|'.join(alternatives)})(?![A-ZÀ-Ý])")
