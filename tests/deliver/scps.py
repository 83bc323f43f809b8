"""Peers that misbehave on demand, which no real one can be told to do."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from tests.peers import free_port, need, running, wait_for_port

UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@contextmanager
def picky_storescp(received: Path, *options: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """DCMTK's storescp that takes only what its options name; gives its port and its process."""
    received.mkdir(exist_ok=True)
    port = free_port()
    command = [need("storescp"), "-aet", "PACS", "-od", received, *options, str(port)]
    with running(command, environment={"TCP_NODELAY": "1"}) as process:
        wait_for_port(port, "storescp")
        yield port, process


PICTURES_ONLY = r"""
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Pictures]
PresentationContext1 = SecondaryCaptureImageStorage\Plain
[[Profiles]]
[PicturesOnly]
PresentationContexts = Pictures
"""
"""A configuration of storescp (-xf FILE PicturesOnly) that takes secondary captures alone."""


@contextmanager
def scp(
    on_store: Callable[[evt.Event], int],
    *,
    sop_classes: Sequence[str] = (SecondaryCaptureImageStorage,),
    syntaxes: Sequence[str] = UNCOMPRESSED,
    configure: Callable[[AE], Any] = lambda _ae: None,
    handlers: Sequence[tuple[Any, Any]] = (),
) -> Iterator[int]:
    """A storage SCP whose answers a function decides; gives its port."""
    ae = AE("PACS")
    for sop_class in sop_classes:
        ae.add_supported_context(sop_class, list(syntaxes))
    configure(ae)
    port = free_port()
    server = ae.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store), *handlers]
    )
    assert isinstance(server, ThreadedAssociationServer)
    try:
        yield port
    finally:
        server.shutdown()


@contextmanager
def tcp_listener(converse: Callable[[socket.socket], None]) -> Iterator[int]:
    """Something that listens, and is no DICOM service: `converse` is called with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection:
                converse(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
