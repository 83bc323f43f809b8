"""What pydantic says of a wrong value, in the words of whoever edits conf.yaml."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dicom_node.config.faults import Fault, KeyPath, one_of, shown

EXPANDED = "faults"
"""Type of a validator's error that carries faults of its own in its context."""
_SECRET = ("database", "url")
_WANTED = {
    "bool": "true or false",
    "dict": "a mapping of keys and values, indented below",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping of keys and values, indented below",
    "string": "a text",
    "tuple": "a list",
}


def faults_of(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Every fault of a validation error, paths from `model` on."""
    return [fault for details in error.errors() for fault in _faults(details, model)]


def _faults(details: ErrorDetails, model: type[BaseModel]) -> Iterator[Fault]:
    path: KeyPath = tuple(details["loc"])
    context: Mapping[str, Any] = details.get("ctx", {})
    kind = details["type"]
    if kind == EXPANDED:
        yield from (fault.below(path) for fault in context[EXPANDED])
    elif kind == "extra_forbidden":
        yield Fault(path, "there is no such key", one_of(_keys(model, path[:-1]), str(path[-1])))
    elif kind == "missing":
        yield Fault(path[:-1], f'the key "{path[-1]}" is missing', "add it")
    elif kind == "value_error" and isinstance(details["input"], Mapping):
        yield Fault(path, details["msg"].removeprefix("Value error, "))
    else:
        yield Fault(path, f"found {_shown(path, details['input'])}", _right(kind, context, details))


def _right(kind: str, context: Mapping[str, Any], details: ErrorDetails) -> str:
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return "allowed: " + allowed.replace("False", "false").replace("True", "true")
    if kind.removesuffix("_type").removesuffix("_parsing") in _WANTED:
        return f"must be {_WANTED[kind.removesuffix('_type').removesuffix('_parsing')]}"
    limits = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
    if kind in limits:
        bound, words = limits[kind]
        return f"must be {words} {context[bound]}"
    message = details["msg"]
    return (
        message.removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("String should ")
    )


def _shown(path: KeyPath, value: object) -> str:
    return "a value that can't be used" if path and str(path[-1]) in _SECRET else shown(value)


def _keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that a section knows, by the path to it."""
    kind: Any = model
    for step in path:
        inner = kind.model_fields[str(step)].annotation if _is_model(kind) else _inside(kind)
        kind = _unwrapped(inner)
    return sorted(kind.model_fields) if _is_model(kind) else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _inside(kind: Any) -> Any:
    """The type of a mapping's values or a list's items."""
    args = [arg for arg in get_args(kind) if arg is not Ellipsis]
    return args[-1] if args else None


def _unwrapped(kind: Any) -> Any:
    """A type without its `| None`."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(arg for arg in get_args(kind) if arg is not type(None))
    return kind
