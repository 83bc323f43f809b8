"""A site whose queue is full: series in its spool, their jobs in its ledger, and nothing else runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import generate_uid
from ruamel.yaml import YAML

from dicom_node.headers import plain, read_header, slice_fields
from dicom_node.ledger import Indexed, Ledger, NewJob
from dicom_node.phantom import axial_grid, write_series
from dicom_node.records import Instance, JobState, ReceiverEvent, Verdict
from dicom_node.spool import Spool

WHOLE = Verdict(True, "geometry", "released, whole")


@dataclass
class Queued:
    """A node's folder with conf.yaml, in which a worker finds work.

    Attributes:
        folder: made where there is none.
        pipelines: that section of conf.yaml.
        sections: other sections of conf.yaml.
    """

    folder: Path
    pipelines: Mapping[str, Any]
    sections: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        node = {"data": "data"} | dict(self.sections.get("node", {}))
        web: dict[str, Any] = {"web": None}
        with self.config_path.open("w") as file:
            routes = {"routes": [{"name": "all", "run": name} for name in list(self.pipelines)[:1]]}
            mine = {"node": node, "pipelines": dict(self.pipelines)}
            YAML().dump(web | routes | dict(self.sections) | mine, file)
        self.spool = Spool(self.folder / "data" / "spool")
        self.ledger = Ledger(f"sqlite:///{self.folder / 'data' / 'ledger.sqlite'}")
        self.ledger.migrate()

    @property
    def config_path(self) -> Path:
        """conf.yaml."""
        return self.folder / "conf.yaml"

    def series(self, array: Any, spacing: tuple[float, float, float] = (2.0, 1.0, 1.0)) -> str:
        """Puts an axial CT of (k, j, i) in HU into the spool and the ledger; gives its UID."""
        uid = str(generate_uid())
        made = write_series(
            array,
            axial_grid(array.shape, spacing),
            self.folder / "made",
            "CT",
            {"SeriesInstanceUID": uid, "StudyInstanceUID": str(generate_uid())},
        )
        target = self.spool.root / "instances" / uid
        shutil.copytree(self.folder / "made", target)
        shutil.rmtree(self.folder / "made")
        indexed = [self._indexed(target / path.name) for path in made]
        events = [ReceiverEvent("stored", instance=one.instance) for one in indexed]
        by_path = {one.instance.path: one for one in indexed}
        self.ledger.arrivals.apply(events, by_path, datetime.now(UTC), None)
        return uid

    def late_image(self, series_instance_uid: str) -> None:
        """One more image of a series arrives."""
        folder = self.spool.root / "instances" / series_instance_uid
        ds = dcmread(sorted(folder.iterdir())[-1])
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.InstanceNumber += 1
        ds.ImagePositionPatient[2] += ds.SliceThickness
        path = folder / "late.dcm"
        ds.save_as(path)
        one = self._indexed(path)
        event = ReceiverEvent("stored", instance=one.instance)
        self.ledger.arrivals.apply([event], {one.instance.path: one}, datetime.now(UTC), None)

    def job(self, series_instance_uid: str, pipeline: str, *, priority: int = 0, route: str = "all") -> str:
        """Queues a job on a series; gives its id. Its first one completes the series."""
        new = NewJob(route, pipeline, {"image": series_instance_uid}, (), priority, {"when": []})
        now = datetime.now(UTC) - timedelta(seconds=1)
        queued = self.ledger.work.complete(series_instance_uid, 1, WHOLE, [new], now)
        identity = queued[0] if queued else self.ledger.work.queue(new, now)
        assert identity is not None  # noqa: S101 - another route or pipeline is another job
        return identity

    def open(self) -> int:
        """How many jobs wait or run."""
        counts = self.ledger.work.counts()
        return counts.get(JobState.QUEUED, 0) + counts.get(JobState.RUNNING, 0)

    def _indexed(self, path: Path) -> Indexed:
        ds = read_header(path)
        instance = Instance(
            sop_instance_uid=ds.SOPInstanceUID,
            sop_class_uid=ds.SOPClassUID,
            series_instance_uid=ds.SeriesInstanceUID,
            study_instance_uid=ds.StudyInstanceUID,
            transfer_syntax_uid=ds.file_meta.TransferSyntaxUID,
            path=str(path.relative_to(self.spool.root)),
            size=path.stat().st_size,
            digest=path.stem,
            association_id="a1",
            received_at=datetime.now(UTC),
        )
        return Indexed(instance, plain(ds), slice_fields(ds))
