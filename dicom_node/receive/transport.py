"""A connection's bytes, under time limits, plain or over TLS."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import Protocol

from dicom_node.errors import Transient


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


class Plain:
    """A blocking socket whose time limits are the kernel's: one system call for as many bytes as are due."""

    def __init__(self, sock: socket.socket, send_seconds: float) -> None:
        self._sock = sock
        self._seconds = 0.0
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(send_seconds))

    def fill(self, view: memoryview, seconds: float) -> None:
        """See Transport."""
        if seconds != self._seconds:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))
            self._seconds = seconds
        began = time.monotonic()
        try:
            _acknowledge_at_once(self._sock)
            got = self._sock.recv_into(view, flags=socket.MSG_WAITALL)
        except BlockingIOError as error:
            raise TimedOut from error
        except OSError as error:
            raise Closed from error
        if got < len(view):
            self._fill_rest(view[got:], began + seconds)

    def _fill_rest(self, view: memoryview, deadline: float) -> None:
        """The time limit, the end or a signal came between; what follows tells which."""
        while view:
            if time.monotonic() > deadline:
                raise TimedOut
            try:
                got = self._sock.recv_into(view, flags=socket.MSG_WAITALL)
            except BlockingIOError as error:
                raise TimedOut from error
            except OSError as error:
                raise Closed from error
            if not got:
                raise Closed
            view = view[got:]

    def send(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise Closed from error

    def close(self) -> None:
        """See Transport."""
        _close(self._sock)


class Tls:
    """The same over TLS, with Python's time limits."""

    def __init__(self, sock: ssl.SSLSocket, send_seconds: float) -> None:
        self._sock = sock
        self._send_seconds = send_seconds

    def fill(self, view: memoryview, seconds: float) -> None:
        """See Transport."""
        deadline = time.monotonic() + seconds
        try:
            while view:
                self._sock.settimeout(max(0.001, deadline - time.monotonic()))
                _acknowledge_at_once(self._sock)
                got = self._sock.recv_into(view)
                if not got:
                    raise Closed
                view = view[got:]
        except TimeoutError as error:
            raise TimedOut from error
        except OSError as error:
            raise Closed from error

    def send(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._sock.settimeout(self._send_seconds)
            self._sock.sendall(data)
        except OSError as error:
            raise Closed from error

    def close(self) -> None:
        """See Transport."""
        _close(self._sock)


def _acknowledge_at_once(sock: socket.socket) -> None:
    """For every read anew, as the kernel takes it back (tcp(7)).

    A sender with Nagle's algorithm holds an object's last bytes back until all before them are
    acknowledged, for which the kernel else waits up to 40 ms.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _close(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _timeval(seconds: float) -> bytes:
    """A struct timeval of at least a millisecond: 0 would mean no limit at all."""
    return struct.pack("ll", *divmod(max(1_000, int(seconds * 1e6)), 1_000_000))
