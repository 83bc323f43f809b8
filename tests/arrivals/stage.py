"""Where a scenario plays: a running node, a source, a PACS; and everything that a step can be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom.association import Association

from dicom_node.ledger import Ledger
from dicom_node.records import JobState, SeriesState
from tests.arrivals import senders
from tests.arrivals.clock import FakeClock
from tests.arrivals.images import KINDS
from tests.arrivals.table import Row, Step, images
from tests.journey.node import AE_TITLE, RunningNode
from tests.peers import Orthanc, Storescp, echoscu, storescu, wait_until

PATIENCE = 180
"""Seconds for what must happen on a slow machine."""
LOOK_SECONDS = 0.3
SPLIT_SECONDS = 4.0
"""Between the two associations by which an earlier series came."""
ENDED = {JobState.DONE, JobState.NOT_APPLICABLE, JobState.FAILED}


@dataclass
class World:
    """What scenarios share.

    Attributes:
        source: a PACS that can be asked for counts, and forwards.
        notes: what the pipeline noted of its runs.
        gate: where the scenarios of a group wait for one another, and the node is disturbed once.
        clock: the node's wall clock, where it can be set.
    """

    folder: Path
    node: RunningNode
    ledger: Ledger
    source: Orthanc
    pacs: Storescp
    notes: Path
    clock: FakeClock | None = None
    gate: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))
    _seen: tuple[float, list[dict[str, Any]], list[dict[str, Any]]] = (0.0, [], [])
    _looks: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Series and jobs, the newest first, as the ledger had them a moment ago; all scenarios ask often."""
        with self._looks:
            if time.monotonic() - self._seen[0] > LOOK_SECONDS:
                views = self.ledger.views
                self._seen = (
                    time.monotonic(),
                    views.recent_series(limit=1000),
                    views.recent_jobs(limit=1000),
                )
            return self._seen[1:]


@dataclass(frozen=True)
class Outcome:
    """What became of one series."""

    evidence: str
    reason: str
    doubtful: bool
    runs: str


