"""PDUs on a TCP connection (PS3.8 section 9.3), with a time limit on every step."""

from __future__ import annotations

import select
import socket
import struct
import time
from contextlib import suppress
from enum import IntEnum

from dicom_node.association.peer import Peer, name_of
from dicom_node.errors import PeerUnavailable

_HEADER = struct.Struct(">BxL")
"""PDU type and length of what follows (PS3.8 9.3.1)."""
MAX_PDU = 131_072
"""Bytes of a P-DATA-TF that we take, and at most send: a peer's own limit may be lower."""
_MAX_CONTROL_PDU = 1_048_576
"""A longer PDU comes from something that speaks no DICOM."""
_ABORT = bytes((0x07, 0, 0, 0, 0, 4, 0, 0, 0, 0))
"""A-ABORT by the service user (PS3.8 9.3.8)."""


class PDU(IntEnum):
    """PDU types (PS3.8 9.3.1)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class Connection:
    """A TCP connection to a peer that carries PDUs; every fault raises PeerUnavailable in words."""

    def __init__(self, peer: Peer, until: float | None = None) -> None:
        """Connects; `until`: see `associate`."""
        self.peer = peer
        self.ended = False
        self._until = until
        self._patience = peer.timeout
        limit = self._time_left()
        try:
            self._socket = socket.create_connection((peer.host, peer.port), timeout=limit)
        except socket.gaierror as fault:
            raise self._lost(
                f"the name {peer.host} has no address ({fault.strerror}); check `host`"
            ) from fault
        except TimeoutError as fault:
            raise self._lost(
                f"no connection within {limit:.4g} s; check address, port and firewall"
            ) from fault
        except OSError as fault:
            why = (fault.strerror or str(fault)).lower()
            raise self._lost(f"{why}; is it running, and is the port right?") from fault
        # Else the last, short part of each message waits for the acknowledgement of the one before.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def patience(self, seconds: float) -> None:
        """Sets the time limit of each step from here on."""
        self._patience = seconds
        if not self.ended:
            self._socket.settimeout(seconds)

    def send(self, pdu: bytes) -> None:
        """Sends one encoded PDU."""
        self._hurry()
        try:
            self._socket.sendall(pdu)
        except TimeoutError as fault:
            raise self._lost(f"it took no data for {self._limit}") from fault
        except OSError as fault:
            raise self._lost(f"the connection was lost ({(fault.strerror or str(fault)).lower()})") from fault

    def receive(self) -> tuple[PDU, bytes]:
        """The next PDU: its type and all its bytes, the header among them. An abort raises."""
        header = self._exactly(_HEADER.size)
        kind, length = _HEADER.unpack(header)
        if kind not in PDU.__members__.values() or length > max(_MAX_CONTROL_PDU, MAX_PDU):
            raise self._lost(
                "it answered something that is not DICOM; does a DICOM service listen on this port?"
            )
        body = self._exactly(length)
        if kind == PDU.ABORT:
            raise self._lost("it aborted the association; its log may say why")
        return PDU(kind), header + body

    def comes(self, seconds: float) -> bool:
        """Whether something comes within so many seconds, be it the end of the connection."""
        if self.ended:
            return False
        watch = select.poll()
        watch.register(self._socket, select.POLLIN)
        return bool(watch.poll(seconds * 1000))

    def abort(self) -> None:
        """Ends the association at once, unless it has ended; the peer need not be there any more."""
        if not self.ended:
            with suppress(OSError):
                self._socket.settimeout(1.0)
                self._socket.sendall(_ABORT)
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.ended = True
        self._socket.close()

    @property
    def _limit(self) -> str:
        return f"{self._socket.gettimeout():.4g} s"

    def _exactly(self, length: int) -> bytes:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            self._hurry()
            try:
                got = self._socket.recv_into(view)
            except TimeoutError as fault:
                raise self._lost(f"no answer within {self._limit}") from fault
            except OSError as fault:
                why = (fault.strerror or str(fault)).lower()
                raise self._lost(f"the connection was lost ({why})") from fault
            if not got:
                raise self._lost("it closed the connection; does a DICOM service listen on this port?")
            view = view[got:]
        return bytes(data)

    def _hurry(self) -> None:
        """Shortens the next step to the time that is left, where there is an end to it."""
        if self._until is not None:
            self._socket.settimeout(self._time_left())

    def _time_left(self) -> float:
        """Seconds that the next step may take. Raises PeerUnavailable where there are none."""
        if self._until is None:
            return self._patience
        left = self._until - time.monotonic()
        if left <= 0:
            raise self._lost("the time for all that was to be asked is over")
        return min(self._patience, left)

    def _lost(self, why: str) -> PeerUnavailable:
        self.ended = True
        return PeerUnavailable(f"{name_of(self.peer)}: {why}")
