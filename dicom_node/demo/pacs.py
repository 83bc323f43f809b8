"""A small PACS for the demonstration: a storage SCP that keeps what it gets as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.presentation import VerificationPresentationContexts

AE_TITLE = "DEMOPACS"


@contextmanager
def small_pacs(folder: Path, port: int) -> Iterator[None]:
    """Runs the PACS on the loopback address; files are named by SOP Instance UID."""
    folder.mkdir(parents=True, exist_ok=True)

    def store(event: Event) -> int:
        request = event.request
        assert isinstance(request, C_STORE)  # noqa: S101 - it handles EVT_C_STORE
        (folder / f"{request.AffectedSOPInstanceUID}.dcm").write_bytes(event.encoded_dataset())
        return 0x0000

    ae = AE(AE_TITLE)
    ae.supported_contexts = [*AllStoragePresentationContexts, *VerificationPresentationContexts]
    ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield
    finally:
        ae.shutdown()
