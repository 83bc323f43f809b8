"""Loaded models, shared between pipelines of one process for as long as one of them holds them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast
from weakref import WeakValueDictionary

Model = TypeVar("Model")

_held: WeakValueDictionary[Hashable, object] = WeakValueDictionary()


def shared(key: Hashable, load: Callable[[], Model]) -> Model:
    """Returns the model of a key, loading it only where no pipeline of this process holds it.

    Args:
        key: all that tells one loaded model from another, such as (folder, device, precision).
        load: makes the model, an object that can be weakly referenced (a torch module can).
    """
    held = _held.get(key)
    if held is None:
        held = load()
        _held[key] = held
    return cast(Model, held)
