"""Whom we call, how error texts name it, and whose fault it is when an answer makes no sense."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pydicom.errors import BytesLengthException, InvalidDicomError

from dicom_node.errors import PeerUnavailable


class Peer(Protocol):
    """Whom to call: any configuration section that says so."""

    @property
    def ae_title(self) -> str:
        """Called AE title."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """TCP port."""

    @property
    def timeout(self) -> float:
        """Seconds to wait for a connection, for an answer, and for the network to take data."""


def name_of(peer: Peer) -> str:
    """How error texts name a peer: "PACS at 10.0.0.5:104"."""
    return f"{peer.ae_title} at {peer.host}:{peer.port}"


@contextmanager
def intelligible(peer: Peer) -> Iterator[None]:
    """Around the decoding of what a peer sent: whatever a decoder trips over is the peer's fault."""
    try:
        yield
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        BytesLengthException,
        EOFError,
        InvalidDicomError,
        LookupError,
        NotImplementedError,
        OSError,
        TypeError,
        ValueError,
        struct.error,
    ) as fault:
        raise PeerUnavailable(f"{name_of(peer)}: it sent something malformed") from fault
