"""The bench of a full ledger, in small: it is filled as indexing would, and all is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bench.full import fill
from bench.ledger import EACH, index, questions
from dicom_node.ledger import Ledger
from dicom_node.ledger.pieces import recount
from dicom_node.ledger.tables import PieceRow, SeriesRow


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    one = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    one.migrate()
    yield one
    one.close()


def pieces(ledger: Ledger) -> list[tuple[str, str, int]]:
    columns = PieceRow.series_instance_uid, PieceRow.association_id, PieceRow.images
    with ledger.database.read() as conn:
        return sorted((row[0], row[1], row[2]) for row in conn.execute(select(*columns)))


def test_a_full_ledger_is_as_if_it_had_been_indexed(ledger: Ledger) -> None:
    fill(ledger, 3, 5)
    assert index(ledger, 2) > 0
    assert ledger.views.counts()["series"] == {"complete": 5}
    found = pieces(ledger)
    assert sorted(images for _series, _association, images in found) == [5, 5, 5, EACH, EACH]
    with ledger.database.write() as conn:
        recount(conn, list(conn.execute(select(SeriesRow.series_instance_uid)).scalars()))
    assert pieces(ledger) == found


def test_every_filled_series_was_proven(ledger: Ledger) -> None:
    fill(ledger, 3, 5)
    for row in ledger.views.recent_series():
        held = ledger.holdings.held(row["series_instance_uid"])
        assert held is not None
        assert held.committed
        assert held.performed


def test_every_question_has_an_answer(ledger: Ledger) -> None:
    fill(ledger, 3, 5)
    index(ledger, 1, released=False)
    for ask in questions(ledger).values():
        ask()
