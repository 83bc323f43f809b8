"""Which earlier series of the same patient a PACS holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydicom import Dataset

from dicom_node.association import Peer
from dicom_node.association.find import Finder, finder


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
) -> list[PriorSeries]:
    """Series of the patient's studies dated before a day, newest first.

    Args:
        peer: the PACS to ask.
        calling_ae_title: who we are.
        patient: compared exactly in every answer: matching by the peer may ignore case or take a "*" in
            an ID for a wild card (PS3.4 C.2.2.2.4).
        before: DICOM DA of the current study; studies of that day or later are left out.
        modalities: which to list; empty: all.
        limit: at most so many studies are looked into.

    Raises:
        PeerUnavailable: no answer. PeerRefused: it does not answer such questions.
    """
    if not patient.patient_id:
        return []
    with finder(peer, calling_ae_title) as ask:
        studies = [
            study
            for study in ask.find(
                "STUDY",
                PatientID=patient.patient_id,
                PatientBirthDate="",
                StudyDate=f"-{before}",
                StudyInstanceUID="",
            )
            if _same_patient(study, patient) and "" < str(study.get("StudyDate", "")) < before
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
        modality, count = str(series.get("Modality", "")), series.get("NumberOfSeriesRelatedInstances")
        if not modalities or modality in modalities:
            yield PriorSeries(
                study_instance_uid=upper["StudyInstanceUID"],
                series_instance_uid=str(series.SeriesInstanceUID),
                study_date=str(study.StudyDate),
                modality=modality,
                description=str(series.get("SeriesDescription", "") or ""),
                instances=int(count) if str(count).isdigit() else None,
            )
