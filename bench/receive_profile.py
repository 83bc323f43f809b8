"""Where an image's time goes in a receiver: one association, storescu with Nagle's algorithm off.

    python -m bench.receive_profile [--quick] [--json]

Milliseconds an image in each kind of step, by cProfile in the connection's thread. Its own cost stands in
"Python": the true figure is about half of it. "waiting for the sender" is what storescu takes.
"""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import structlog

from bench.harness import OURS, Case, main
from bench.receive import send_with_storescu, slices
from bench.receivers import NO_NAGLE, TITLE, free_port
from dicom_node.config.models import Config
from dicom_node.receive import serve
from dicom_node.receive.association import Acceptor
from dicom_node.spool import Spool

STEPS = {
    "fsync of file and folder": ("posix.fsync",),
    "waiting for the sender, and copying from the socket": ("recv_into",),
    "writing to the file": ("posix.write",),
    "making, linking and unlinking names": ("posix.open", "posix.link", "posix.unlink", "posix.close"),
    "answering": ("sendall",),
    "digest": ("xxhash",),
}
PYTHON = "Python, and the profiler"


class _Port:
    """What bench.receive's senders need of a receiver."""

    def __init__(self, port: int) -> None:
        self.port = port


def cases(quick: bool) -> Iterator[Case]:
    """A case for each kind of step, all from one profile a round."""
    with tempfile.TemporaryDirectory(prefix="bench-profile-") as name:
        files = slices(Path(name) / "slices", 40 if quick else 500)
        rounds: dict[str, list[float]] = {}
        for number, step in enumerate((*STEPS, PYTHON)):
            measured = partial(_of, step, rounds, partial(_profiled, files, Path(name)), number == 0)
            yield Case(f"ms/image {step}", "ms", {OURS: measured}, "less")


def _of(
    step: str, rounds: dict[str, list[float]], profile: Callable[[], dict[str, float]], first: bool
) -> float:
    """The step's figure of the next round; the first step's case makes the rounds."""
    if first:
        for name, value in profile().items():
            rounds.setdefault(name, []).append(value)
        return rounds[step][-1]
    return rounds[step].pop(0)


def _profiled(files: list[Path], folder: Path) -> dict[str, float]:
    """Milliseconds an image by step."""
    profile, run = cProfile.Profile(), Acceptor.run

    def profiled(acceptor: Acceptor) -> None:
        profile.enable()
        try:
            run(acceptor)
        finally:
            profile.disable()

    with tempfile.TemporaryDirectory(dir=folder) as spool, mock.patch.object(Acceptor, "run", profiled):
        _receive(files, Path(spool))
    return _by_step(pstats.Stats(profile), len(files))


def _receive(files: list[Path], spool: Path) -> None:
    port, stop, ready = free_port(), threading.Event(), threading.Event()
    config = Config.model_validate({"node": {"ae_title": TITLE, "address": "127.0.0.1", "port": port}})
    receiver = threading.Thread(target=partial(serve, config, Spool(spool), ready=ready.set, stop=stop))
    receiver.start()
    ready.wait()
    try:
        send_with_storescu(files, 1, NO_NAGLE, _Port(port))
    finally:
        stop.set()
        receiver.join()


def _by_step(stats: pstats.Stats, images: int) -> dict[str, float]:
    found = dict.fromkeys((*STEPS, PYTHON), 0.0)
    for (_file, _line, function), (_calls, _own_calls, seconds, *_rest) in stats.stats.items():  # type: ignore[attr-defined]  # typeshed leaves it out
        step = next((name for name, parts in STEPS.items() if any(p in function for p in parts)), PYTHON)
        found[step] += 1000 * seconds / images
    return found


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    main(cases)
