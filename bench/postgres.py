"""Debian's PostgreSQL server for as long as a bench needs it; it syncs to the disk, as a site's does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server() -> Iterator[Callable[[str], str] | None]:
    """Makes databases by name, and gives their URLs; None where the server is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    try:
        import psycopg
    except ImportError:
        found = []
    if not found:
        print("PostgreSQL left out: its server, or psycopg, is not installed", file=sys.stderr)
        yield None
        return
    programs, home = found[-1].parent, Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(home, "postgres")
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: object) -> None:
        quiet = subprocess.DEVNULL
        subprocess.run([*user, *map(str, command)], check=True, cwd=home, stdout=quiet, stderr=quiet)

    def database(name: str) -> str:
        with psycopg.connect(f"postgresql://ledger@127.0.0.1:{port}/postgres", autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://ledger@127.0.0.1:{port}/{name}"

    run(programs / "initdb", "-D", home / "data", "-U", "ledger", "-A", "trust")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home}"
    run(programs / "pg_ctl", "-D", home / "data", "-o", options, "-l", home / "log", "-w", "start")
    try:
        yield database
    finally:
        run(programs / "pg_ctl", "-D", home / "data", "-m", "fast", "-w", "stop")
        shutil.rmtree(home)
