"""A ledger of every released version is brought to this one's schema with all that it holds, and works on.

`schemas/` holds each released schema with a few rows, as the databases' own dumps. Of a new release: dump its
schema there, and note its migrations' digests below.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from dicom_node.ledger import Ledger
from dicom_node.ledger.tables import Base
from dicom_node.records import JobState, Verdict
from tests.ledger.arrivals import arrive, assoc, at, closed, image

SCHEMAS = Path(__file__).parent / "schemas"
VERSIONS = Path(str(files("dicom_node.ledger"))) / "migrations" / "versions"
RELEASED = {
    "0001_the_first_schema.py": "38137bde5a145f26796032f374a69ca985a117946fb330142cb48ba7c930dbb4",
}
"""SHA-256 of the migrations that sites have run: what they did can't be changed any more, only added to."""


@pytest.fixture(params=sorted({path.name.split(".")[0] for path in SCHEMAS.iterdir()}))
def released(request: pytest.FixtureRequest, url: str) -> Iterator[Ledger]:
    """A ledger that a released version left."""
    kind = "sqlite" if url.startswith("sqlite") else "postgresql"
    dump = (SCHEMAS / f"{request.param}.{kind}.sql").read_text()
    if kind == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
            conn.executescript(dump)
    else:
        import psycopg

        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
            server.execute(dump.encode())
    ledger = Ledger(url)
    yield ledger
    ledger.close()


def test_its_schema_becomes_that_of_the_models(released: Ledger) -> None:
    released.migrate()
    with released.database.engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), Base.metadata) == []


def test_nothing_that_it_held_is_lost(released: Ledger) -> None:
    released.migrate()
    views = released.views
    assert views.counts() == {
        "series": {"arriving": 1, "complete": 1},
        "jobs": {"done": 1},
        "deliveries": {"owed": 1},
        "associations": {"open": 1},
        "conflicts": {"kept": 1},
    }
    held = released.holdings.held("1.2.3")
    assert held is not None
    assert [(one.association_id, one.images, one.last_image_at) for one in held.associations] == [
        ("a1", 2, at(2)),
        ("a2", 1, at(6)),
    ]
    assert held.committed
    assert [count.instances for count in held.counts] == [3]
    arriving = released.holdings.held("1.2.4")
    assert arriving is not None
    assert arriving.performed
    assert arriving.pauses == (3.0,)
    assert len(views.history("series", "1.2.3")) == 2
    assert len(views.conflicts()) == len(views.refusals()) == 1
    assert released.arrivals.offset("20260301T075900000000-7.000001.jsonl") == 4711
    assert released.work.waiting(at(3600)) == ["1.2"]


def test_its_work_goes_on(released: Ledger) -> None:
    released.migrate()
    assert [one.path for one in released.outbox.begin("pacs", at(60))] == ["results/j1/seg.dcm"]
    assert closed(released, assoc("a3", started=20, ended=25), "20260301T075900000000-7.000001.jsonl") == {
        "1.2.4"
    }
    verdict = Verdict(True, "geometry", "released, and whole")
    assert released.work.complete("1.2.4", 1, verdict, [], at(30)) == []
    arrive(released, [image(4, received=40, association="a3")])
    late = released.holdings.held("1.2.3")
    assert late is not None
    assert late.revision == 2
    assert released.work.counts() == {JobState.DONE: 1}
    released.retention.forget_history(at(0) + timedelta(days=1))


def test_released_migrations_are_as_they_were() -> None:
    found = {name: sha256((VERSIONS / name).read_bytes()).hexdigest() for name in RELEASED}
    assert found == RELEASED


def test_migrations_follow_one_another_in_one_line() -> None:
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    script = ScriptDirectory.from_config(config)
    assert len(script.get_heads()) == 1
    released = {name.split("_")[0] for name in RELEASED}
    assert released == {path.name.split(".")[0] for path in SCHEMAS.iterdir()}
    assert released <= {one.revision for one in script.walk_revisions()}
