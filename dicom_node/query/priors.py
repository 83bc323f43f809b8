"""Which earlier series of the same patient a PACS holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydicom import Dataset

from dicom_node.association import Peer
from dicom_node.association.find import Finder, finder

ANSWERS = 2000
"""A patient's studies, or a study's series: a peer that names more does not answer what it was asked."""
_MATCHES_OTHERS = frozenset("*?\\")
"""Wild cards, and what parts several values (PS3.4 C.2.2.2, PS3.5 6.2)."""


@dataclass(frozen=True, slots=True)
class PriorSeries:
    """An earlier series; holds what decides whether it is worth fetching."""

    study_instance_uid: str
    series_instance_uid: str
    study_date: str
    """DICOM DA, YYYYMMDD."""
    modality: str
    description: str
    instances: int | None
    """Number of Series Related Instances, where the peer says."""


@dataclass(frozen=True, slots=True)
class Patient:
    """Whose priors: an ID alone is not a person, so a birth date that is known has to agree."""

    patient_id: str
    birth_date: str = ""
    """DICOM DA; empty: not known."""


def find_priors(
    peer: Peer,
    calling_ae_title: str,
    patient: Patient,
    before: str,
    modalities: Collection[str] = (),
    limit: int = 20,
    until: float | None = None,
) -> list[PriorSeries]:
    """Series of the patient's studies dated before a day, newest first, those of a study together.

    Args:
        peer: the PACS to ask.
        calling_ae_title: who we are.
        patient: compared exactly in every answer, since a peer may ignore case; an ID that stands for
            others too, with a "*" or "?" (PS3.4 C.2.2.2.4), is not asked for and has no priors.
        before: DICOM DA of the current study; studies of that day or later are left out.
        modalities: which to list; empty: all.
        limit: at most so many studies are looked into.
        until: by time.monotonic(), when all answers have to be there; None: each in the peer's time limit.

    Raises:
        PeerUnavailable: no answer in time.
        PeerRefused: it does not answer such questions, or with more than `ANSWERS`.
    """
    if not patient.patient_id or _MATCHES_OTHERS & set(patient.patient_id):
        return []
    with finder(peer, calling_ae_title, until, ANSWERS) as ask:
        studies = [
            study
            for study in ask.find(
                "STUDY",
                PatientID=patient.patient_id,
                PatientBirthDate="",
                StudyDate=f"-{before}",
                StudyInstanceUID="",
            )
            if _uid(study, "StudyInstanceUID")
            and _same_patient(study, patient)
            and "" < str(study.get("StudyDate", "")) < before
        ]
        studies.sort(key=lambda study: str(study.StudyDate), reverse=True)
        return [series for study in studies[:limit] for series in _series(ask, study, patient, modalities)]


def _same_patient(study: Dataset, patient: Patient) -> bool:
    born = str(study.get("PatientBirthDate", "") or "")
    agrees = not born or not patient.birth_date or born == patient.birth_date
    return str(study.get("PatientID", "")) == patient.patient_id and agrees


def _series(
    ask: Finder, study: Dataset, patient: Patient, modalities: Collection[str]
) -> Iterator[PriorSeries]:
    upper = {"StudyInstanceUID": str(study.StudyInstanceUID)}
    if ask.patient_root:
        upper["PatientID"] = patient.patient_id
    wanted = {
        "SeriesInstanceUID": "",
        "Modality": "",
        "SeriesDescription": "",
        "NumberOfSeriesRelatedInstances": "",
    }
    for series in ask.find("SERIES", **upper, **wanted):
        uid = _uid(series, "SeriesInstanceUID")
        modality, count = str(series.get("Modality", "")), series.get("NumberOfSeriesRelatedInstances")
        if uid and (not modalities or modality in modalities):
            yield PriorSeries(
                study_instance_uid=upper["StudyInstanceUID"],
                series_instance_uid=uid,
                study_date=str(study.StudyDate),
                modality=modality,
                description=str(series.get("SeriesDescription", "") or ""),
                instances=int(count) if str(count).isdigit() else None,
            )


def _uid(answer: Dataset, keyword: str) -> str:
    """A unique key that an answer has to have (PS3.4 C.2.2.1.1); empty where it has none, or several."""
    value = answer.get(keyword)
    return str(value) if isinstance(value, str) else ""
