"""Arrays over a line between two processes: whole, the receiver's own, and never changed under it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_node.node.line import KEPT_BYTES, Line


def keep_until_told(connection: Connection[object, object]) -> None:
    """The other end: answers what it holds; keeps it where it is told to."""
    line, kept = Line(connection), []
    while True:
        try:
            keep, array = line.receive()  # type: ignore[misc]  # the tests send pairs
        except EOFError:
            return
        if keep:
            kept.append(array)
        else:
            kept.clear()
            array = None
        line.send([one.copy() for one in kept])


@pytest.fixture
def line() -> Iterator[Line]:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(target=keep_until_told, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    made = Line(ours)
    yield made
    made.close()
    process.join()


@pytest.fixture
def made_memory(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time that this process asks the system for memory to share."""
    asked: list[str] = []
    create = os.memfd_create

    def counted(name: str, *flags: int) -> int:
        asked.append(name)
        return create(name, *flags)

    monkeypatch.setattr(os, "memfd_create", counted)
    return asked


def given(line: Line, keep: bool, array: NDArray[np.int16] | None) -> list[NDArray[np.int16]]:
    line.send((keep, array))
    return line.receive()  # type: ignore[return-value]  # what the other end sends


@pytest.mark.parametrize("shape", [(0, 4, 4), (1,), (3, 5, 7), (40, 256, 256)])
def test_arrays_come_whole_and_may_be_written_to(line: Line, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    (back,) = given(line, True, array)
    assert np.array_equal(back, array)
    back[...] = 0
    assert np.array_equal(given(line, True, array)[0], array)


def test_what_is_kept_never_changes(line: Line, made_memory: list[str]) -> None:
    """As a pipeline would that keeps an image: another patient's must not come in its place."""
    for number in range(4):
        held = given(line, True, np.full((64, 64), number, np.int16))
        assert [int(one.min()) for one in held] == [int(one.max()) for one in held] == list(range(number + 1))
    assert len(made_memory) == 4


def test_memory_that_was_let_go_is_written_again(line: Line, made_memory: list[str]) -> None:
    for number in range(4):
        (held,) = given(line, True, np.full((64, 64 + number), number, np.int16))
        assert int(held.min()) == int(held.max()) == number
        given(line, False, None)
    assert len(made_memory) == 1


def test_large_memory_is_not_kept(line: Line, made_memory: list[str]) -> None:
    large = np.ones(KEPT_BYTES // 2 + 1, np.int16)
    for _ in range(2):
        assert given(line, True, large)[0].sum() == len(large)
        given(line, False, None)
    assert len(made_memory) == 2
