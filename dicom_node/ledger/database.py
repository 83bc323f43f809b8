"""Opening the database: SQLite as an embedded ledger, PostgreSQL for many machines; migrations by alembic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, Engine, create_engine, event
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

    def __init__(self, url: str) -> None:
        """Connects lazily. Raises Permanent where the URL or its driver can't be used."""
        try:
            self.engine = _sqlite(url) if url.startswith("sqlite") else create_engine(url, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ImportError) as fault:
            raise Permanent(f"the ledger's database URL can't be used: {fault}") from fault

    def migrate(self) -> None:
        """Brings the schema to this version's. Raises Transient where the database does not answer."""
        try:
            with self.engine.connect() as conn, as_file(files("dicom_node.ledger") / "migrations") as folder:
                config = AlembicConfig()
                config.set_main_option("script_location", str(folder))
                config.attributes["connection"] = conn
                command.upgrade(config, "head")
        except OperationalError as fault:
            raise Transient(f"the ledger's database does not answer: {fault.orig}") from fault

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; commits at the end, rolls back on an error."""
        with self._guard(), self.engine.begin() as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; on SQLite it never waits for a writer."""
        with self._guard(), self.engine.connect() as raw:
            yield raw.execution_options(reads_only=True)

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


def _sqlite(url: str) -> Engine:
    """An SQLite engine: WAL, synced at each commit, writers queue by BEGIN IMMEDIATE.

    Python's driver would begin transactions by itself and late, so that two writers can deadlock;
    the driver's own transactions are switched off and begun here (SQLAlchemy's documented recipe).
    """
    path = make_url(url).database
    if not path or path == ":memory:":
        raise Permanent("an SQLite ledger needs a file: several processes share it")
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
