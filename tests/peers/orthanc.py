"""Orthanc as a PACS: DIMSE and DICOMweb on free ports of its own, its storage in a folder of the test's."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.peers.process import NO_NAGLE, end, free_port, missing, need, start, wait_until

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """A series as Orthanc's REST interface shows it.

    Attributes:
        instances: SOP Instance UIDs, by Orthanc's identifier of the instance.
    """

    series_instance_uid: str
    modality: str
    description: str
    number: str
    instances: Mapping[str, str]


@dataclass
class Orthanc:
    """A PACS that starts with the block and ends with it; `stop` and `start` keep what it holds.

    Attributes:
        folder: where its storage, configuration and log lie.
        options: added to its configuration, over what stands here.
    """

    folder: Path
    ae_title: str = "ORTHANC"
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    options: Mapping[str, Any] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "orthanc.log"

    @property
    def dicomweb_url(self) -> str:
        """Base of its QIDO-RS, WADO-RS and STOW-RS."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        if not DICOMWEB_PLUGIN.exists():
            missing("orthanc-dicomweb is not installed; `sudo make peers` installs the peers")
        program = need("Orthanc")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration(), indent=1))
        self._process = process = start(
            [program, configuration], log=self.log, folder=self.folder, environment=NO_NAGLE
        )
        try:
            wait_until(lambda: self._answers(process), what="Orthanc answers")
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stops it and waits for its end, some seconds: until then it holds the lock of its storage."""
        self._end(seconds=30)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """For as long as the block lasts it accepts connections, and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it at once, as a power cut does."""
        self._end(seconds=0)

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        """One call of the REST interface; `body` goes as JSON. Raises OSError unless it answers with 2xx."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status // 100 != 2:
            raise OSError(f"Orthanc: {method} {path}: {response.status} {response.reason}")
        return content

    def get(self, path: str) -> Any:
        """The JSON at a path of the REST interface, such as "/studies"."""
        return json.loads(self.request("GET", path))

    def study_uids(self) -> list[str]:
        """Study Instance UIDs of all that it holds."""
        return [study["MainDicomTags"]["StudyInstanceUID"] for study in self.get("/studies?expand")]

    def series(self, study_instance_uid: str) -> list[StoredSeries]:
        """The series that it holds of a study, by Series Instance UID; empty where it holds none."""
        found = self._find("Study", study_instance_uid, "StudyInstanceUID")
        rows = [row for study in found for row in self.get(f"/studies/{study}/series")]
        series = [self._series(row) for row in rows]
        return sorted(series, key=lambda one: one.series_instance_uid)

    def count(self) -> int:
        """Number of instances that it holds."""
        return int(self.get("/statistics")["CountInstances"])

    def download(self, sop_instance_uid: str, folder: Path) -> Path:
        """Writes an instance, as it is stored, to a file of the folder. Raises LookupError if it has none."""
        found = self._find("Instance", sop_instance_uid, "SOPInstanceUID")
        if not found:
            raise LookupError(f"Orthanc holds no instance {sop_instance_uid}")
        file = folder / f"{sop_instance_uid}.dcm"
        file.write_bytes(self.request("GET", f"/instances/{found[0]}/file"))
        return file

    def wait_for_instances(self, number: int, *, seconds: float = 60) -> None:
        """Waits until it holds that many instances, or more."""
        wait_until(lambda: self.count() >= number, seconds=seconds, what=f"Orthanc holds {number} instances")

    def send_study(self, study_instance_uid: str, ae_title: str, port: int) -> None:
        """Sends a study by C-STORE to a node on this machine, as an auto-forward rule does."""
        self.request("PUT", f"/modalities/{ae_title}", [ae_title, "127.0.0.1", port])
        study = self._find("Study", study_instance_uid, "StudyInstanceUID")
        self.request("POST", f"/modalities/{ae_title}/store", study)

    def _end(self, seconds: float) -> None:
        if self._process is not None:
            end(self._process, seconds=seconds)
            self._process = None

    def _find(self, level: str, uid: str, keyword: str) -> list[str]:
        """Orthanc's identifiers of what has a UID."""
        query = {"Level": level, "Query": {keyword: uid}}
        return list(json.loads(self.request("POST", "/tools/find", query)))

    def _series(self, row: Mapping[str, Any]) -> StoredSeries:
        tags = row["MainDicomTags"]
        instances = self.get(f"/series/{row['ID']}/instances")
        return StoredSeries(
            series_instance_uid=tags["SeriesInstanceUID"],
            modality=tags.get("Modality", ""),
            description=tags.get("SeriesDescription", ""),
            number=tags.get("SeriesNumber", ""),
            instances={one["ID"]: one["MainDicomTags"]["SOPInstanceUID"] for one in instances},
        )

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"Orthanc ended at once:\n{self.log.read_text(errors='replace')[-2000:]}")
        try:
            self.get("/system")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def _configuration(self) -> dict[str, Any]:
        storage = str(self.folder / "storage")
        return {
            "Name": self.ae_title,
            "StorageDirectory": storage,
            "IndexDirectory": storage,
            "Plugins": [str(DICOMWEB_PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": True,
            "SaveJobs": False,
            "StableAge": 2,
            **self.options,
        }
