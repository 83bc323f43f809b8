"""The listening socket: made once, shared by every receiver process that inherits it."""

from __future__ import annotations

import errno
import select
import socket
import time
from contextlib import suppress

import structlog

from dicom_node.config.models import NodeConfig
from dicom_node.errors import PeerUnavailable

log = structlog.get_logger()
_BACKLOG = 1024
_MANNERS = 0.0005
"""Seconds that a process waits for each connection it has, so that one with fewer takes the next."""
_MOST_MANNERS = 4


def listen(node: NodeConfig) -> socket.socket:
    """A listening socket on the node's address and port.

    What waits in its queue outlives each process that accepts from it. A second node on the same port is
    refused, which SO_REUSEPORT would let in without a word.

    Raises:
        PeerUnavailable: the port is taken, or the address isn't ours.
    """
    try:
        family = socket.getaddrinfo(node.address, node.port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((node.address, node.port))
            sock.listen(_BACKLOG)
        except OSError:
            sock.close()
            raise
    except OSError as error:
        advice = "; is another program there?" if error.errno == errno.EADDRINUSE else ""
        raise PeerUnavailable(
            f"can't listen on {node.address}:{node.port}: {error.strerror}{advice}"
        ) from error
    sock.setblocking(False)
    return sock


def accept(listener: socket.socket, seconds: float, busy: int) -> tuple[socket.socket, str] | None:
    """The next connection and its peer's address; None where none came in time, or another process took it.

    Args:
        listener: of `listen`.
        seconds: how long to wait.
        busy: connections that this process serves.
    """
    if not select.select([listener], [], [], seconds)[0]:
        return None
    if busy:
        time.sleep(_MANNERS * min(busy, _MOST_MANNERS))
    with suppress(BlockingIOError):
        try:
            sock, address = listener.accept()
        except BlockingIOError:
            raise
        except OSError as error:  # out of file descriptors, or the peer has gone
            log.warning("accept_failed", error=error.strerror)
            time.sleep(0.05)
            return None
        sock.setblocking(True)
        return sock, address[0]
    return None
