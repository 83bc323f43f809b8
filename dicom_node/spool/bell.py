"""A named pipe by which receivers wake whoever reads their journals, in milliseconds and without polling."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from pathlib import Path

NAME = "bell"


class Bell:
    """Rings and is waited for; nobody there, or a bell that rings already, is no error."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        with suppress(FileExistsError):
            os.mkfifo(self._path, 0o640)
        self._writer = self._reader = -1

    def ring(self) -> None:
        """Wakes the listener, if there is one."""
        try:
            if self._writer < 0:
                self._writer = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            os.write(self._writer, b"!")
        except BlockingIOError:
            pass  # it rings already
        except OSError:  # nobody listens: ENXIO on opening, EPIPE on writing
            if self._writer >= 0:
                os.close(self._writer)
                self._writer = -1

    def wait(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds; True if it rang since the last call."""
        if self._reader < 0:
            self._reader = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        if not select.select([self._reader], [], [], timeout)[0]:
            return False
        with suppress(BlockingIOError):
            os.read(self._reader, 65_536)
        return True

    def close(self) -> None:
        """Lets go of the pipe."""
        for fd in (self._writer, self._reader):
            if fd >= 0:
                os.close(fd)
        self._writer = self._reader = -1
