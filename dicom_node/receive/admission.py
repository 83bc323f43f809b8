"""Who may open an association, and what it may then do: titles, addresses, permissions, limits."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from dicom_node.config.models import Config, PeerConfig
from dicom_node.receive.negotiation import Request
from dicom_node.records import Refusal

ANY = "*"
_AGAIN_AFTER = 600.0
"""Seconds in which the same refusal is reported once, however often a sender tries."""
_COUNTED_AFTER = 1.0
"""Seconds after which it is reported how often it has happened since, at most."""
_REPORTED = 1024
_Key = tuple[str, str, str]


class Rejection(NamedTuple):
    """Result, source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    diagnostic: int


CALLING_NOT_RECOGNIZED = Rejection(1, 1, 3)
CALLED_NOT_RECOGNIZED = Rejection(1, 1, 7)
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2)
CONGESTION = Rejection(2, 3, 1)
LIMIT_EXCEEDED = Rejection(2, 3, 2)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A peer that may come in, with what it may do."""

    may: frozenset[str]
    private: bool
    peer: PeerConfig | None


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """A peer that may not: what it is answered, and what the administrator is told."""

    rejection: Rejection
    reason: str
    hint: str = ""


class Admission:
    """The configuration's answer to a request."""

    def __init__(self, config: Config) -> None:
        self._titles = {config.node.ae_title, *config.receive.called_ae_titles}
        self._accept_unknown = config.receive.unknown_peers == "accept"
        self._peers: dict[str, list[PeerConfig]] = {}
        for peer in config.peers.values():
            self._peers.setdefault(peer.ae_title, []).append(peer)

    def admit(self, request: Request, address: str) -> Admitted | NotAdmitted:
        """Judges titles and address."""
        if request.called_ae_title not in self._titles and ANY not in self._titles:
            return NotAdmitted(
                CALLED_NOT_RECOGNIZED,
                f"it calls {request.called_ae_title}, which is not our AE title",
                f'receive: {{called_ae_titles: ["{request.called_ae_title}"]}}',
            )
        peers = self._peers.get(request.calling_ae_title, [])
        for peer in peers:
            if is_within(address, peer.addresses):
                return Admitted(frozenset(peer.may), peer.private, peer)
        hint = f'peers: {{NAME: {{ae_title: "{request.calling_ae_title}", addresses: ["{address}"]}}}}'
        if peers:
            return NotAdmitted(
                CALLING_NOT_RECOGNIZED, f"{request.calling_ae_title} is not known at {address}", hint
            )
        if self._accept_unknown:
            return Admitted(frozenset(PeerConfig(ae_title="ANY").may), False, None)
        return NotAdmitted(CALLING_NOT_RECOGNIZED, f"{request.calling_ae_title} is not known", hint)


def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an IP address lies in one of the networks; no networks: anywhere."""
    if not networks:
        return True
    ip = ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return any(mapped in ip_network(network, strict=False) for network in networks)


class Refusals:
    """Says whether a refusal is news, and counts those that aren't. Safe for threads."""

    def __init__(self) -> None:
        self._at: dict[_Key, float] = {}
        self._again: dict[_Key, Refusal] = {}
        self._told_at = -_COUNTED_AFTER
        self._lock = threading.Lock()

    def is_news(self, refusal: Refusal) -> bool:
        """False if the same was reported a short while ago: then it is counted."""
        key, now = (refusal.calling_ae_title, refusal.address, refusal.reason), time.monotonic()
        with self._lock:
            if now - self._at.get(key, -_AGAIN_AFTER) < _AGAIN_AFTER:
                before = self._again[key].times if key in self._again else 0
                self._again[key] = replace(refusal, times=before + refusal.times)
                return False
            if len(self._at) >= _REPORTED:
                self._at.clear()
            self._at[key] = now
            return True

    def again(self, *, at_once: bool = False) -> list[Refusal]:
        """What was refused again since this was last asked, with how often; none where that was just now."""
        now = time.monotonic()
        with self._lock:
            if not self._again or (now - self._told_at < _COUNTED_AFTER and not at_once):
                return []
            again, self._again, self._told_at = list(self._again.values()), {}, now
            return again


def permission_hint(request: Request) -> str:
    """The line that would let a peer use what it was refused."""
    title = request.calling_ae_title
    return f'peers: {{NAME: {{ae_title: "{title}", private: true, may: [echo, store, commit, mpps]}}}}'


def refusal(
    request: Request, address: str, reason: str, hint: str = "", path: str = "", *, of_image: bool = False
) -> Refusal:
    """What the administrator is shown."""
    return Refusal(
        at=datetime.now(UTC),
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        address=address,
        reason=reason,
        hint=hint,
        path=path,
        of_image=of_image,
    )
