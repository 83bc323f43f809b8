"""Delivery by STOW-RS (PS3.18 10.5): one request for each object, streamed from its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from dicom_node.config.models import DestinationConfig
from dicom_node.deliver.outcomes import answered, failed
from dicom_node.errors import BadInput, NodeError, PeerRefused, PeerUnavailable, Transient
from dicom_node.records import Delivery, DeliveryOutcome

CHUNK = 1 << 20
"""Bytes read from a file at a time."""
FAILED_SOP_SEQUENCE, FAILURE_REASON, WARNING_REASON = "00081198", "00081197", "00081196"
REFERENCED_SOP_SEQUENCE, SOP_INSTANCE_UID = "00081199", "00081155"
"""Tags of the response's DICOM JSON (PS3.18 table 10.5.3-1)."""

_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_IMPLEMENTED = 501
_PERHAPS_STORED = {408, 500, 502, 504}
"""Statuses of a server, or of a proxy before it, that may have failed after it had stored."""
_REFUSALS = {
    400: "it calls the request malformed",
    401: "it wants a user and password; give them in the url",
    403: "it does not allow this node to store",
    404: "there is no STOW-RS at this url",
    405: "there is no STOW-RS at this url",
    413: "the object is larger than it takes",
    415: "it does not take this transfer syntax",
}


def send(
    deliveries: Sequence[Delivery],
    destination: DestinationConfig,
    open_path: Callable[[str], Path],
    settled: Callable[[DeliveryOutcome], None] = lambda _outcome: None,
) -> list[DeliveryOutcome]:
    """Sends objects to one destination and says how each fared, in the order given. Raises nothing.

    Args:
        deliveries: what to send, all owed to this destination.
        destination: whom to send it to; it has a `url`.
        open_path: gives the file of a delivery's `path`.
        settled: called with each outcome as soon as it is known.
    """
    outcomes: list[DeliveryOutcome] = []
    away: PeerUnavailable | None = None
    with httpx.Client(timeout=destination.timeout) as client:
        for delivery in deliveries:
            try:
                if away is None:
                    outcome = _store(client, delivery, destination, open_path(delivery.path))
                else:
                    outcome = failed(delivery, away, absent=True)
            except NodeError as error:
                away = error if isinstance(error, PeerUnavailable) else None
                outcome = failed(delivery, error, absent=not isinstance(error, _UnansweredError))
            outcomes.append(outcome)
            settled(outcome)
    return outcomes


def reach(destination: DestinationConfig) -> None:
    """Asks for a store of nothing at all.

    Raises:
        PeerUnavailable: no answer. PeerRefused: no STOW-RS there, or not for us.
    """
    with httpx.Client(timeout=destination.timeout) as client:
        answer = _post(client, destination, _Multipart(None))
    if answer.status_code in {401, 403, 404, 405}:
        text = f"{destination.where} answered {answer.status_code}: {_REFUSALS[answer.status_code]}"
        raise PeerRefused(text)
    if answer.is_server_error and answer.status_code != _NOT_IMPLEMENTED:
        raise PeerUnavailable(f"{destination.where} answered {answer.status_code} {answer.reason_phrase}")


class _UnansweredError(PeerUnavailable):
    """A request went out, at least in part, and no answer came."""


class _Multipart:
    """The body of a store request (PS3.18 8.7.1) with one file, or with none."""

    def __init__(self, path: Path | None) -> None:
        self.boundary = uuid4().hex
        self._path = path
        self._head = f"--{self.boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._tail = f"\r\n--{self.boundary}--\r\n".encode()

    def __len__(self) -> int:
        if self._path is None:
            return len(self._tail)
        return len(self._head) + self._path.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        if self._path is not None:
            yield self._head
            with self._path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        yield self._tail


def _store(
    client: httpx.Client, delivery: Delivery, destination: DestinationConfig, path: Path
) -> DeliveryOutcome:
    try:
        answer = _post(client, destination, _Multipart(path))
    except FileNotFoundError as error:
        raise BadInput(f"the file {delivery.path} is missing from the spool") from error
    except OSError as error:
        raise Transient(f"{delivery.path} cannot be read: {error.strerror}") from error
    return outcome_of(delivery, answer, destination)


def _post(client: httpx.Client, destination: DestinationConfig, body: _Multipart) -> httpx.Response:
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={body.boundary}',
        "Content-Length": str(len(body)),
        "Accept": "application/dicom+json",
    }
    try:
        return client.post(f"{destination.url}/studies", content=iter(body), headers=headers)
    except httpx.RequestError as error:
        fault = PeerUnavailable if isinstance(error, _NOT_REACHED) else _UnansweredError
        if isinstance(error, httpx.TimeoutException):
            text = f"{destination.where}: no answer within {destination.timeout:g} s"
        else:
            text = f"{destination.where}: {str(error).lower() or 'the connection broke'}; is it running?"
        raise fault(text) from error


def outcome_of(delivery: Delivery, answer: httpx.Response, destination: DestinationConfig) -> DeliveryOutcome:
    """What a store response says of the one object (PS3.18 10.5.3)."""
    stored, reason = _reading(answer, delivery.sop_instance_uid)
    if reason is not None:
        return answered(delivery, reason, destination.where)
    if answer.is_success and stored is not False:
        return DeliveryOutcome(delivery.id, status=0)
    text = f"{destination.where} answered {answer.status_code} {answer.reason_phrase}"
    if answer.status_code in _REFUSALS:
        refusal = PeerRefused(f"{text}: {_REFUSALS[answer.status_code]}")
        return failed(delivery, refusal, answer.status_code, absent=True)
    later = answer.status_code in {408, 425, 429} or answer.is_server_error
    fault = PeerUnavailable(text) if later else PeerRefused(text)
    return failed(delivery, fault, answer.status_code, absent=answer.status_code not in _PERHAPS_STORED)


def _reading(answer: httpx.Response, sop_instance_uid: str) -> tuple[bool | None, int | None]:
    """Whether the response lists the object as stored (None: it lists nothing), and a failure's reason."""
    try:
        content: Any = answer.json()
    except ValueError:
        return None, None
    data_set: Any = content[0] if isinstance(content, list) and content else content
    if not isinstance(data_set, Mapping):
        return None, None
    for item in _items(data_set, FAILED_SOP_SEQUENCE):
        named = _first(item, SOP_INSTANCE_UID)
        if named is None or named == sop_instance_uid:
            reason = _first(item, FAILURE_REASON)
            return False, reason if isinstance(reason, int) and 0 < reason <= 0xFFFF else None
    stored = [_first(item, SOP_INSTANCE_UID) for item in _items(data_set, REFERENCED_SOP_SEQUENCE)]
    return (sop_instance_uid in stored) if stored else None, None


def _items(data_set: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    element = data_set.get(tag)
    items = element.get("Value") if isinstance(element, Mapping) else None
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _first(data_set: Mapping[str, Any], tag: str) -> Any:
    element = data_set.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values[0] if isinstance(values, list) and values else None
