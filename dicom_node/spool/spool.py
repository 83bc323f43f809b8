"""The spool's one door: where files are, how they come in, what was written about them."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
from collections.abc import Collection, Container, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from dicom_node.errors import Permanent
from dicom_node.records import Instance, PerformedStep, ReceiverEvent
from dicom_node.spool import journal, layout
from dicom_node.spool.bell import Bell
from dicom_node.spool.durable import Folders, storing, sync_folder, write_durably
from dicom_node.spool.elements import Unreadable
from dicom_node.spool.filemeta import read_file_meta
from dicom_node.spool.identity import Identity, identify
from dicom_node.spool.incoming import Blank, Incoming, digest_of
from dicom_node.spool.journal import Journal
from dicom_node.spool.owed import Owed
from dicom_node.spool.promises import Promises

log = structlog.get_logger()
ASIDE_KEPT = 200
"""Refused objects kept for inspection."""
BATCH = 1000
"""Happenings read at once where the caller names no number."""


class Spool:
    """Files below one root, all on one file system that knows hard links. Safe for threads.

    Any number of processes may hold one for the same root.
    """

    def __init__(self, root: Path) -> None:
        """Makes the folders that aren't there yet. Raises OutOfResources where they can't be made."""
        self.root = root.absolute()
        with storing():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o750)
            for folder in layout.FOLDERS:
                (self.root / folder).mkdir(exist_ok=True, mode=0o750)
            sync_folder(self.root)
            sync_folder(self.root.parent)
        self.folders = Folders(self.root)
        self.owed = Owed(self.root)
        self.promises = Promises(self.root)
        self._numbers = itertools.count(1)
        self._bell: Bell | None = None

    # receiving

    def open_blank(self, association_id: str) -> Blank:
        """Makes a file for an object that will arrive on an association. Raises OutOfResources.

        Args:
            association_id: begins with the owner of the receiver's journal and a dot.
        """
        return Blank(self.root / layout.INCOMING / f"{association_id}.{next(self._numbers)}")

    def open_incoming(self, association_id: str, head: bytes, blank: Blank | None = None) -> Incoming:
        """Begins a file for an object that arrives on an association.

        Args:
            association_id: as for `open_blank`.
            head: what stands before the data set (PS3.10 7.1).
            blank: the file, where one was made in time.

        Raises:
            OutOfResources: the file can't be made.
        """
        return Incoming(self, blank or self.open_blank(association_id), head)

    def open_journal(self) -> Journal:
        """Begins a journal for this process. Raises OutOfResources."""
        return Journal(self.root / layout.JOURNALS)

    def free_bytes(self) -> int:
        """Bytes that may still be written."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize

    def recover(self, into: Journal) -> tuple[int, int]:
        """Tidies `incoming/` after receivers that died; gives how many it found and how many it dropped.

        What had got its final name may have been acknowledged, and its journal may lack the line: it is
        written `into` the living journal as stored. What had not was never acknowledged, and goes.
        """
        found = dropped = 0
        with (self.root / layout.INCOMING / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for path in sorted((self.root / layout.INCOMING).glob("[!.]*")):
                association_id = path.name.rpartition(".")[0]
                if journal.owner_alive(self.root / layout.JOURNALS, journal.owner_of(path.name)):
                    continue
                if path.stat().st_nlink > 1 and (event := self._named(path, association_id)) is not None:
                    into.append(event)
                    found += 1
                else:
                    dropped += 1
                path.unlink()
        return found, dropped

    def held(self, sop_instance_uids: Collection[str]) -> dict[str, str]:
        """Which of these instances are stored: SOP Class UID by SOP Instance UID.

        Looks in the series that changed last first, as what is asked for has mostly just come.
        """
        wanted = {layout.file_name(uid): uid for uid in sop_instance_uids}
        found: dict[str, str] = {}
        series = list((self.root / layout.INSTANCES).glob("*/*"))
        for folder in sorted(series, key=_changed_at, reverse=True):
            for name in wanted.keys() & _names(folder):
                with suppress(OSError, Unreadable), (folder / name).open("rb", buffering=0) as file:
                    found[wanted.pop(name)] = read_file_meta(file.fileno()).sop_class_uid
            if not wanted:
                break
        return found

    def write_step(self, step: PerformedStep) -> None:
        """Keeps how a procedure step stands, durably. Raises OutOfResources."""
        path = self.root / layout.STEPS / layout.component(step.mpps_instance_uid)
        with storing():
            write_durably(path, journal.encode(ReceiverEvent("mpps", step=step)))

    def read_step(self, mpps_instance_uid: str) -> PerformedStep | None:
        """How a procedure step stood last; None where none was kept."""
        path = self.root / layout.STEPS / layout.component(mpps_instance_uid)
        if not path.is_file():
            return None
        event = journal.decode(path.read_bytes())
        return event.step if event is not None else None

    # the coordinator's side of the journals

    def journals(self) -> list[str]:
        """Names of the journals, oldest first."""
        return journal.names(self.root / layout.JOURNALS)

    def read_journal(self, name: str, offset: int, limit: int = BATCH) -> tuple[list[ReceiverEvent], int]:
        """Up to `limit` happenings from `offset`, and the offset after them; a half-written line waits."""
        return journal.read(self._below(layout.JOURNALS, name), offset, limit)

    def journal_owner_alive(self, name: str) -> bool:
        """Whether the receiver that writes this journal lives; a journal's later parts count for all."""
        return journal.owner_alive(self.root / layout.JOURNALS, journal.owner_of(name))

    def remove_journal(self, name: str) -> bool:
        """Takes away a journal that nothing will be added to; False where something may still be."""
        owner = journal.owner_of(name)
        parts = [part for part in self.journals() if journal.owner_of(part) == owner]
        alive = self.journal_owner_alive(name)
        if alive and name >= max(parts, default=name):
            return False
        self._below(layout.JOURNALS, name).unlink(missing_ok=True)
        if not alive and parts in ([], [name]):
            self._below(layout.JOURNALS, owner + journal.LOCK).unlink(missing_ok=True)
        return True

    def notify(self) -> None:
        """Wakes whoever waits for the journals; nobody there is no error."""
        self._ringer().ring()

    def wait(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds for a journal to grow; True if one did since the last call."""
        return self._ringer().wait(timeout)

    # reading

    def path(self, relative: str) -> Path:
        """The absolute path of what a record names. Raises ValueError where it would leave the root."""
        return self.root / layout.checked(relative)

    def series_paths(self, study_instance_uid: str, series_instance_uid: str) -> list[Path]:
        """Files of a series, without copies kept beside, in the order of their names."""
        folder = self.root / layout.series_folder(study_instance_uid, series_instance_uid)
        return sorted(path for path in folder.glob("*" + layout.SUFFIX) if layout.BESIDE not in path.name)

    def walk(self, known: Container[str] = ()) -> Iterator[Instance]:
        """Every instance that is stored, from the files alone; those kept beside another are left out.

        Args:
            known: relative paths whose files need not be read.
        """
        return (one for one, beside in self._walk(known) if not beside)

    def conflicts(self, known: Container[str] = ()) -> Iterator[Instance]:
        """Every instance that is kept beside the first that came under its UID."""
        return (one for one, beside in self._walk(known) if beside)

    def data_set_at(self, fd: int) -> int:
        """Where the data set of an open instance begins. Raises Unreadable."""
        return read_file_meta(fd).data_set_at

    # results and retention

    def write_result(self, job_id: str, name: str, data: bytes) -> str:
        """Keeps a result durably; gives its relative path. The same bytes again change nothing.

        Raises:
            Permanent: other bytes are there under this name.
            OutOfResources: the disk refuses.
        """
        folder = f"{layout.RESULTS}/{layout.word(job_id)}"
        relative = f"{folder}/{layout.word(name)}"
        path = self.root / relative
        if path.is_file():
            if path.read_bytes() != data:
                raise Permanent(f"{relative} holds other bytes; a result never changes")
            return relative
        with storing(), self.folders.folder(folder):
            write_durably(path, data)
        return relative

    def results(self, prefix: str, name: str) -> list[Path]:
        """Results of one name, in the folders of the jobs whose ids begin so, oldest folder first."""
        return sorted((self.root / layout.RESULTS).glob(f"{layout.word(prefix)}*/{layout.word(name)}"))

    def remove(self, relative: str) -> None:
        """Takes a file away, and the folders that it leaves empty."""
        path = self.path(relative)
        path.unlink(missing_ok=True)
        for parent in path.relative_to(self.root).parents[:-2]:
            try:
                (self.root / parent).rmdir()
            except OSError:
                break

    def remove_results(self, job_ids: Collection[str]) -> None:
        """Takes away whatever is left of all runs of jobs, which lies in folders `<job's id>-<time>`."""
        jobs = set(job_ids)
        for folder in (self.root / layout.RESULTS).iterdir() if jobs else ():
            if folder.name.rpartition("-")[0] in jobs:
                shutil.rmtree(folder)

    def prune_aside(self, keep: int = ASIDE_KEPT) -> None:
        """Leaves the newest refused objects only, so that a hostile sender can't fill the disk with them."""
        paths = list((self.root / layout.ASIDE).iterdir())
        if len(paths) > keep:
            for path in sorted(paths, key=_changed_at)[: len(paths) - keep]:
                path.unlink(missing_ok=True)

    # inside

    def _walk(self, known: Container[str]) -> Iterator[tuple[Instance, bool]]:
        for path in (self.root / layout.INSTANCES).glob("*/*/*" + layout.SUFFIX):
            if (relative := path.relative_to(self.root).as_posix()) not in known:
                try:
                    yield self._read(path, relative, ""), layout.BESIDE in path.name
                except FileNotFoundError:
                    continue  # removed meanwhile
                except Unreadable as error:
                    log.error("spool_file_unreadable", path=relative, error=str(error))

    def _named(self, path: Path, association_id: str) -> ReceiverEvent | None:
        """What to report of a temporary file with a second name; None where that is of one set aside."""
        try:
            one = self._read(path, "", association_id)
        except Unreadable:
            return None
        folder = self.root / layout.series_folder(one.study_instance_uid, one.series_instance_uid)
        for digest in ("", one.digest):
            final = folder / layout.file_name(one.sop_instance_uid, digest)
            if final.exists() and final.samefile(path):
                relative = final.relative_to(self.root).as_posix()
                instance = self._read(final, relative, association_id)
                return ReceiverEvent("conflict" if digest else "stored", instance=instance)
        return None

    def _read(self, path: Path, relative: str, association_id: str) -> Instance:
        with path.open("rb", buffering=0) as file:
            fd = file.fileno()
            meta = read_file_meta(fd)
            try:
                inside = identify(fd, meta.data_set_at, meta.transfer_syntax_uid)
            except Unreadable:
                inside = Identity()
            state = os.fstat(fd)
        return Instance(
            sop_instance_uid=inside.sop_instance_uid or meta.sop_instance_uid,
            sop_class_uid=inside.sop_class_uid or meta.sop_class_uid,
            series_instance_uid=inside.series_instance_uid,
            study_instance_uid=inside.study_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            path=relative,
            size=state.st_size,
            digest=digest_of(path, meta.data_set_at),
            association_id=association_id,
            received_at=datetime.fromtimestamp(state.st_mtime, UTC),
        )

    def _below(self, folder: str, name: str) -> Path:
        return self.path(f"{folder}/{layout.checked(name).name}")

    def _ringer(self) -> Bell:
        if self._bell is None:
            self._bell = Bell(self.root / layout.JOURNALS)
        return self._bell


def _changed_at(folder: Path) -> float:
    """When names in a folder last changed; long ago if it has gone."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
