"""What was measured in a patient's earlier studies: as the ledger knows it, and as archives' reports say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import structlog
from pydicom import Dataset, dcmread

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
"""After which no more reports are fetched: a result does not wait for a slow archive."""
REPORTS = "(AI report)"
"""How the descriptions of our reports end."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Earlier values, and in words for the radiologist why some may be missing."""

    values: tuple[Measured, ...]
    faults: tuple[str, ...] = ()


def look_up(order: Order, config: Config, spool: Spool | None) -> Earlier:
    """The patient's earlier values; asks those of the job's destinations that may be. Raises nothing."""
    values, faults = list(order.earlier), []
    for name in (taker.name for taker in order.takers):
        destination = config.destinations[name]
        if destination.priors:
            try:
                header = read_header(next(iter(order.paths.values()))[0])
                for report in _reports(destination, config.node.ae_title, header, spool):
                    values += read_measured(report)
            except (NodeError, OSError) as fault:
                log.warning("earlier_not_asked", destination=name, error=str(fault))
                faults.append(f"Earlier studies could not be looked up at {name}.")
    return Earlier(tuple(dict.fromkeys(values)), tuple(faults))


def _reports(
    archive: DestinationConfig, ae_title: str, header: Dataset, spool: Spool | None
) -> Iterator[Dataset]:
    """Reports of ours that an archive holds of the patient's earlier studies. Raises NodeError, OSError."""
    person, until = person_of(header), time.monotonic() + BUDGET_SECONDS
    before = str(header.get("StudyDate") or "")
    if not before:
        return
    patient = Patient(person.patient_id, person.birth_date)
    for one in find_priors(archive, ae_title, patient, before, ("SR",), STUDIES):
        if time.monotonic() > until:
            raise TimeoutError("fetching earlier reports took too long")
        if not one.description or one.description.endswith(REPORTS):  # some archives tell none
            yield from _fetched(archive, ae_title, one, person.patient_id, spool)


def _fetched(
    archive: DestinationConfig, ae_title: str, one: PriorSeries, patient_id: str, spool: Spool | None
) -> Iterator[Dataset]:
    """The objects of a series; where the archive moved them here, they lie in the spool."""
    files: list[bytes] = []
    series = one.study_instance_uid, one.series_instance_uid
    came = retrieve(
        archive,
        ae_title,
        *series,
        lambda _uid, file: files.append(file),
        patient_id=patient_id,
        patience=archive.timeout,
    )
    if came.by == "move" and spool is not None:
        files += [path.read_bytes() for path in spool.series_paths(*series)]
    for file in files:
        with suppress(*ODD_VALUES):
            yield dcmread(BytesIO(file))
