"""A process that is told to end again and again, whatever it is doing, ends."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import signal, sys, threading
from dicom_node.signals import end_on
stop = threading.Event()
end_on(stop, signal.SIGTERM)
print("ready", flush=True)
while not stop.is_set():
    stop.wait(0.0001)
    stop._cond.acquire()
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    stop._cond.release()
    stop.wait()
"""


def test_a_signal_that_comes_while_the_events_lock_is_held_still_ends_the_process() -> None:
    assert subprocess.check_output([sys.executable, "-c", PROGRAM], timeout=60) == b"ready\n"
