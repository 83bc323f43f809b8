"""Arrays over a line between two processes: whole, the receiver's own, and never changed under it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_node.node.line import Line
from dicom_node.node.shared import KEPT_BYTES


def keep_until_told(connection: Connection[object, object]) -> None:
    """The other end: answers what it holds; keeps what comes, or lets all go, or (None) the last."""
    line, kept = Line(connection), []
    while True:
        try:
            keep, array = line.receive()  # type: ignore[misc]  # the tests send pairs
        except EOFError:
            return
        if keep is None:
            kept.pop()
        elif not keep:
            kept.clear()
        elif array is not None:
            kept.append(array)
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


def given(line: Line, keep: bool | None, array: NDArray[np.int16] | None) -> list[NDArray[np.int16]]:
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


def made(line: Line, number: int) -> NDArray[np.int16]:
    array = line.empty((2, 64, 64), np.int16)
    array[...] = number
    return array


def test_arrays_made_for_the_line_come_whole_beside_others(line: Line, made_memory: list[str]) -> None:
    first, second, other = made(line, 1), made(line, 2), np.full(5, 3, np.int16)
    line.send((True, first[1:]))
    line.receive()
    for number, array in ((2, second), (3, other), (1, first)):
        line.send((True, array))
        back = line.receive()
        assert isinstance(back, list)
        assert np.array_equal(back[-1], array)
        assert int(back[-1].min()) == number
        assert (back[0] == 1).all()


def test_an_array_that_lies_where_another_was_made_is_itself(line: Line) -> None:
    """A large array that is dropped frees its addresses, and the system gives them to the next one."""
    shape = (100, 512, 512)
    dropped = line.empty(shape, np.int16)
    beside = line.empty(shape, np.int16)  # the memory grows, and is mapped anew
    del dropped
    elsewhere = np.full((90, 512, 512), 3, np.int16)
    (back,) = given(line, True, elsewhere)
    assert int(back.min()) == int(back.max()) == 3
    assert beside.shape == shape


def test_an_array_that_either_end_keeps_never_changes(line: Line, made_memory: list[str]) -> None:
    mine = [made(line, 0)]
    given(line, True, mine[0])
    mine.append(made(line, 1))  # while both keep the first one
    given(line, True, mine.pop())
    mine.append(made(line, 2))  # while the other end keeps the second one alone
    assert [int(one.max()) for one in given(line, True, None)] == [0, 1]
    given(line, False, None)
    given(line, True, mine[1])
    given(line, False, None)
    mine.append(made(line, 3))  # while this end keeps the third one alone
    assert [(int(one.min()), int(one.max())) for one in mine] == [(0, 0), (2, 2), (3, 3)]


def test_of_several_that_are_kept_none_changes_though_the_last_one_is_let_go(line: Line) -> None:
    """As a worker holds the images of jobs that share a pass, and lets go of any of them first."""
    for number in range(3):
        given(line, True, made(line, number))
    for let_go, number in ((1, 7), (2, 8)):
        for _ in range(let_go):
            given(line, None, None)
        held = given(line, True, made(line, number))
    assert [(int(one.min()), int(one.max())) for one in held] == [(0, 0), (8, 8)]


def test_of_several_that_are_made_none_changes_though_the_other_end_lets_each_go(line: Line) -> None:
    """As an aide holds the images of jobs that share a pass."""
    mine = []
    for number in range(4):
        mine.append(made(line, number))
        given(line, True, mine[-1])
        given(line, False, None)
        if number == 2:
            mine.pop()
    assert [(int(one.min()), int(one.max())) for one in mine] == [(0, 0), (1, 1), (3, 3)]


def test_memory_is_made_into_again_once_both_ends_let_go(line: Line, made_memory: list[str]) -> None:
    for number in range(4):
        array = made(line, number)
        assert (given(line, True, array)[0] == number).all()
        del array
        given(line, False, None)
    assert len(made_memory) == 1


def test_an_array_that_is_not_sent_after_all_is_no_loss(line: Line, made_memory: list[str]) -> None:
    for number in range(4):
        made(line, number)
    assert (given(line, True, made(line, 5))[0] == 5).all()
    assert len(made_memory) == 1


def test_large_memory_is_not_kept(line: Line, made_memory: list[str]) -> None:
    large = np.ones(KEPT_BYTES // 2 + 1, np.int16)
    for _ in range(2):
        assert given(line, True, large)[0].sum() == len(large)
        given(line, False, None)
    assert len(made_memory) == 2
