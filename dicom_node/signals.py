"""Signals that ask a process to end in order."""

from __future__ import annotations

import _thread
import signal
import threading


def end_on(stop: threading.Event, *numbers: signal.Signals) -> None:
    """Sets `stop` when one of these signals comes, however often.

    A handler runs in the main thread, perhaps while that holds the event's own lock, which is not
    reentrant: so a thread of its own sets the event, one that needs no lock to start.
    """
    for number in numbers:
        signal.signal(number, lambda *_: _thread.start_new_thread(stop.set, ()))
