"""What was measured in a patient's earlier studies: as the ledger knows it, and as archives' reports say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from operator import attrgetter

import structlog
from pydicom import Dataset, dcmread

from dicom_node.association.peer import intelligible
from dicom_node.config import Config, DestinationConfig
from dicom_node.encode import person_of, read_measured
from dicom_node.errors import NodeError
from dicom_node.headers import ODD_VALUES, read_header
from dicom_node.node.orders import Order
from dicom_node.query import PriorSeries, find_priors, retrieve
from dicom_node.query.priors import Patient
from dicom_node.records import Measured
from dicom_node.spool import Spool

log = structlog.get_logger()
STUDIES = 10
"""Earlier studies that are looked into, the newest."""
BUDGET_SECONDS = 60.0
"""After which archives are asked no more, however many: a result does not wait for a slow one."""
SHARE = 4
"""What part of a stage's time limit asking may take: a result that is made late is lost."""
REPORTS = "(AI report)"
"""How the descriptions of our reports end; some archives tell none."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Earlier values, and in words for the radiologist why some may be missing."""

    values: tuple[Measured, ...]
    faults: tuple[str, ...] = ()


def look_up(order: Order, config: Config, spool: Spool | None) -> Earlier:
    """The patient's earlier values; asks those of the job's destinations that may be, all in one time.

    Raises nothing: whatever an archive does or sends, the result is made, and a note says what it lacks.
    """
    values, faults = list(order.earlier), []
    until = time.monotonic() + _budget(order, config)
    for name in (taker.name for taker in order.takers):
        destination = config.destinations[name]
        if destination.priors:
            archive = _Archive(destination, config.node.ae_title, spool, until)
            try:
                header = read_header(next(iter(order.paths.values()))[0])
                for reports in archive.reports(header):
                    values += read_measured(*reports)
            except (NodeError, OSError) as fault:
                log.warning("earlier_not_asked", destination=name, error=str(fault))
            except Exception:
                log.exception("earlier_not_understood", destination=name)
            else:
                continue
            faults.append(f"Earlier studies could not be looked up at {name}.")
    return Earlier(tuple(dict.fromkeys(values)), tuple(faults))


def _budget(order: Order, config: Config) -> float:
    """Seconds that archives have for all that they are asked."""
    pipeline = config.pipelines.get(order.pipeline)
    limit = pipeline.time_limit if pipeline else 0
    return min(BUDGET_SECONDS, limit / SHARE) if limit else BUDGET_SECONDS


@dataclass(frozen=True, slots=True)
class _Archive:
    """A destination that is asked, as whom, where it moves things to, and until when by time.monotonic()."""

    peer: DestinationConfig
    ae_title: str
    spool: Spool | None
    until: float

    def reports(self, header: Dataset) -> Iterator[list[Dataset]]:
        """Reports of ours, and maybe others, on the patient's earlier studies, study by study.

        Raises PeerUnavailable, also where time is over, PeerRefused, OSError.
        """
        person, day = person_of(header), str(header.get("StudyDate") or "")
        if not day:
            return
        patient = Patient(person.patient_id, person.birth_date)
        with intelligible(self.peer):
            series = find_priors(self.peer, self.ae_title, patient, day, ("SR",), STUDIES, self.until)
        for _study, ones in groupby(series, key=attrgetter("study_instance_uid")):
            told = (one for one in ones if not one.description or one.description.endswith(REPORTS))
            yield [report for one in told for report in self._fetched(one, person.patient_id)]

    def _fetched(self, one: PriorSeries, patient_id: str) -> Iterator[Dataset]:
        """The objects of a series; where the archive moved them here, they lie in the spool."""
        files: list[bytes] = []
        series = one.study_instance_uid, one.series_instance_uid
        with intelligible(self.peer):
            came = retrieve(
                self.peer,
                self.ae_title,
                *series,
                lambda _uid, file: files.append(file),
                patient_id=patient_id,
                patience=self.peer.timeout,
                until=self.until,
            )
        if came.by == "move" and self.spool is not None:
            files += [path.read_bytes() for path in self.spool.series_paths(*series)]
        for file in files:
            with suppress(*ODD_VALUES):
                yield dcmread(BytesIO(file))
