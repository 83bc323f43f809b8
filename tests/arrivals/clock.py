"""A wall clock that can be set, for a node's processes alone."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
COMPILER = shutil.which("cc")


class FakeClock:
    """What a process that is started with its environment takes for the wall clock.

    Debian's libfaketime would do, but with its version 0.9.10 no Python process can sleep whose monotonic
    clock is to be left alone.
    """

    def __init__(self, folder: Path) -> None:
        """Compiles what changes it. Needs COMPILER."""
        assert COMPILER is not None
        self._file, self._library = folder / "clock", folder / "clock.so"
        self._seconds = 0
        self._file.write_bytes(struct.pack("=q", 0))
        command = [COMPILER, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self._library, SOURCE]
        subprocess.run(command, check=True, timeout=120)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"LD_PRELOAD": str(self._library), "CLOCK_FILE": str(self._file)}

    def put(self, seconds: int) -> None:
        """Puts it forward, or back."""
        self._seconds += seconds
        with self._file.open("r+b") as file:  # the same file: the processes have mapped it
            file.write(struct.pack("=q", self._seconds))
