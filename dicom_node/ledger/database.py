"""Opening the database: SQLite as an embedded ledger, PostgreSQL for many machines; migrations by alembic."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from dicom_node.errors import Permanent, Transient

BUSY_SECONDS = 30
"""How long a writer of SQLite waits for another's transaction."""
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-65536",
    "wal_autocheckpoint=8000",
)
"""Of every connection to SQLite. A log of 32 MB instead of 4: pages that image after image changes are
copied into the file less often, which a ledger of a million images feels (bench/ledger.py)."""


class Database:
    """Transactions on the ledger's database."""

    def __init__(self, url: str, *, looks_only: bool = False) -> None:
        """Connects lazily. Raises Permanent where the URL or its driver can't be used.

        Args:
            url: SQLAlchemy's.
            looks_only: of SQLite, opens a file that is there, and never makes or changes one.
        """
        try:
            self.file = _file_of(url)
            self.engine = (
                create_engine(url, pool_pre_ping=True)
                if self.file is None
                else _looking_at(url, self.file)
                if looks_only
                else _sqlite(url)
            )
        except (ArgumentError, NoSuchModuleError, ImportError) as fault:
            raise Permanent(f"the ledger's database URL can't be used: {fault}") from fault
        self._waits: dict[int, float] = {}

    def migrate(self) -> None:
        """Brings the schema to this version's. Raises Transient where the database does not answer.

        An SQLite file may be read by its owner and group alone: it holds names of patients.
        """
        try:
            if self.file is not None:
                _keep_private(self.file)
            with self.engine.connect() as conn, _migrations() as config:
                config.attributes["connection"] = conn
                command.upgrade(config, "head")
        except OperationalError as fault:
            raise Transient(f"the ledger's database does not answer: {fault.orig}") from fault

    def lacks(self) -> str | None:
        """What keeps this version from reading the database, in words; None: nothing. Changes nothing."""
        if self.file is not None and not self.file.exists():
            return f"there is no ledger yet ({self.file}): the node makes it when it first starts"
        with self.read() as conn, _migrations() as config:
            found = MigrationContext.configure(conn).get_current_revision()
            scripts = ScriptDirectory.from_config(config)
            if found == scripts.get_current_head():
                return None
            known = {one.revision for one in scripts.walk_revisions()}
        if found is None or found in known:
            return "the ledger is of an older version: the node brings it up to date when it next starts"
        return "the ledger is of a newer version than this program"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; commits at the end, rolls back on an error."""
        with self._guard(), ExitStack() as stack:
            with self._waiting():
                conn = stack.enter_context(self.engine.begin())
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; on SQLite it never waits for a writer."""
        with self._guard(), ExitStack() as stack:
            with self._waiting():
                raw = stack.enter_context(self.engine.connect())
            yield raw.execution_options(reads_only=True)

    def probe(self) -> None:
        """Begins a transaction that could write. Raises Transient where the database lets nobody write."""
        with self.write() as conn:
            conn.execute(select(1))

    def waited(self) -> float:
        """For how many seconds the transaction of this process that has waited longest waits to begin."""
        return max((time.monotonic() - since for since in list(self._waits.values())), default=0.0)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Notes since when this thread waits for its transaction to begin."""
        thread = threading.get_ident()
        self._waits[thread] = time.monotonic()
        try:
            yield
        finally:
            self._waits.pop(thread, None)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turns a database that is locked or away into Transient."""
        try:
            yield
        except OperationalError as fault:
            raise Transient(f"the ledger's database does not answer: {fault.orig}") from fault

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


def _file_of(url: str) -> Path | None:
    """An SQLite ledger's file; None: another database."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise Permanent("an SQLite ledger needs a file: several processes share it")
    return Path(parsed.database)


def _keep_private(file: Path) -> None:
    """Makes the file where there is none, and takes it and its log from others than its owner and group.

    SQLite makes its log and index beside it with the same mode. A file of another owner stays as it is. One
    that is there is not opened: to close it would end SQLite's locks of it in this process, and so ruin it.
    """
    with suppress(OSError):  # SQLite itself tells why it can't be opened
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640))
    for one in (file, *(file.with_name(file.name + ending) for ending in ("-wal", "-shm"))):
        with suppress(OSError):
            one.chmod(stat.S_IMODE(one.stat().st_mode) & ~stat.S_IRWXO)


@contextmanager
def _migrations() -> Iterator[AlembicConfig]:
    """Alembic's configuration, with the folder of the migrations."""
    with as_file(files("dicom_node.ledger") / "migrations") as folder:
        config = AlembicConfig()
        config.set_main_option("script_location", str(folder))
        yield config


def _looking_at(url: str, file: Path) -> Engine:
    """An SQLite engine that only reads what is there."""

    def connect() -> sqlite3.Connection:
        where = f"{file.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(where, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    return create_engine(url, creator=connect)


def _sqlite(url: str) -> Engine:
    """An SQLite engine: WAL, synced at each commit, writers queue by BEGIN IMMEDIATE.

    Python's driver would begin transactions by itself and late, so that two writers can deadlock;
    the driver's own transactions are switched off and begun here (SQLAlchemy's documented recipe).
    """
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        reads_only = conn.get_execution_options().get("reads_only", False)
        conn.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine
