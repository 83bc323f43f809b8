"""What keeps a process from its work, such as a database that is away: in its log and for the status page.

Told of at once, then ever more rarely, and once when it is over, however many of its parts it stops.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog

from dicom_node.errors import Transient

T = TypeVar("T")
log = structlog.get_logger()
FIRST_GAP, LAST_GAP = 1.0, 30.0
"""Seconds until a trouble that lasts is told of again: doubled each time."""
LONGEST_PAUSE = 5.0
"""Seconds after which work is tried again at the latest."""
FORGOTTEN_SECONDS = 90.0
"""What a part was kept from so long ago is no trouble now: it does its next work, or waits for its hour."""
SOME_TROUBLE = "it can't note what keeps it from its work; is the disk full?"


class Trouble:
    """The trouble of one process, in a file as long as it lasts. Safe for threads."""

    def __init__(self, file: Path) -> None:
        """What an earlier life left is over."""
        self._file = file
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}
        self._forget()
        file.unlink(missing_ok=True)

    def _forget(self) -> None:
        self._told: set[str] = set()
        self._began = self._again = self._try_at = 0.0
        self._gap = FIRST_GAP

    def guard(self, part: str, work: Callable[[], T]) -> T | None:
        """Does a part's work, and gives what it gives; None where it raised, which is noted."""
        try:
            done = work()
        except Transient as fault:
            self.note(part, str(fault))
        except OSError as fault:
            self.note(part, fault.strerror or type(fault).__name__)
        except Exception as fault:
            if self._note(part, f"the node itself failed: {type(fault).__name__}"):
                log.exception("part_failed", part=part)
        else:
            self.note(part, None)
            return done
        return None

    def note(self, part: str, reason: str | None) -> None:
        """What keeps a part of the process from its work, without patient data; None: nothing."""
        if self._note(part, reason):
            log.warning("work_waits", part=part, error=reason)

    def _note(self, part: str, reason: str | None) -> bool:
        """Keeps the reason; True where it is to be told of now."""
        with self._lock:
            now = time.monotonic()
            before = len(self._noted)
            self._noted = {
                one: at for one, at in self._noted.items() if one != part and now - at < FORGOTTEN_SECONDS
            }
            if reason is None:
                if before and not self._noted:
                    self._end(now)
                return False
            if not before:
                self._began = now
            self._noted[part] = now
            self._try_at = now + self.pause
            if reason in self._told and now < self._again:
                return False
            self._told.add(reason)
            self._again, self._gap = now + self._gap, min(2 * self._gap, LAST_GAP)
            self._write(reason, now)
            return True

    def _write(self, reason: str, now: float) -> None:
        """On a full disk the file is there, and empty."""
        since = datetime.fromtimestamp(time.time() - (now - self._began), UTC)
        with suppress(OSError):
            self._file.write_text(
                json.dumps({"since": since.isoformat(timespec="seconds"), "reason": reason})
            )

    def _end(self, now: float) -> None:
        log.info("work_goes_on", after_s=round(now - self._began, 1))
        self._forget()
        self._file.unlink(missing_ok=True)

    @property
    def pause(self) -> float:
        """Seconds until it is worth trying again, where there is trouble."""
        return min(self._gap, LONGEST_PAUSE)

    @property
    def pauses(self) -> bool:
        """It is too early to try again."""
        return time.monotonic() < self._try_at


def trouble_in(file: Path) -> str | None:
    """What keeps a process from its work, and since when, in words; None: nothing."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        return None
    try:
        noted = json.loads(text)
        return f"{noted['reason']} (since {noted['since']})"
    except ValueError:
        return SOME_TROUBLE
