"""One receiver process: its listening socket, a thread for each connection, and an orderly end."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pydicom.config
import structlog

from dicom_node.config.models import Config
from dicom_node.errors import OutOfResources
from dicom_node.receive import tls
from dicom_node.receive.association import Acceptor
from dicom_node.receive.listening import accept, listen
from dicom_node.receive.reception import Reception
from dicom_node.receive.transport import Plain, Tls, Transport
from dicom_node.signals import end_on
from dicom_node.spool import Spool

log = structlog.get_logger()
_TICK = 0.25
"""Seconds between looks at `stop`."""
_WAITING = 512
"""Connections that may be open without an association, or after one: probes, scanners, the slow."""
_LAST_WORDS = 2.0
"""Seconds for threads to end whose connections were cut."""


def serve(
    config: Config,
    spool: Spool,
    *,
    listener: socket.socket | None = None,
    process_index: int = 0,
    ready: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
) -> None:
    """Runs one receiver process until it is told to stop; associations in hand are let finish.

    Several may run that inherited one listening socket: the one with the fewest connections takes the next.

    Args:
        config: the whole configuration.
        spool: where objects go.
        listener: the socket of `listen`, which is closed at the end; None: one of its own.
        process_index: which of the processes this is, for the log.
        ready: called when connections are accepted.
        stop: set it to end in order; None: SIGTERM and SIGINT do.

    Raises:
        PeerUnavailable: the port is taken, or the address isn't ours.
        ConfigError: TLS can't be set up.
        OutOfResources: the spool can't be written.
    """
    if stop is None:
        stop = threading.Event()
        end_on(stop, signal.SIGTERM, signal.SIGINT)
    journal = spool.open_journal()
    try:
        found, dropped = spool.recover(journal)
        log.info("receiver_starts", index=process_index, recovered=found, dropped=dropped)
        with listener or listen(config.node) as shared, _tolerant():
            _Server(Reception(config, spool, journal), shared).run(ready, stop)
    finally:
        journal.close()
    log.info("receiver_stopped", index=process_index)


@contextmanager
def _tolerant() -> Iterator[None]:
    """What senders write oddly is neither said nor remembered by the libraries that read it.

    Python keeps the text of every warning that it has shown: hostile UIDs would fill the memory.
    pynetdicom has messages for every PDU, some with data sets; what matters is said here.
    """
    logger, settings = logging.getLogger("pynetdicom"), pydicom.config.settings
    before = logger.level, settings.reading_validation_mode
    logger.setLevel(logging.CRITICAL)
    settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        yield
    finally:
        logger.setLevel(before[0])
        settings.reading_validation_mode = before[1]


class _Server:
    """Accepts; knows every connection that is open."""

    def __init__(self, reception: Reception, listener: socket.socket) -> None:
        self._reception, self._listener = reception, listener
        config = reception.config
        self._tls = tls.context(config.tls) if config.tls is not None else None
        self._most = config.max_associations + _WAITING
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()

    def run(self, ready: Callable[[], None], stop: threading.Event) -> None:
        """Serves until `stop`, and then until what is in hand is done or its time is up."""
        threading.stack_size(512 * 1024)
        gc.freeze()  # what is loaded by now stays: no collection need look at it again
        callbacks = self._reception.callbacks
        calling = threading.Thread(target=callbacks.run, args=(stop,), daemon=True)
        calling.start()
        ready()
        while not stop.is_set():
            self._accept()
            self._retry_journal()
            self._reception.count_refusals()
        self._reception.draining = True
        callbacks.wake()
        deadline = time.monotonic() + self._reception.config.drain_timeout
        while self._connections and time.monotonic() < deadline:
            self._accept()  # answered: rejected transiently
        self._cut()

    def _accept(self) -> None:
        """Takes a connection that waits."""
        if (accepted := accept(self._listener, _TICK, len(self._connections))) is not None:
            self._start(*accepted)

    def _start(self, sock: socket.socket, address: str) -> None:
        if len(self._connections) >= self._most:
            log.warning("too_many_connections", address=address)
            sock.close()
            return
        thread = threading.Thread(target=self._serve, args=(sock, address), daemon=True)
        with self._lock:
            self._connections[sock] = thread
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            log.warning("no_thread", address=address)
            self._forget(sock)
            sock.close()

    def _serve(self, sock: socket.socket, address: str) -> None:
        """One connection's thread: whatever goes wrong in it ends it alone."""
        try:
            if (transport := self._transport(sock, address)) is not None:
                Acceptor(self._reception, transport, address).run()
        except Exception as error:  # noqa: BLE001 - the outermost loop; the failure is recorded
            # Not the traceback: what it shows of the variables may be a patient's.
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{where.name}:{where.lineno}"
            log.error("connection_failed", address=address, error=type(error).__name__, place=place)
        finally:
            sock.close()
            self._forget(sock)

    def _transport(self, sock: socket.socket, address: str) -> Transport | None:
        """The connection as a transport; None where TLS is due and doesn't come about."""
        config = self._reception.config
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return Plain(sock, config.network_timeout)
        sock.settimeout(config.artim_timeout)
        try:
            secured = self._tls.wrap_socket(sock, server_side=True)
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or "timed out"
            self._reception.refuse_connection(address, f"no TLS: {reason}")
            return None
        return Tls(secured, config.network_timeout)

    def _forget(self, sock: socket.socket) -> None:
        with self._lock:
            self._connections.pop(sock, None)

    def _retry_journal(self) -> None:
        """What a full disk kept from the journal is written when it can be."""
        with suppress(OutOfResources):
            self._reception.journal.flush()

    def _cut(self) -> None:
        """Ends what is left; each thread records that its association was aborted."""
        with self._lock:
            left = dict(self._connections)
        for sock in left:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        until = time.monotonic() + _LAST_WORDS
        for thread in left.values():
            thread.join(max(0.0, until - time.monotonic()))
        self._reception.count_refusals(at_once=True)
