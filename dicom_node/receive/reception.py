"""What the associations of one receiver process share: configuration, spool, journal, limits."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime

import structlog

from dicom_node.config.models import Config
from dicom_node.errors import OutOfResources
from dicom_node.receive.admission import CONGESTION, LIMIT_EXCEEDED, Admission, NotAdmitted, Refusals
from dicom_node.receive.callback import CallBacks
from dicom_node.receive.negotiation import Negotiator
from dicom_node.records import ReceiverEvent, Refusal
from dicom_node.spool import FULL, Journal, Spool

log = structlog.get_logger()
_MEGABYTE = 1 << 20
LOW = "the disk is nearly full"


class Reception:
    """Shared by the threads of a process."""

    def __init__(self, config: Config, spool: Spool, journal: Journal) -> None:
        self.config = config.receive
        self.node = config.node
        self._data = config.node.data
        self.spool = spool
        self.journal = journal
        self.admission = Admission(config)
        self.negotiator = Negotiator()
        self.callbacks = CallBacks(config, spool, journal.owner, self.refuse)
        self.draining = False
        """No new association is accepted: the process is about to end."""
        self._refusals = Refusals()
        self._low_mark = config.receive.free_disk_mb * _MEGABYTE
        self._numbers = itertools.count(1)
        self._open = 0
        self._lock = threading.Lock()

    def association_id(self) -> str:
        """A new association's identifier; begins with the owner of the journal."""
        return f"{self.journal.owner}.{next(self._numbers)}"

    def is_low(self) -> bool:
        """Whether the disk has less than the low mark left."""
        return self.spool.free_bytes() < self._low_mark

    def cure(self, reason: str) -> str:
        """What an administrator can do where images are refused for want of resources; empty: not known."""
        if reason == LOW:
            mark = self.config.free_disk_mb
            return f"make room on the disk of {self._data}, or lower receive: {{free_disk_mb: {mark}}}"
        return f"make room on the disk of {self._data}" if reason == FULL else ""

    def enter(self, stores: bool) -> NotAdmitted | None:
        """Counts an association as open; or says why none can be accepted now, transiently.

        Args:
            stores: it is asked for storage, which a full disk forbids.
        """
        if self.draining:
            return NotAdmitted(CONGESTION, "the node is stopping")
        if stores and self.is_low():
            return NotAdmitted(CONGESTION, LOW, self.cure(LOW))
        limit = self.config.max_associations
        with self._lock:
            if self._open >= limit:
                hint = f"receive: {{max_associations: {limit * 2}}}"
                return NotAdmitted(LIMIT_EXCEEDED, f"{limit} associations are open", hint)
            self._open += 1
        return None

    def leave(self) -> None:
        """An association that `enter` let in has ended."""
        with self._lock:
            self._open -= 1

    def report(self, event: ReceiverEvent) -> None:
        """Writes a happening of which nothing was promised: a full disk only delays it."""
        try:
            self.journal.append(event)
        except OutOfResources as error:
            log.warning("journal_delayed", happening=event.happening, error=str(error))

    def refuse(self, refusal: Refusal) -> None:
        """Reports a refusal, seldom for each sender and reason, always where bytes were kept.

        What isn't reported is counted, see `count_refusals`.
        """
        if refusal.path or self._refusals.is_news(refusal):
            log.warning(
                "refused",
                calling=refusal.calling_ae_title,
                called=refusal.called_ae_title,
                address=refusal.address,
                reason=refusal.reason,
                hint=refusal.hint,
                path=refusal.path,
            )
            self.report(ReceiverEvent("refused", refusal=refusal))

    def count_refusals(self, *, at_once: bool = False) -> None:
        """Reports how often what was reported has happened again; seldom, unless `at_once`."""
        for refusal in self._refusals.again(at_once=at_once):
            self.report(ReceiverEvent("refused", refusal=refusal))

    def refuse_connection(self, address: str, reason: str) -> None:
        """Reports a connection that came to no request."""
        self.refuse(Refusal(datetime.now(UTC), "", "", address, reason, ""))
