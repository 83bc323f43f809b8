"""What each destination accepts: asked now and then by the coordinator, noted for the workers.

A worker must not wait for a destination that is away, and what one accepts seldom changes. So the last
answer stands, with its date, for as long as the destination is where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import structlog
from pydantic import TypeAdapter

from dicom_node.config import Config, DestinationConfig
from dicom_node.deliver.probe import accepted_contexts
from dicom_node.encode import PROFILES, Taker
from dicom_node.errors import NodeError
from dicom_node.node.folders import run_folder
from dicom_node.node.site import Site

log = structlog.get_logger()
FRESH = timedelta(minutes=10)
"""How long an answer is taken for granted."""
AGAIN = timedelta(minutes=1)
"""After which a destination that did not answer is asked again."""
FIRST_SECONDS = 5.0
"""How long a job waits for a destination's first answer."""
BY_URL = "what it takes is not asked by STOW-RS"


@dataclass(frozen=True)
class Answer:
    """How a destination last answered.

    Attributes:
        where: whom was asked. at: when; after a failure, of that.
        forms: pairs of SOP class and transfer syntax that it takes; None while it never answered.
        since: when it told `forms`.
        fault: why it did not answer last; None where it did.
    """

    where: str
    at: datetime
    forms: frozenset[tuple[str, str]] | None = None
    since: datetime | None = None
    fault: str | None = None

    @property
    def note(self) -> str:
        """What to say beside a choice that rests on this; empty where all is well."""
        if self.fault is None:
            return ""
        if self.since is None:
            return f"it has not told what it takes ({self.fault})"
        return f"what it took at {self.since:%Y-%m-%d %H:%M} UTC, since it does not answer ({self.fault})"


_ADAPTER = TypeAdapter(Answer)


def ask(site: Site, name: str) -> None:
    """Asks a destination what it takes, where its last answer is too old, and notes the answer."""
    destination = site.config.destinations[name]
    last = noted(site.config, name)
    now = datetime.now(UTC)
    if last is not None and timedelta() <= now - last.at < (FRESH if last.fault is None else AGAIN):
        return
    answer = answer_of(destination, site.config.node.ae_title, last)
    if last is None or (answer.forms, answer.fault) != (last.forms, last.fault):
        forms = len(answer.forms or ())
        log.info("destination_asked", destination=name, forms=forms, error=answer.fault)
    file = _file(site.config, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_bytes(_ADAPTER.dump_json(answer))
    draft.replace(file)


def answer_of(destination: DestinationConfig, ae_title: str, last: Answer | None = None) -> Answer:
    """Asks a destination by negotiation; what it told last stands where it does not answer."""
    try:
        forms = accepted_contexts(destination, ae_title)
    except NodeError as fault:
        known = last or Answer(destination.where, datetime.now(UTC))
        return replace(known, at=datetime.now(UTC), fault=str(fault))
    return answered(destination, forms)


def answered(destination: DestinationConfig, forms: Iterable[tuple[str, str]]) -> Answer:
    """The answer of a destination that takes these pairs of SOP class and transfer syntax, now."""
    now = datetime.now(UTC)
    return Answer(destination.where, now, frozenset((str(uid), str(syntax)) for uid, syntax in forms), now)


def noted(config: Config, name: str) -> Answer | None:
    """What was noted of a destination; None where nothing was, or it was elsewhere then."""
    try:
        answer = _ADAPTER.validate_json(_file(config, name).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return answer if answer.where == config.destinations[name].where else None


def takers(site: Site, names: Iterable[str]) -> tuple[Taker, ...]:
    """Destinations of a job with what each accepts; a new one is waited for, but not long."""
    until = time.monotonic() + FIRST_SECONDS
    found = []
    for name in names:
        destination = site.config.destinations.get(name)
        if destination is None:
            continue
        answer = None if destination.url else noted(site.config, name)
        while answer is None and destination.url is None and time.monotonic() < until:
            time.sleep(0.1)
            answer = noted(site.config, name)
        found.append(taker(name, destination, answer))
    return tuple(found)


def taker(name: str, destination: DestinationConfig, answer: Answer | None) -> Taker:
    """A destination as the choice of forms sees it."""
    if destination.url is not None:
        note = BY_URL
    else:
        note = answer.note if answer is not None else "it has not told yet what it takes"
    forms = answer.forms if answer is not None else None
    return Taker(name, destination.outputs, PROFILES[destination.profile], forms, note)


def _file(config: Config, name: str) -> Path:
    """Where the answer of a destination is noted."""
    return run_folder(config) / "accepted" / f"{quote(name, safe='')}.json"
