"""The wall clock, watched: what waits for a moment must not wait for hours, or not at all, when it is set."""

from __future__ import annotations

import time
from datetime import UTC, datetime

SET_SECONDS = 1.0
"""What the wall clock goes apart from the one that counts seconds, from which on it was set."""


class Clock:
    """Tells when the wall clock was set, by the clock that only goes forward.

    Attributes:
        since: the moment, by the wall clock as it is now, from which on its times mean something.
    """

    def __init__(self) -> None:
        self.follow()

    def follow(self) -> None:
        """Takes the wall clock as it is."""
        self._offset = _offset()
        self.since = self.now()

    def now(self) -> datetime:
        """The wall clock as it was followed, aware: what is judged by it can't be set between two looks."""
        return datetime.fromtimestamp(time.monotonic() + self._offset, UTC)

    def was_set(self) -> float:
        """By how many seconds it was put forward (negative: back) since it was followed; 0: it was not.

        Less than SET_SECONDS is followed at once, and means nothing.
        """
        seconds = _offset() - self._offset
        if abs(seconds) > SET_SECONDS:
            return seconds
        self._offset += seconds
        return 0.0


def _offset() -> float:
    return time.time() - time.monotonic()
