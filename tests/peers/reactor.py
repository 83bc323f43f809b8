"""Senders of pynetdicom that get every answer.

pynetdicom sends once its reactor says that it is paused, which it also says when it is about to go on; it
then now and then takes the answer to a request for itself, and the sender waits in vain. And it answers
reports in a thread of its own, of whose end it tells nobody.
"""

from __future__ import annotations

import threading
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

from tests.peers.process import PATIENCE


class Checkpoint(threading.Event):
    """Knows whether pynetdicom's reactor really waits here."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = threading.Event()
        self.set()

    def set(self) -> None:
        self.holds.clear()
        super().set()

    def wait(self, timeout: float | None = None) -> bool:
        if self.is_set():
            return True
        self.holds.set()
        return super().wait(timeout)


def steady(assoc: Association) -> Association:
    """An association just made, whose reactor can be `rested`."""
    assoc._reactor_checkpoint = Checkpoint()
    return assoc


def rested(assoc: Association) -> Association:
    """Stops the reactor before a request; pynetdicom lets it go on afterwards."""
    assoc._reactor_checkpoint.clear()
    assert assoc._reactor_checkpoint.holds.wait(PATIENCE)
    return assoc


class Reports:
    """The N-EVENT-REPORTs that a sender gets, and answers with a status.

    Attributes:
        got: event type and information of each.
    """

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.got: list[tuple[int, Any]] = []
        self._answered = threading.Event()

    @property
    def handlers(self) -> list[Any]:
        """For AE.associate and AE.start_server."""
        return [(evt.EVT_N_EVENT_REPORT, self._answer), (evt.EVT_PDU_SENT, self._sent)]

    def wait(self) -> bool:
        """Waits until the first has come, and is answered."""
        return self._answered.wait(PATIENCE)

    def _answer(self, event: Event) -> tuple[int, None]:
        self.got.append((event.request.EventTypeID, event.event_information))
        return self.status, None

    def _sent(self, event: Event) -> None:
        """The first data that go out after a report are the answer to it."""
        if self.got and isinstance(event.pdu, P_DATA_TF):
            self._answered.set()
