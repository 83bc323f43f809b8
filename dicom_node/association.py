"""Requesting an association with a peer (PS3.8): the one place that turns what went wrong into words.

`deliver` and `query` both speak to peers as SCU; they share how an association is opened, guarded by
time limits, and closed, and which failures are worth another try.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

from dicom_node.errors import PeerRefused, PeerUnavailable

MAX_CONTEXTS = 128
"""Presentation contexts in one A-ASSOCIATE-RQ: their odd identifiers end at 255 (PS3.8 9.3.2.2)."""
MAX_PDU = 131_072
"""Bytes of a P-DATA-TF that we take: fewer, larger reads when a peer sends us objects."""
QUEUED_PDUS = 64
"""P-DATA primitives that may wait in memory; more would hold a whole object there."""

_config.LOG_HANDLER_LEVEL = "none"  # pynetdicom's own handlers print identifiers and data sets
_config.STORE_SEND_CHUNKED_DATASET = True  # a path given to send_c_store is streamed from the file

_ACCEPTED, _REJECTED_PERMANENT, _SERVICE_USER, _PRESENTATION = 0, 1, 1, 3
_REJECTIONS = {
    (_SERVICE_USER, 2): "it does not support the DICOM application context",
    (_SERVICE_USER, 3): "it does not know our AE title {ours}; add {ours} to the nodes that it knows",
    (_SERVICE_USER, 7): "it is not called {theirs}; correct `ae_title` of this peer in conf.yaml",
    (_PRESENTATION, 1): "it is congested at the moment",
    (_PRESENTATION, 2): "its limit of associations is reached",
}
"""Why, by source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""


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


class NothingAccepted(PeerRefused):
    """The peer took the association, but none of the presentation contexts proposed."""


def name_of(peer: Peer) -> str:
    """How error texts name a peer: "PACS at 10.0.0.5:104"."""
    return f"{peer.ae_title} at {peer.host}:{peer.port}"


@contextmanager
def associate(
    peer: Peer,
    calling_ae_title: str,
    contexts: Sequence[PresentationContext],
    handlers: Sequence[tuple[Any, ...]] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """An established association; released at the end, aborted where the body raises.

    Args:
        peer: whom to call.
        calling_ae_title: who we are.
        contexts: at most 128, proposed as they are.
        handlers: (event, handler) pairs, as pynetdicom takes them.
        roles: SCP/SCU role selections (PS3.7 D.3.3.4).

    Raises:
        PeerUnavailable: no connection, no answer in time, a transient rejection or an abort.
        NothingAccepted: established, but with no presentation context.
        PeerRefused: rejected for good.
    """
    ae = _Requestor(calling_ae_title, peer.timeout)
    began = time.monotonic()
    assoc = ae.associate(
        _resolve(peer),
        peer.port,
        contexts=list(contexts),
        ae_title=peer.ae_title,
        max_pdu=MAX_PDU,
        ext_neg=list(roles),
        evt_handlers=list(handlers),
    )
    try:
        _check(assoc, peer, calling_ae_title, time.monotonic() - began)
        _pace(assoc)
        yield assoc
        assoc.release()
    except BaseException:
        assoc.abort()
        raise
    finally:
        ae.close()


def _resolve(peer: Peer) -> str:
    try:
        return str(socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise PeerUnavailable(
            f"{name_of(peer)}: the name {peer.host} has no address ({error.strerror}); check `host`"
        ) from error


class _Requestor(AE):
    """An application entity with time limits in the kernel, and whose sockets are closed in the end.

    pynetdicom's own thread would wait for ever for a peer that stops reading, and leaves the socket of a
    failed connection open.
    """

    def __init__(self, ae_title: str, timeout: float) -> None:
        super().__init__(ae_title)
        self.connection_timeout = self.acse_timeout = self.dimse_timeout = timeout
        self.network_timeout = None  # we drive every exchange, each under the limits above
        self._limit = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
        self._sockets: list[socket.socket] = []

    def _create_socket(self, *args: Any, **kwargs: Any) -> AssociationSocket:
        created = super()._create_socket(*args, **kwargs)
        if created.socket is not None:
            created.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, self._limit)
            created.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, self._limit)
            created.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(created.socket)
        return created

    def close(self) -> None:
        """Closes the sockets that this entity made."""
        for sock in self._sockets:
            sock.close()


def _pace(assoc: Association) -> None:
    """Makes sending wait while much is queued, and raise ConnectionError once the connection is gone.

    Otherwise a large object is read into memory at the disk's speed, the time limit for the answer runs
    while the network still carries the object, and data for a lost connection is queued to no end.
    """
    dul = assoc.dul
    enqueue = dul.send_pdu

    def send_pdu(primitive: Any) -> None:
        if isinstance(primitive, P_DATA):
            while (connected := _connected(assoc)) and dul.to_provider_queue.qsize() >= QUEUED_PDUS:
                time.sleep(0.001)
            if not connected:
                raise ConnectionError("the connection was lost")
        enqueue(primitive)

    setattr(dul, "send_pdu", send_pdu)  # noqa: B010 - an instance's method is replaced on purpose


def _connected(assoc: Association) -> bool:
    """Whether pynetdicom's upper layer runs, and is ready for data transfer (PS3.8 table 9-10, Sta6)."""
    return assoc.dul.is_alive() and assoc.dul.state_machine.current_state == "Sta6"


def _check(assoc: Association, peer: Peer, calling_ae_title: str, waited: float) -> None:
    """Raises what `associate` raises unless the association is established."""
    if assoc.is_established:
        return
    answer = assoc.acceptor.primitive
    if isinstance(answer, A_ASSOCIATE) and answer.result == _ACCEPTED:
        raise NothingAccepted(f"{name_of(peer)} accepts none of the forms that we proposed to send")
    if isinstance(answer, A_ASSOCIATE) and assoc.is_rejected:
        raise _rejection(answer, peer, calling_ae_title)
    raise PeerUnavailable(f"{name_of(peer)}: {_why_unreachable(peer, waited)}")


def _rejection(answer: A_ASSOCIATE, peer: Peer, calling_ae_title: str) -> PeerUnavailable | PeerRefused:
    source, diagnostic = answer.result_source, answer.diagnostic
    why = _REJECTIONS.get((source or 0, diagnostic or 0), "it gave no reason; its log may say more")
    why = why.format(ours=calling_ae_title, theirs=peer.ae_title)
    text = f"{name_of(peer)} rejected the association from {calling_ae_title}: {why}"
    # Congestion and limits pass, whatever the peer calls them.
    if answer.result == _REJECTED_PERMANENT and source != _PRESENTATION:
        return PeerRefused(text)
    return PeerUnavailable(text)


def _why_unreachable(peer: Peer, waited: float) -> str:
    """Asks the network once more for the cause, which pynetdicom keeps to itself."""
    if waited >= 0.9 * peer.timeout:
        return f"no answer within {peer.timeout:g} s; check address, port and firewall"
    try:
        socket.create_connection((peer.host, peer.port), timeout=peer.timeout).close()
    except OSError as error:
        return f"{(error.strerror or str(error)).lower()}; is it running, and is the port right?"
    return "it closed the connection before it answered; does a DICOM service listen on this port?"
