"""What is wrong with a configuration: one `Fault` a mistake, and the one error that carries them all."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dicom_node.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys of mappings and positions in lists, from the top."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a configuration.

    Attributes:
        path: where it stands.
        found: what is there and why it can't be, in words.
        right: what would be right.
        line: from 1; None where the value stands in no file.
    """

    path: KeyPath
    found: str
    right: str = ""
    line: int | None = None

    @property
    def key(self) -> str:
        """The path as people write it: `routes[0].run`."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".")

    def __str__(self) -> str:
        """`routes[0].run: there is no pipeline "brian"; did you mean "brain"?`."""
        text = f"{self.key}: {self.found}" if self.path else self.found
        return f"{text}; {self.right}" if self.right else text

    def below(self, path: KeyPath) -> Fault:
        """The same fault, seen from higher up."""
        return replace(self, path=(*path, *self.path))


class FaultyConfigError(ConfigError):
    """Every fault of a configuration at once, one a line, in the order of the file."""

    def __init__(self, faults: Iterable[Fault], file: Path | None = None) -> None:
        """Sorts the faults by line; `file` is named before each of them."""
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line or 0))
        self.file = file
        super().__init__("\n".join(self._line(fault) for fault in self.faults))

    def _line(self, fault: Fault) -> str:
        place = [str(part) for part in (self.file, fault.line) if part is not None]
        return ":".join([*place, f" {fault}"]) if place else str(fault)


def one_of(names: Iterable[str], wrong: str = "") -> str:
    """What would be right among names: the nearest to a misspelled one, or all of them."""
    known = sorted(names)
    lowered = {name.lower(): name for name in reversed(known)}
    near = difflib.get_close_matches(wrong.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{lowered[near[0]]}"?'
    return "allowed: " + ", ".join(known) if known else "none is configured"


def shown(value: object) -> str:
    """A value as it stands in the file, or nearly."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
