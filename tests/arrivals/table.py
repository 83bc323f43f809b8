"""The table of arrivals in docs/arrivals.md, and the small language of its third column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "arrivals.md"
DISTURBANCES = re.compile(
    r"\b(?:(?:restart|kill) (?:node|receiver|coordinator|worker)|set clock (?:back|forward))\b"
)
_RANGE = re.compile(r"(?:(?P<series>[a-z])/)?(?P<first>\d+)(?:-(?P<last>\d+))?$")
OPTIONS = ("as", "by", "on", "and")


@dataclass(frozen=True)
class Step:
    """One thing that a sender, or somebody else, does: `send 1-4 b as B by dcmsend and abort`."""

    verb: str
    words: tuple[str, ...]
    options: dict[str, str]

    @classmethod
    def of(cls, text: str) -> Step:
        verb, *rest = text.split()
        words: list[str] = []
        options: dict[str, str] = {}
        while rest:
            word = rest.pop(0)
            if word in OPTIONS:
                options[word] = rest.pop(0)
            else:
                words.append(word)
        return cls(verb, tuple(words), options)


@dataclass(frozen=True)
class Row:
    """One scenario with what is expected of it.

    Attributes:
        number: its place in the table, from 1; senders are called after it.
        steps: one after the other; those of one tuple at the same time.
        verdict, reason, runs: of each series in its order; one for all where there is one only.
    """

    number: int
    scenario: str
    images: str
    happens: str
    verdict: tuple[str, ...]
    reason: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def steps(self) -> list[tuple[Step, ...]]:
        return [tuple(map(Step.of, together.split(" & "))) for together in self.happens.split("; ")]

    @property
    def disturbance(self) -> str:
        """What happens to the node meanwhile, such as "kill node"; empty: nothing."""
        found = DISTURBANCES.search(self.happens)
        return found[0] if found else ""


def rows() -> list[Row]:
    """The scenarios of the page."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    return [
        Row(number, scenario, images, happens, *(tuple(cell.split(" / ")) for cell in expected))
        for number, (scenario, images, happens, *expected) in enumerate(cells, 1)
    ]


def images(words: Sequence[str], sizes: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """(series, slice from 1) of words such as `1-4`, `b/8-5`, `b` (all of it) and `a+b` (in turn)."""
    for word in words:
        place = _RANGE.match(word)
        if place is None:
            names = word.split("+")
            yield from ((name, number) for number in range(1, sizes[names[0]] + 1) for name in names)
            continue
        first, last = int(place["first"]), int(place["last"] or place["first"])
        step = 1 if last >= first else -1
        yield from ((place["series"] or "a", number) for number in range(first, last + step, step))
