"""Storage commitments whose outcome is still to be told, kept until it is, by whichever process."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dicom_node.records import ReceiverEvent, StorageCommitment
from dicom_node.spool import journal, layout
from dicom_node.spool.durable import storing, write_durably


class Owed:
    """One file a transaction, named after the journal's owner that has to tell it. Safe for threads."""

    def __init__(self, root: Path) -> None:
        self._folder, self._journals = root / layout.OWED, root / layout.JOURNALS

    def keep(self, owner: str, asked: StorageCommitment) -> str:
        """Keeps a request durably; gives the name to settle it by. Raises OutOfResources."""
        name = f"{owner}.{layout.component(asked.transaction_uid)}"
        with storing():
            write_durably(self._folder / name, journal.encode(ReceiverEvent("commitment", commitment=asked)))
        return name

    def read(self, name: str) -> StorageCommitment | None:
        """The request; None where it has been settled, or can't be read."""
        with suppress(FileNotFoundError):
            event = journal.decode((self._folder / name).read_bytes())
            return event.commitment if event is not None else None
        return None

    def settle(self, name: str) -> None:
        """It has been told, or never will be."""
        (self._folder / name).unlink(missing_ok=True)

    def adopt(self, owner: str) -> list[str]:
        """Takes over what processes owed that are gone; gives the new names. No two take the same."""
        adopted = []
        for path in sorted(self._folder.glob("[!.]*")):
            before = journal.owner_of(path.name)
            if before == owner or journal.owner_alive(self._journals, before):
                continue
            name = owner + path.name.removeprefix(before)
            with suppress(FileNotFoundError):  # another process was quicker
                path.rename(self._folder / name)
                adopted.append(name)
        return adopted
