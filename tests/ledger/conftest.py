"""A ledger on each database: SQLite in a folder, PostgreSQL started for the session."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dicom_node.ledger import Ledger
from tests.peers import free_port, missing


def _postgres_folder() -> Path | None:
    """Debian keeps the server's programs outside PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of the tests' own, without a database's name."""
    pytest.importorskip("psycopg")
    programs = _postgres_folder()
    if programs is None:
        missing("postgresql")
    assert programs is not None
    home = Path(tempfile.mkdtemp(prefix="ledger-postgres-"))
    user = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(home, "postgres")
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    port = free_port()
    data = home / "data"

    def run(*command: object) -> None:
        quiet = subprocess.DEVNULL  # the server inherits them, and would hold a pipe open
        subprocess.run(
            [*user, *map(str, command)], check=True, cwd=home, timeout=60, stdout=quiet, stderr=quiet
        )

    run(programs / "initdb", "-D", data, "-U", "ledger", "-A", "trust")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"
    run(programs / "pg_ctl", "-D", data, "-o", options, "-l", home / "log", "-w", "start")
    try:
        yield f"postgresql+psycopg://ledger@127.0.0.1:{port}"
    finally:
        run(programs / "pg_ctl", "-D", data, "-m", "fast", "-w", "stop")
        shutil.rmtree(home)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    import psycopg

    server = request.getfixturevalue("postgres")
    name = f"t{uuid4().hex}"
    with psycopg.connect(f"{server.replace('+psycopg', '')}/postgres", autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A ledger with its schema."""
    one = Ledger(url)
    one.migrate()
    yield one
    one.close()
