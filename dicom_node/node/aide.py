"""An aide: a process beside a worker that reads the images of a job and later writes what was found.

It holds one job, or a few small ones that share a pass of their model.

Reading headers and writing objects is Python's own work. In a thread of the worker it would hold the
interpreter's lock, and a network of many small steps then takes up to four times as long. In a process of
its own it slows no network, and a decoder that crashes, hangs or devours memory costs this job alone,
not the warm models.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from pathlib import Path
from typing import Any, cast

import structlog
from numpy.typing import NDArray

from dicom_node import log as logging_setup
from dicom_node.config import Config
from dicom_node.encode import get_ahead
from dicom_node.errors import NodeError, OutOfResources, Permanent
from dicom_node.findings import Finding
from dicom_node.node.finishing import finish, without_result
from dicom_node.node.line import Line
from dicom_node.node.orders import Order
from dicom_node.node.outcomes import Outcome, keep
from dicom_node.node.preparing import Prepared, prepare
from dicom_node.node.warming import warm_up
from dicom_node.pipeline import Input
from dicom_node.records import Job, JobState
from dicom_node.spool import FULL, Spool, is_full

log = structlog.get_logger()
FIRST_TO_GO = "500"
"""Where memory runs out, the kernel ends an aide before the process that holds the models."""


class Aide:
    """What the process does; each method is one call of the worker."""

    def __init__(self, config: Config, spool: Spool, empty: Callable[..., NDArray[Any]]) -> None:
        self._config = config
        self._empty = empty
        self._spool = spool
        self._held: dict[str, Prepared] = {}
        self._more = False

    def prepare(self, order: Order, beside: Collection[str] = (), more: bool = False) -> Mapping[str, Input]:
        """Reads an order's images and holds them; what the pipeline sees, by role. Raises as `prepare`.

        Args:
            order: what is to be run.
            beside: ids of the jobs that stay held; all others are let go.
            more: whether another order follows at once, so that no time is left.
        """
        self._more = more
        self._held = {key: one for key, one in self._held.items() if key in beside}
        self._held[order.job_id] = prepare(order, self._config, self._spool, self._empty)
        return self._held[order.job_id].inputs

    def use_the_time(self, wanted: Callable[[], bool]) -> None:
        """While a model runs, makes what only finishing needs; what fails here fails there again.

        While nobody waits, collects garbage, which is not done in the midst of a job.

        Args:
            wanted: whether the worker has called meanwhile.
        """
        if not self._held:
            gc.collect()
        for one in self._held.values():
            if self._more or wanted():
                return
            try:
                get_ahead(one.context)
            except Exception:  # it must not end the process: no call waits for an answer
                log.exception("not_made_ahead")

    def finish(self, job: Job, findings: Sequence[Finding]) -> Outcome:
        """Encodes what was found on the held images, and makes it durable. Raises GateRefused."""
        return keep(self._spool, job, finish(self._held.pop(job.id), findings))

    def explain(self, job: Job, order: Order, reason: str, state: JobState) -> Outcome:
        """Makes the objects that say why there is no result, and makes them durable."""
        self._held.pop(job.id, None)
        return keep(self._spool, job, without_result(reason, order, self._config, state))


def serve(connection: Connection[object, object], config: Config, spool_root: Path) -> None:
    """The process's main function: answers calls until the line is closed."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the worker decides; it hangs up at its end
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_worker, daemon=True).start()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    logging_setup.configure()
    structlog.contextvars.bind_contextvars(role="aide")
    try:
        warm_up(config)
    except (NodeError, OSError) as fault:  # a study will tell, if it meets the same
        log.warning("aide_not_warm", error=str(fault))
    line = Line(connection)
    aide = Aide(config, Spool(spool_root), line.empty)
    gc.disable()
    with suppress(EOFError, ConnectionError):  # the worker hangs up at its end
        _answer_calls(line, aide)


def _answer_calls(line: Line, aide: Aide) -> None:
    """Answers calls. Raises EOFError or ConnectionError at the end of the line."""
    calls: dict[str, Callable[..., object]] = {
        method.__name__: method for method in (aide.prepare, aide.finish, aide.explain)
    }
    line.send("warm")
    while True:
        name, arguments = cast(tuple[str, Sequence[object]], line.receive())
        line.send(_answer(calls[name], arguments))
        del arguments
        aide.use_the_time(lambda: line.waits(0))


def _answer(call: Callable[..., object], arguments: Sequence[object]) -> tuple[bool, object]:
    """Whether a call went well, and what it gave or the error of this family that it raised."""
    try:
        return True, call(*arguments)
    except NodeError as fault:
        return False, fault
    except Exception as fault:
        if isinstance(fault, OSError) and is_full(fault):
            return False, OutOfResources(FULL)
        log.exception("aide_failed", call=call.__name__)
        return False, Permanent(f"the node itself failed: {type(fault).__name__}")


def _end_with_worker() -> None:
    """Ends this process at once where the worker is gone, however that ended: its next life starts anew."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