class Stage:
    """One scenario: its series, its senders, their associations."""

    def __init__(self, world: World, row: Row) -> None:
        self._world, self._row = world, row
        self._study, self._step = str(generate_uid()), str(generate_uid())
        self._series: dict[str, list[Path]] = {}
        self._uids: dict[str, str] = {}
        self._sent: dict[str, set[Path]] = {}
        self._associations: dict[str, Association] = {}
        self._awaited = 0
        self._kinds = row.images.split(" / ")
        self._lock = threading.Lock()

    def play(self) -> None:
        """Does every step, and waits until all that was sent is judged and run."""
        with ThreadPoolExecutor(8) as together:
            for steps in self._row.steps:
                list(together.map(self._do, steps))
        for assoc in self._associations.values():
            senders.cut(assoc)
        self._wait(self._settled, "all is judged and run")

    def outcomes(self) -> list[Outcome]:
        """What became of each series of the table's, in their order."""
        return [self._outcome(self._uids[name]) for name in sorted(self._uids) if len(name) == 1]

    def _do(self, step: Step) -> None:
        getattr(self, f"_{step.verb}")(step)

    def _files(self, words: Sequence[str], *, sending: bool = False) -> list[Path]:
        """The files that words name; series are made when they are first named."""
        with self._lock:
            for name in {word.split("/")[0] for word in words if not word[0].isdigit()} | {"a"}:
                for one in name.split("+"):
                    self._make(one)
            named = list(images(words, {name: len(files) for name, files in self._series.items()}))
            if sending:
                for series, number in named:
                    self._sent.setdefault(series, set()).add(self._series[series][number - 1])
            return [self._series[series][number - 1] for series, number in named]

    def _make(self, name: str) -> None:
        if name not in self._series:
            kind = self._kinds[min(ord(name[0]) - ord("a"), len(self._kinds) - 1)]
            folder = self._world.folder / f"row{self._row.number}" / name
            self._series[name] = KINDS[kind](folder, self._study)
            self._uids[name] = str(dcmread(self._series[name][0]).SeriesInstanceUID)

    def _title(self, step: Step) -> str:
        """One letter is a sender of this row; a longer name is known to the node as it is."""
        name = step.options.get("as", "")
        return name if len(name) > 1 else f"ROW{self._row.number}{name}"

    # What senders do.

    def _send(self, step: Step) -> None:
        """By an association of its own."""
        how = step.options.get("by", step.options.get("and", "storescu"))
        files = self._files(step.words, sending=True)
        senders.SENDERS[how](files, self._world.node.port, self._title(step))

    def _open(self, step: Step) -> Association:
        """An association that stays open; a sender may have several, `on 1` and `on 2`."""
        name = step.options.get("on", "")
        if name not in self._associations:
            files = self._files(["a"])
            self._associations[name] = senders.associate(files, self._world.node.port, self._title(step))
        return self._associations[name]

    def _store(self, step: Step) -> None:
        """By an association that stays open."""
        senders.store(self._open(step), self._files(step.words, sending=True))

    def _closed(self, step: Step) -> Association:
        return self._associations.pop(step.options.get("on", ""))

    def _release(self, step: Step) -> None:
        self._closed(step).release()

    def _abort(self, step: Step) -> None:
        self._closed(step).abort()

    def _vanish(self, step: Step) -> None:
        """The line is cut, without a word."""
        senders.cut(self._closed(step))

    def _pause(self, step: Step) -> None:
        time.sleep(float(step.words[0]))

    # What senders say.

    def _commit(self, step: Step) -> None:
        """Asks for storage commitment, on an association that it closes again."""
        self._says(step, lambda assoc: senders.commit(assoc, self._files(step.words)))

    def _begin(self, step: Step) -> None:
        """MPPS: a procedure step begins."""
        self._says(step, lambda assoc: senders.begin_step(assoc, self._step))

    def _finish(self, step: Step) -> None:
        """MPPS: it is completed, and lists its images."""
        self._ends(step, "COMPLETED")

    def _discontinue(self, step: Step) -> None:
        self._ends(step, "DISCONTINUED")

    def _ends(self, step: Step, status: str) -> None:
        files = self._files(step.words)
        self._says(step, lambda assoc: senders.end_step(assoc, self._step, status, files))

    def _says(self, step: Step, say: Callable[[Association], None]) -> None:
        assoc = senders.associate(self._files(["a"]), self._world.node.port, self._title(step))
        say(assoc)
        assoc.release()

    # What the source does.

    def _put(self, step: Step) -> None:
        """Images come to the source."""
        source = self._world.source
        assert storescu(self._files(step.words), "127.0.0.1", source.dicom_port, source.ae_title).ok

    def _forward(self, step: Step) -> None:
        """The source sends images that it holds on to the node, as its rules tell it to."""
        source = self._world.source
        found = []
        for path in self._files(step.words, sending=True):
            uid = str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
            query = {"Level": "Instance", "Query": {"SOPInstanceUID": uid}}
            found += json.loads(source.request("POST", "/tools/find", query))
        source.request("POST", f"/modalities/{AE_TITLE}/store", found)

    # What the sender's past holds.

    def _earlier(self, step: Step) -> None:
        """`earlier 5 committed`, `finished` or `split`: series that this sender has sent before."""
        number, how = int(step.words[0]), step.words[1]
        with ThreadPoolExecutor(number) as together:
            list(together.map(lambda index: self._one_earlier(f"a{index}", how), range(number)))
        self._wait(self._settled, "the earlier series are through")

    def _one_earlier(self, name: str, how: str) -> None:
        port, title = self._world.node.port, f"ROW{self._row.number}"
        with self._lock:
            self._make(name)
            files = self._series[name]
            self._sent[name] = set(files)
        if how == "split":
            senders.with_storescu(files[:5], port, title)
            time.sleep(SPLIT_SECONDS)
            senders.with_storescu(files[5:], port, title)
            return
        senders.with_storescu(files, port, title)
        assoc = senders.associate(files, port, title)
        if how == "committed":
            senders.commit(assoc, files)
        else:
            uid = str(generate_uid())
            senders.begin_step(assoc, uid)
            senders.end_step(assoc, uid, "COMPLETED", files)
        assoc.release()

    # What the node does, or is done to it.

    def _await(self, step: Step) -> None:
        """`await run`, `await result at the PACS`, `await start of the run`, `await verdict`."""
        what = step.words[0]
        if what == "run":
            self._awaited += 1
            self._wait(lambda: len(self._jobs(ENDED)) >= self._awaited, "another run has ended")
        elif what == "result":
            self._wait(lambda: bool(self._returned()) and self._settled(), "results are at the PACS")
        elif what == "start":
            self._wait(lambda: bool(self._jobs({JobState.RUNNING})), "a run has begun")
        else:
            self._wait(self._complete, "all series are complete")

    def _return(self, _step: Step) -> None:
        """The PACS sends what it was sent back to the node."""
        results = self._returned()
        known = [row["series_instance_uid"] for row in self._rows()]
        senders.with_storescu(results, self._world.node.port, "PACS")
        self._wait(
            lambda: len(self._rows()) > len(known) and self._complete(), "the results are held and judged"
        )

    def _restart(self, _step: Step) -> None:
        self._world.gate.wait(PATIENCE * 2)

    _kill = _set = _restart

    def _returned(self) -> list[Path]:
        """Results of this study that have come to the PACS."""
        files = [path for path in self._world.pacs.files() if path.suffix != ".tmp"]
        return [path for path in files if self._is_ours(path)]

    def _is_ours(self, path: Path) -> bool:
        try:
            return str(dcmread(path, stop_before_pixels=True).StudyInstanceUID) == self._study
        except Exception:  # noqa: BLE001 - it is being written
            return False

    def _rows(self) -> list[dict[str, Any]]:
        """The study's series, results among them, as the ledger has them."""
        series, _jobs = self._world.look()
        return [row for row in series if row["study_instance_uid"] == self._study]

    def _jobs(self, states: set[JobState] | None = None) -> list[dict[str, Any]]:
        """The study's jobs, oldest first."""
        _series, jobs = self._world.look()
        ours = set(self._uids.values())
        found = [job for job in reversed(jobs) if job["series_instance_uid"] in ours]
        found.sort(key=lambda job: job["revision"])  # a clock that is set back makes later ones look older
        return [job for job in found if states is None or job["state"] in states]

    def _complete(self) -> bool:
        """All that was sent is held, and every series is complete."""
        held = {row["series_instance_uid"]: row["images"] for row in self._rows()}
        come = all(held.get(self._uids[name]) == len(files) for name, files in self._sent.items())
        return come and all(row["state"] == SeriesState.COMPLETE for row in self._rows())

    def _settled(self) -> bool:
        """Likewise, and no job waits or runs."""
        return self._complete() and not self._jobs({JobState.QUEUED, JobState.RUNNING})

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        wait_until(ready, seconds=PATIENCE, every=0.25, what=f"row {self._row.number}: {what}")

    def _outcome(self, uid: str) -> Outcome:
        (row,) = (row for row in self._rows() if row["series_instance_uid"] == uid)
        noted = iter(
            line.split()[1] for line in self._world.notes.read_text().splitlines() if line.startswith(uid)
        )
        runs = [
            next(noted) if job["state"] == JobState.DONE else str(job["state"])
            for job in self._jobs()
            if job["series_instance_uid"] == uid
        ]
        runs += [f"urgent {job['priority']}" for job in self._jobs() if job["priority"]]
        verdict = row["verdict"]
        return Outcome(verdict["evidence"], verdict["reason"], verdict["doubtful"], ", ".join(runs) or "none")


def disturb(world: World, how: str) -> None:
    """Restarts or kills the node or one of its processes, and waits for its answer; or sets its clock."""
    node = world.node
    if how.startswith("set clock"):
        assert world.clock is not None
        world.clock.put(3600 if how.endswith("forward") else -3600)
        return
    action, what = how.split()
    if what != "node":
        node.kill_role(what)
        time.sleep(1.0)
        wait_until(
            lambda: echoscu("127.0.0.1", node.port, AE_TITLE), seconds=PATIENCE, what="the node answers"
        )
        return
    if action == "kill":
        node.kill()
    else:
        node.stop()
    node.start()
