"""YAML as plain values with the line of each: duplicate keys and broken syntax are faults, not surprises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from dicom_node.config.faults import Fault, FaultyConfigError, KeyPath


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file's content.

    Attributes:
        content: dicts, lists and scalars (YAML 1.2: `yes` and `off` are text).
        lines: the line, from 1, of each key and each list item.
        faults: what is wrong with the YAML itself, though it could be read.
    """

    content: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def line(self, path: KeyPath) -> int | None:
        """The line of a path, or of the nearest key above it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def place(self, faults: Iterable[Fault]) -> list[Fault]:
        """Gives faults their lines."""
        return [fault if fault.line else replace(fault, line=self.line(fault.path)) for fault in faults]


def read_document(path: Path) -> Document:
    """Reads a YAML file. Raises FaultyConfigError where it can't be read or isn't YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FaultyConfigError([Fault((), f"can't be read: {error.strerror}")], path) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FaultyConfigError([Fault((), "is not UTF-8 here", "save it as UTF-8", line)], path) from error
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
        walker = _Walker(yaml)
        content = walker.value(root, (), ()) if root is not None else {}
    except MarkedYAMLError as error:
        raise FaultyConfigError([_syntax_fault(error)], path) from error
    except YAMLError as error:
        raise FaultyConfigError([Fault((), f"is not YAML: {error}")], path) from error
    return Document(content, walker.lines, tuple(walker.faults))


def placed(path: Path, faults: Iterable[Fault]) -> FaultyConfigError:
    """Faults of a file that could be read, with their lines, as one error."""
    return FaultyConfigError(read_document(path).place(faults), path)


def _syntax_fault(error: MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    said = ", ".join(text for text in (error.context, error.problem) if text)
    return Fault(
        (),
        f"is not YAML: {said}",
        "check indentation, colons and quotes here",
        mark.line + 1 if mark else None,
    )


class _Walker:
    """Turns composed nodes into values, and notes lines and duplicate keys on the way."""

    def __init__(self, yaml: YAML) -> None:
        self._yaml = yaml
        self.lines: dict[KeyPath, int] = {}
        self.faults: list[Fault] = []

    def value(self, node: Node, path: KeyPath, above: tuple[Node, ...]) -> Any:
        """The value of a composed node that stands at `path`, within the nodes `above` it."""
        if node in above:
            self.faults.append(Fault(path, "an alias refers to what it stands in", "write the value out"))
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path, (*above, node))
        if isinstance(node, SequenceNode):
            for index, item in enumerate(node.value):
                self.lines[(*path, index)] = item.start_mark.line + 1
            return [self.value(item, (*path, index), (*above, node)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: KeyPath, above: tuple[Node, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            here = (*path, key)
            if key in values:
                first = f"it stands in line {self.lines[here]} already"
                self.faults.append(Fault(here, first, "keep one of them", line))
                continue
            self.lines[here] = line
            values[key] = self.value(value_node, here, above)
        return values

    def _scalar(self, node: Node) -> Any:
        return self._yaml.constructor.construct_object(node, deep=True)
