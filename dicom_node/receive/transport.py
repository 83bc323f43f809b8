"""A connection's bytes, under time limits, plain or over TLS."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Protocol

from dicom_node.errors import Transient

_AHEAD = 65_536
"""Bytes: four PDUs of the usual 16 KB."""


class Closed(Transient):
    """The connection ended, or what was sent was not taken."""


class TimedOut(Transient):
    """Fewer bytes came than were due in the time given."""


class Transport(Protocol):
    """What an association needs of its connection."""

    def fill(self, view: memoryview, seconds: float) -> None:
        """Waits until `view` is full.

        Raises:
            Closed: the peer closed, or the network did.
            TimedOut: it took longer than `seconds`.
        """

    def send(self, data: bytes) -> None:
        """Sends all of `data` in one call. Raises Closed."""

    def close(self) -> None:
        """Ends the connection. Never fails."""


class _Buffered(ABC):
    """Reads ahead, so that many small PDUs cost one system call; what is large goes straight to its place."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ahead = memoryview(bytearray(_AHEAD))
        self._at = self._end = 0
        """What has been read ahead lies between."""

    def fill(self, view: memoryview, seconds: float) -> None:
        """See Transport."""
        deadline = time.monotonic() + seconds
        self._limit(seconds)
        while True:
            if taken := min(len(view), self._end - self._at):
                view[:taken] = self._ahead[self._at : self._at + taken]
                self._at += taken
                view = view[taken:]
            if not view:
                return
            if len(view) < _AHEAD:
                self._at, self._end = 0, self._read(self._ahead, deadline)
            else:
                view = view[self._read(view, deadline, whole=True) :]

    def close(self) -> None:
        """See Transport."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _read(self, view: memoryview, deadline: float, *, whole: bool = False) -> int:
        """Reads once what has come, or what fits. Raises Closed, TimedOut."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOut
        try:
            # For every read anew, as the kernel takes it back (tcp(7)): a sender with Nagle's algorithm holds
            # an object's last bytes until all before them are acknowledged, which else may take 40 ms.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            got = self._receive(view, left, whole)
        except (BlockingIOError, TimeoutError) as error:
            raise TimedOut from error
        except OSError as error:
            raise Closed from error
        if not got:
            raise Closed
        return got

    @abstractmethod
    def _limit(self, seconds: float) -> None:
        """A fill with this limit begins."""

    @abstractmethod
    def _receive(self, view: memoryview, seconds: float, whole: bool) -> int:
        """One read; `whole` tells that less is of no use."""


class Plain(_Buffered):
    """A blocking socket whose time limits are the kernel's: one read for as many bytes as are due."""

    def __init__(self, sock: socket.socket, send_seconds: float) -> None:
        super().__init__(sock)
        self._seconds = 0.0
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(send_seconds))

    def send(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise Closed from error

    def _limit(self, seconds: float) -> None:
        if seconds != self._seconds:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))
            self._seconds = seconds

    def _receive(self, view: memoryview, _seconds: float, whole: bool) -> int:
        return self._sock.recv_into(view, flags=socket.MSG_WAITALL if whole else 0)


class Tls(_Buffered):
    """The same over TLS, with Python's time limits."""

    def __init__(self, sock: ssl.SSLSocket, send_seconds: float) -> None:
        super().__init__(sock)
        self._send_seconds = send_seconds

    def send(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._sock.settimeout(self._send_seconds)
            self._sock.sendall(data)
        except OSError as error:
            raise Closed from error

    def _limit(self, seconds: float) -> None:
        """Set for each read, as an SSLSocket may read several times in one."""

    def _receive(self, view: memoryview, seconds: float, _whole: bool) -> int:
        self._sock.settimeout(max(0.001, seconds))
        return self._sock.recv_into(view)


def _timeval(seconds: float) -> bytes:
    """A struct timeval of at least a millisecond: 0 would mean no limit at all."""
    return struct.pack("ll", *divmod(max(1_000, int(seconds * 1e6)), 1_000_000))
