"""What results tell of a pipeline's options: what shapes a result, and nothing of this machine's folders."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from dicom_node.findings import Algorithm

_WHOLE = re.compile(r"~?/\S*[^\s/]/?")
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<path>~?/(?:(?!(?P=quote)).)+)(?P=quote)""")
_BARE = re.compile(r"(?<![\w/.:~])~?(?:/[\w.+@%=-]+){2,}/?")
NAMED = "model"
"""An option of this name is told as a name, though it may be a folder."""


def parameters_of(options: BaseModel, untold: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Options by dotted name and as text, in the order of their names.

    What is off, empty or None by default and was left so is left out; a path is told by its last part.

    Args:
        options: a pipeline's.
        untold: names, without dots, of those that shape no result, or that are told elsewhere.
    """
    return tuple(
        (name, _text(name, value))
        for name, value in sorted(_flat(options), key=itemgetter(0))
        if name.partition(".")[0] not in untold
    )


def without_folders(text: str) -> str:
    """A text in which each absolute path has only its last part left."""
    if _WHOLE.fullmatch(text):
        return PurePath(text).name
    quoted = _QUOTED.sub(lambda found: found["quote"] + PurePath(found["path"]).name + found["quote"], text)
    return _BARE.sub(lambda found: PurePath(found[0]).name, quoted)


def without_machine(algorithm: Algorithm) -> Algorithm:
    """An algorithm without this machine's folders, also where a pipeline wrote its parameters itself."""
    parameters = tuple((name, without_folders(value)) for name, value in algorithm.parameters)
    source = without_folders(algorithm.source) if algorithm.source is not None else None
    return replace(algorithm, name=without_folders(algorithm.name), parameters=parameters, source=source)


def _flat(options: BaseModel) -> Iterator[tuple[str, Any]]:
    """Yields every option with its dotted name, those of options within options too."""
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if _is_off(value) and value == field.get_default(call_default_factory=True):
            continue
        yield from _below(name, value)


def _below(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        inside: Iterator[tuple[str, Any]] = _flat(value)
    elif isinstance(value, Mapping):
        inside = ((str(key), each) for key, each in value.items())
    else:
        yield name, value
        return
    for key, each in inside:
        yield from _below(f"{name}.{key}", each)


def _is_off(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, Collection) and not value)


def _text(name: str, value: Any) -> str:
    if isinstance(value, PurePath) or (name.rpartition(".")[2] == NAMED and isinstance(value, str)):
        return PurePath(value).name or str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_text("", each) for each in value)
    return without_folders(str(value))
