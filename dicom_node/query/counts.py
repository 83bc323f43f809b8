"""How many images a source holds of each series of a study: evidence that nothing is missing here."""

from __future__ import annotations

from pydicom import Dataset

from dicom_node.association import Peer
from dicom_node.association.find import Finder, finder


def count_instances(
    peer: Peer, calling_ae_title: str, study_instance_uid: str, patient_id: str = ""
) -> dict[str, int]:
    """Number of Series Related Instances (0020,1209) by Series Instance UID, as the peer answers C-FIND.

    Where the peer does not give the number, the images that it lists are counted. A study that it does
    not hold gives an empty dict.

    Args:
        peer: the source to ask.
        calling_ae_title: who we are.
        study_instance_uid: the study.
        patient_id: needed only where the peer answers in the Patient Root model alone.

    Raises:
        PeerUnavailable: no answer. PeerRefused: it does not answer such questions.
    """
    with finder(peer, calling_ae_title) as ask:
        upper = {"StudyInstanceUID": study_instance_uid}
        if ask.patient_root:
            upper["PatientID"] = patient_id
        series = list(ask.find("SERIES", **upper, SeriesInstanceUID="", NumberOfSeriesRelatedInstances=""))
        return {
            str(answer.SeriesInstanceUID): _count(ask, answer, upper)
            for answer in series
            if answer.get("SeriesInstanceUID") and _of_study(answer, study_instance_uid)
        }


def _of_study(answer: Dataset, study_instance_uid: str) -> bool:
    """Some peers answer with more than they were asked for."""
    return str(answer.get("StudyInstanceUID", study_instance_uid)) == study_instance_uid


def _count(ask: Finder, answer: Dataset, upper: dict[str, str]) -> int:
    number = answer.get("NumberOfSeriesRelatedInstances")
    if number is not None and str(number).strip().isdigit():
        return int(number)
    images = ask.find("IMAGE", **upper, SeriesInstanceUID=str(answer.SeriesInstanceUID), SOPInstanceUID="")
    return len({str(image.SOPInstanceUID) for image in images if image.get("SOPInstanceUID")})
