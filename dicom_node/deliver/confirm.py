"""Whether a destination really holds what it answered success for: it is asked to list it.

Some archives answer success before they store, and some drop what they can't file. Where `confirm` is set,
an object counts as delivered when the destination lists it under its study and series.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import httpx
from pydicom import dcmread

from dicom_node.association.find import finder
from dicom_node.config.models import DestinationConfig
from dicom_node.errors import NodeError, PeerRefused, PeerUnavailable, Transient
from dicom_node.records import Delivery, DeliveryOutcome

PAUSES = (0.0, 0.5, 1.5, 3.0)
"""Seconds before each question: archives file what they took a moment later."""
SOP_INSTANCE_UID = "00080018"

Lister = Callable[["Place"], set[str]]
"""Gives the SOP Instance UIDs that a destination lists of a series."""


class Place(NamedTuple):
    """Where an object stands in the hierarchy."""

    study_instance_uid: str
    series_instance_uid: str
    patient_id: str


def confirmed(
    deliveries: Sequence[Delivery],
    outcomes: Sequence[DeliveryOutcome],
    destination: DestinationConfig,
    node_ae_title: str,
    open_path: Callable[[str], Path],
) -> list[DeliveryOutcome]:
    """The outcomes, in which a success is one only where the destination lists the object. Raises nothing.

    Args:
        deliveries: what was sent.
        outcomes: how each fared, in the same order.
        destination: where it was sent to.
        node_ae_title: the calling AE title.
        open_path: gives the file of a delivery's `path`.
    """
    places = {
        delivery: _place(open_path(delivery.path))
        for delivery, outcome in zip(deliveries, outcomes, strict=True)
        if outcome.error is None
    }
    fault: NodeError = Transient(f"{destination.where} answered success, but does not list the object")
    missing = set(places)
    for pause in PAUSES if places else ():
        time.sleep(pause)
        try:
            missing -= _listed({one: places[one] for one in missing}, destination, node_ae_title)
        except NodeError as error:
            fault = type(error)(f"{error}; so it is not known whether it holds what it answered success for")
        if not missing or not isinstance(fault, Transient):
            break
    lost, later = {delivery.id for delivery in missing}, isinstance(fault, Transient)
    return [
        replace(one, error=str(fault), transient=later) if one.delivery_id in lost else one
        for one in outcomes
    ]


def _place(path: Path) -> Place:
    ds = dcmread(path, stop_before_pixels=True, specific_tags=[*_KEYWORDS])
    return Place(*(str(ds.get(keyword, "")) for keyword in _KEYWORDS))


_KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", "PatientID")


def _listed(
    places: dict[Delivery, Place], destination: DestinationConfig, node_ae_title: str
) -> set[Delivery]:
    asking = _by_qido(destination) if destination.url is not None else _by_c_find(destination, node_ae_title)
    with asking as ask:
        lists = {place: ask(place) for place in set(places.values())}
    return {delivery for delivery, place in places.items() if delivery.sop_instance_uid in lists[place]}


@contextmanager
def _by_c_find(destination: DestinationConfig, node_ae_title: str) -> Iterator[Lister]:
    with finder(destination, node_ae_title) as ask:

        def instances(place: Place) -> set[str]:
            keys = {"PatientID": place.patient_id} if ask.patient_root else {}
            keys |= {
                "StudyInstanceUID": place.study_instance_uid,
                "SeriesInstanceUID": place.series_instance_uid,
                "SOPInstanceUID": "",
            }
            return {str(one.get("SOPInstanceUID", "")) for one in ask.find("IMAGE", **keys)}

        yield instances


@contextmanager
def _by_qido(destination: DestinationConfig) -> Iterator[Lister]:
    """QIDO-RS (PS3.18 10.6): of the answers, the UIDs alone are looked at."""
    with httpx.Client(timeout=destination.timeout, headers={"Accept": "application/dicom+json"}) as client:

        def instances(place: Place) -> set[str]:
            try:
                answer = client.get(
                    f"{destination.url}/studies/{place.study_instance_uid}"
                    f"/series/{place.series_instance_uid}/instances"
                )
                found = answer.json() if answer.status_code == httpx.codes.OK else []
                return {str(one[SOP_INSTANCE_UID]["Value"][0]) for one in found}
            except (LookupError, TypeError, ValueError) as error:
                raise PeerRefused(f"{destination.where} answered QIDO-RS with something else") from error
            except httpx.TransportError as error:
                raise PeerUnavailable(f"{destination.where} does not answer QIDO-RS") from error

        yield instances
