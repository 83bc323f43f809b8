"""Outcomes of storage commitments told on associations of our own (PS3.4 J.3.3), for a day if need be.

What is owed lies in the spool: a receiver that dies leaves it to the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from pydicom import Dataset
from pynetdicom.presentation import build_context, build_role

from dicom_node.association import Association, associate
from dicom_node.association.commitment import COMMITMENT, COMMITMENT_INSTANCE
from dicom_node.association.operation import Operation
from dicom_node.config.models import Config
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.receive.commitment import Report
from dicom_node.receive.status import Status
from dicom_node.records import Refusal, StorageCommitment
from dicom_node.spool import Spool

log = structlog.get_logger()
_DELAYS = (2.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds after each attempt; the last one again and again."""
_OWED_FOR = timedelta(days=1)
_LOOK = 30.0
"""Seconds between looks for what other processes left."""
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class _Callee:
    """Where a sender listens."""

    ae_title: str
    host: str
    port: int
    timeout: float = _TIMEOUT


@dataclass(slots=True)
class _Debt:
    """What is to be told, and when it is tried next."""

    asked: StorageCommitment
    attempts: int = 0
    due: float = 0.0

    def failed(self, now: float) -> None:
        """It is tried again later."""
        self.due = now + _DELAYS[min(self.attempts, len(_DELAYS) - 1)]
        self.attempts += 1


class CallBacks:
    """The outcomes that one process has to tell. `run` in a thread of its own."""

    def __init__(self, config: Config, spool: Spool, owner: str, refuse: Callable[[Refusal], None]) -> None:
        self._ae_title, self._peers = config.node.ae_title, config.peers
        self._spool, self._owner, self._refuse = spool, owner, refuse
        self._debts: dict[str, _Debt] = {}
        self._changed = threading.Condition()

    def owe(self, names: Sequence[str]) -> None:
        """These are to be told from now on; names of the spool's `owed`."""
        with self._changed:
            for name in names:
                if (asked := self._spool.owed.read(name)) is not None:
                    self._debts[name] = _Debt(asked)
            self._changed.notify()

    def run(self, stopping: threading.Event) -> None:
        """Tells what is due, and what others left, until `stopping` is set and `wake` called."""
        adopted_at = -_LOOK
        while not stopping.is_set():
            if time.monotonic() - adopted_at >= _LOOK:
                self.owe(self._spool.owed.adopt(self._owner))
                adopted_at = time.monotonic()
            self._tell_what_is_due()
            with self._changed:
                if not stopping.is_set():
                    self._changed.wait(self._patience())

    def wake(self) -> None:
        """Has `run` look at `stopping`."""
        with self._changed:
            self._changed.notify()

    def _patience(self) -> float:
        soonest = min((debt.due for debt in self._debts.values()), default=float("inf"))
        return max(0.0, min(_LOOK, soonest - time.monotonic()))

    def _tell_what_is_due(self) -> None:
        """One association for each sender that is owed something now."""
        with self._changed:
            now = time.monotonic()
            due = {name: debt for name, debt in self._debts.items() if debt.due <= now}
        for ae_title in dict.fromkeys(debt.asked.calling_ae_title for debt in due.values()):
            self._tell(ae_title, {n: d for n, d in due.items() if d.asked.calling_ae_title == ae_title})

    def _tell(self, ae_title: str, debts: dict[str, _Debt]) -> None:
        callee, told = self._callee(ae_title), list[str]()
        if callee is None:
            return self._give_up(debts, f"peers: {{NAME: {{ae_title: {ae_title}, host: …, port: …}}}}")
        try:
            context, role = build_context(COMMITMENT), build_role(COMMITMENT, scp_role=True)
            with associate(callee, self._ae_title, [context], [role]) as assoc:
                for name, debt in debts.items():
                    _report(assoc, Report.of(debt.asked, self._spool))
                    told.append(name)
        except (PeerUnavailable, PeerRefused) as error:
            log.warning("commitment_not_told", calling=ae_title, error=str(error))
        self._settle(told)
        left = {name: debt for name, debt in debts.items() if name not in told}
        for debt in left.values():
            debt.failed(time.monotonic())
        self._give_up({n: d for n, d in left.items() if datetime.now(UTC) - d.asked.at > _OWED_FOR}, "")
        log.info("commitment_told", calling=ae_title, told=len(told), untold=len(left))
        return None

    def _callee(self, ae_title: str) -> _Callee | None:
        for peer in self._peers.values():
            if peer.ae_title == ae_title and peer.host is not None and peer.port is not None:
                return _Callee(ae_title, peer.host, peer.port)
        return None

    def _give_up(self, debts: dict[str, _Debt], hint: str) -> None:
        """The administrator is told instead of the sender."""
        for debt in debts.values():
            reason = "the outcome of its storage commitment can't be told: "
            reason += "it did not take it for a day" if not hint else "it is not known where it listens"
            title = debt.asked.calling_ae_title
            self._refuse(Refusal(datetime.now(UTC), title, self._ae_title, "", reason, hint))
        self._settle(debts)

    def _settle(self, names: Iterable[str]) -> None:
        with self._changed:
            for name in names:
                self._debts.pop(name, None)
                self._spool.owed.settle(name)


def _report(assoc: Association, report: Report) -> None:
    """One N-EVENT-REPORT. Raises PeerUnavailable, also where it is not taken."""
    context = assoc.context(COMMITMENT)
    assert context is not None  # noqa: S101 - nothing else was proposed
    command = Dataset()
    command.CommandField = Operation.N_EVENT_REPORT
    command.AffectedSOPClassUID = COMMITMENT
    command.AffectedSOPInstanceUID = COMMITMENT_INSTANCE
    command.EventTypeID = report.event_type
    status = assoc.ask(context, command, report.data_set()).status
    if status != Status.SUCCESS:
        raise PeerUnavailable(f"{assoc.peer.ae_title} answered an N-EVENT-REPORT with {status:04X}")
