"""Storage commitments that we asked destinations for, until their answers are in the ledger.

A receiver may take the answer, and knows no ledger: what it may take, and what it took, are files here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dicom_node.records import CommitmentOutcome
from dicom_node.spool import layout
from dicom_node.spool.durable import storing, write_durably

_ADAPTER = TypeAdapter(CommitmentOutcome)


class Promises:
    """One file a transaction: empty while it is awaited, then the answer. Safe for threads and processes."""

    def __init__(self, root: Path) -> None:
        self._folder = root / layout.PROMISES

    def expect(self, transaction_uid: str) -> None:
        """An answer may come from now on. Raises OutOfResources."""
        with storing():
            write_durably(self._path(transaction_uid), b"")

    def told(self, outcome: CommitmentOutcome) -> bool:
        """Keeps an answer durably; False where nobody awaits it. Raises OutOfResources."""
        path = self._path(outcome.transaction_uid)
        if not path.is_file():
            return False
        with storing():
            write_durably(path, _ADAPTER.dump_json(outcome))
        return True

    def answer(self, transaction_uid: str) -> CommitmentOutcome | None:
        """What was answered; None where nothing was yet, or it is torn."""
        with suppress(FileNotFoundError, ValidationError):
            if content := self._path(transaction_uid).read_bytes():
                return _ADAPTER.validate_json(content)
        return None

    def settle(self, transaction_uid: str) -> None:
        """The answer is in the ledger, or is not awaited any more."""
        self._path(transaction_uid).unlink(missing_ok=True)

    def settle_others(self, awaited: Callable[[], Collection[str]]) -> int:
        """Removes what a crash left of transactions that were settled; gives the number of files.

        Args:
            awaited: asked for the Transaction UIDs that are awaited, once the files are listed: of a new
                transaction, the ledger knows before there is a file.
        """
        paths = list(self._folder.glob("[!.]*"))
        names = {layout.component(uid) for uid in awaited()} if paths else set[str]()
        others = [path for path in paths if path.name not in names]
        for path in others:
            path.unlink(missing_ok=True)
        return len(others)

    def _path(self, transaction_uid: str) -> Path:
        return self._folder / layout.component(transaction_uid)
