"""Whether a destination really holds what it answered success for: it is asked to list it.

Some archives answer success before they store, and some drop what they can't file. Where `confirm` is set,
an object counts as delivered when the destination lists it under its study and series.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import httpx
from pydicom import dcmread

from dicom_node.association.find import finder
from dicom_node.config.models import DestinationConfig
from dicom_node.errors import BadInput, NodeError, PeerRefused, PeerUnavailable, Transient
from dicom_node.headers import ODD_VALUES
from dicom_node.records import Delivery, DeliveryOutcome

PAUSES = (0.0, 0.5, 1.5, 3.0)
"""Seconds before each question: archives file what they took a moment later."""
SOP_INSTANCE_UID = "00080018"

Lister = Callable[["Place"], set[str]]
"""Gives the SOP Instance UIDs that a destination lists of a series."""


class Place(NamedTuple):
    """Where an object stands in the hierarchy, by keyword."""

    StudyInstanceUID: str
    SeriesInstanceUID: str
    PatientID: str


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
    places: dict[Delivery, Place] = {}
    faults: dict[int, NodeError] = {}
    for delivery, outcome in zip(deliveries, outcomes, strict=True):
        try:
            if outcome.error is None:
                places[delivery] = _place(delivery, open_path)
        except NodeError as error:
            faults[delivery.id] = error
    faults |= _missing(places, destination, node_ae_title)
    return [
        one if (fault := faults.get(one.delivery_id)) is None else _unconfirmed(one, fault)
        for one in outcomes
    ]


def _unconfirmed(outcome: DeliveryOutcome, fault: NodeError) -> DeliveryOutcome:
    """No success after all; the destination may hold the object all the same."""
    return replace(outcome, error=str(fault), transient=isinstance(fault, Transient), absent=False)


def _missing(
    places: dict[Delivery, Place], destination: DestinationConfig, node_ae_title: str
) -> dict[int, NodeError]:
    """Why each delivery of which it is not known that the destination holds it is not confirmed."""
    fault: NodeError = Transient(f"{destination.where} answered success, but does not list the object")
    missing = set(places)
    for pause in PAUSES if places else ():
        time.sleep(pause)
        try:
            for listed in _listed({places[one] for one in missing}, destination, node_ae_title):
                missing = {one for one in missing if one.sop_instance_uid not in listed}
        except NodeError as error:
            fault = type(error)(f"{error}; so it is not known whether it holds what it answered success for")
        if not missing or not isinstance(fault, Transient):
            break
    return {delivery.id: fault for delivery in missing}


def _place(delivery: Delivery, open_path: Callable[[str], Path]) -> Place:
    """Where a delivery's file says that it belongs. Raises BadInput; Transient where it may be read later."""
    try:
        ds = dcmread(open_path(delivery.path), stop_before_pixels=True, specific_tags=[*Place._fields])
        place = Place(*(str(ds.get(keyword) or "") for keyword in Place._fields))
    except FileNotFoundError as error:
        raise BadInput(f"the file {delivery.path} is missing from the spool") from error
    except ODD_VALUES as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise Transient(f"{delivery.path} cannot be read: {error.strerror}") from error
        raise BadInput(f"{delivery.path} is no DICOM file that can be read") from error
    if not (place.StudyInstanceUID and place.SeriesInstanceUID):  # it would be asked for all that there is
        raise BadInput(f"{delivery.path} names no study or series")
    return place


def _listed(
    places: Iterable[Place], destination: DestinationConfig, node_ae_title: str
) -> Iterator[set[str]]:
    """SOP Instance UIDs that the destination lists, place by place: a fault undoes no answer before it."""
    asking = _by_qido(destination) if destination.url is not None else _by_c_find(destination, node_ae_title)
    with asking as ask:
        for place in places:
            yield ask(place)


@contextmanager
def _by_c_find(destination: DestinationConfig, node_ae_title: str) -> Iterator[Lister]:
    with finder(destination, node_ae_title) as ask:

        def instances(place: Place) -> set[str]:
            keys = place._asdict()
            if not ask.patient_root:
                del keys["PatientID"]
            keys["SOPInstanceUID"] = ""
            return {str(one.get("SOPInstanceUID", "")) for one in ask.find("IMAGE", **keys)}

        yield instances


@contextmanager
def _by_qido(destination: DestinationConfig) -> Iterator[Lister]:
    """QIDO-RS (PS3.18 10.6): of the answers, the UIDs alone are looked at."""
    with httpx.Client(timeout=destination.timeout, headers={"Accept": "application/dicom+json"}) as client:

        def instances(place: Place) -> set[str]:
            try:
                answer = client.get(
                    f"{destination.url}/studies/{place.StudyInstanceUID}"
                    f"/series/{place.SeriesInstanceUID}/instances"
                )
                found = answer.json() if answer.status_code == httpx.codes.OK else []
                return {str(one[SOP_INSTANCE_UID]["Value"][0]) for one in found}
            except (LookupError, TypeError, ValueError) as error:
                raise PeerRefused(f"{destination.where} answered QIDO-RS with something else") from error
            except httpx.RequestError as error:
                raise PeerUnavailable(f"{destination.where} does not answer QIDO-RS") from error

        yield instances
