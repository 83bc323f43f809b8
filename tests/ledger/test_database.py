"""Opening and migrating: the schema is that of the models, and wrong URLs are said so."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from dicom_node.errors import Permanent, Transient
from dicom_node.ledger import Ledger
from dicom_node.ledger.tables import Base
from tests.peers import wait_until


def test_the_migrations_make_the_models_schema(ledger: Ledger) -> None:
    with ledger.database.engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), Base.metadata) == []


def test_migrating_twice_changes_nothing(ledger: Ledger) -> None:
    ledger.migrate()
    assert ledger.views.idle()


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "oracle+nothing://x/y"])
def test_a_url_that_cannot_be_used_is_permanent(url: str) -> None:
    with pytest.raises(Permanent):
        Ledger(url)


def test_a_database_that_does_not_answer_is_transient(tmp_path) -> None:
    with pytest.raises(Transient):
        Ledger(f"sqlite:///{tmp_path}/no/such/folder/ledger.sqlite").migrate()


def test_an_sqlite_ledger_is_its_owners_and_groups_alone(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    for _older in range(2):
        ledger = Ledger(f"sqlite:///{file}")
        ledger.migrate()
        ledger.arrivals.apply([], {}, datetime.now(UTC), None)
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
        assert set(modes) == {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"}
        assert not any(mode & stat.S_IRWXO for mode in modes.values()), modes
        ledger.close()
        file.chmod(0o644)  # as an earlier version made it


def test_who_only_looks_makes_and_migrates_nothing(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    looking = Ledger(f"sqlite:///{file}", looks_only=True)
    assert "no ledger yet" in (looking.database.lacks() or "")
    with pytest.raises(Transient):
        looking.views.counts()
    assert not list(tmp_path.iterdir())

    writing = Ledger(f"sqlite:///{file}")
    writing.migrate()
    assert looking.database.lacks() is None
    assert looking.views.idle()
    with pytest.raises(Transient, match="readonly"), looking.database.write() as conn:
        conn.execute(text("DELETE FROM series"))

    for version, words in (("0001", "older"), ("9999", "newer")):
        with writing.database.write() as conn:
            conn.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        assert words in (looking.database.lacks() or "")
    looking.close()
    writing.close()


def test_who_waits_for_another_program_is_known_to_wait(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.migrate()
    assert ledger.database.waited() == 0

    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = threading.Thread(target=ledger.database.probe)
        writer.start()
        wait_until(lambda: ledger.database.waited() > 0.1, seconds=60, what="the writer waits")
        assert ledger.views.idle(), "readers don't wait"
        other.execute("COMMIT")
    writer.join(60)
    assert ledger.database.waited() == 0
    ledger.close()


def test_a_ledger_that_is_opened_twice_in_a_process_keeps_its_locks(tmp_path: Path) -> None:
    """The kernel drops all of a process's locks on a file when it closes any of its descriptors."""
    file = tmp_path / "ledger.sqlite"
    readers = "510, 2**30 + 2"  # SQLite's bytes of those who read
    take = (
        f"import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, {readers})"
    )

    def another_process_could_take_it() -> bool:
        command = [sys.executable, "-c", take, str(file)]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0

    first, second = Ledger(f"sqlite:///{file}"), Ledger(f"sqlite:///{file}")
    first.migrate()
    assert first.views.idle()
    assert not another_process_could_take_it()
    second.migrate()
    assert not another_process_could_take_it()
    second.close()
    first.close()
    assert another_process_could_take_it()
