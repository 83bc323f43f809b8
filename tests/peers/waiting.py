"""A test that waits beside a running peer until it is ended from outside; tests/test_peers.py runs it."""

import os
import sys
import time
from pathlib import Path

from tests.peers.process import running

PEER = "import os, time; print(os.getpid(), flush=True); time.sleep(120)"


def test_waits() -> None:
    with running([sys.executable, "-c", PEER], log=Path(os.environ["PEER_LOG"])):
        time.sleep(120)
