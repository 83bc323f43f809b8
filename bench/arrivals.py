"""Simulated scanner days: when images, associations and proofs arrive, and when a policy would have fired.

A sender pauses between images of a series: most gaps are short, a few are drawn from a Pareto distribution,
whose tail is heavy. An association that is idle for a minute is ended, as the receiver does. Days of a sender
follow each other, so that its past is known.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

from dicom_node.complete import judge
from dicom_node.config import CompletionConfig
from dicom_node.records import (
    AssociationEvidence,
    AssociationOutcome,
    Evidence,
    GeometryEvidence,
    SourceCount,
)

START = datetime(2026, 1, 5, tzinfo=UTC)
COUNTED = 0.3
"""Seconds after an association's end until the source has answered how many images it holds."""
IDLE_LIMIT = 60.0
"""Seconds after which the receiver ends an idle association."""
REMEMBERED = 200
"""Past series of a sender that count."""
SERIES_A_DAY = 40
INTRODUCTION = 20
"""Series by which a sender becomes known."""
RELIED_ON = 5
"""Past series that were all proven complete, after which a sender's proof is waited for."""
Proof = Literal["commitment", "mpps", "count", ""]


@dataclass(frozen=True)
class Habits:
    """How a sender behaves.

    Attributes:
        gap: seconds between images, mostly.
        pauses: the share of gaps that are pauses. shape: of their Pareto distribution; smaller is heavier.
        at_once: images go by one association a series; else each pause ends one.
        whole: the slices make a stack that any beginning of it looks whole; else geometry decides nothing.
    """

    gap: float
    pauses: float
    shape: float
    at_once: bool
    whole: bool
    proof: Proof


@dataclass(frozen=True)
class Arrival:
    """One series: seconds of each image, and of each association (start, end, was it released)."""

    images: tuple[float, ...]
    associations: tuple[tuple[float, float, bool], ...]
    proof_at: float | None

    @property
    def longest_pause(self) -> float:
        """From the release of an association to the next image; 0 where there was none."""
        pairs = pairwise(self.associations)
        return max((start - end for (_, end, released), (start, _, _) in pairs if released), default=0.0)


@dataclass
class Past:
    """What a node remembers of a sender."""

    pauses: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


@dataclass(frozen=True)
class Fired:
    """When a policy called a series complete, in seconds after its last image; negative: early."""

    after: float
    doubtful: bool = False


Policy = Callable[[Arrival, Habits, Past], Fired]


def habits(draw: random.Random, *, proof: bool, at_once: bool, whole: bool) -> Habits:
    """A sender of some class, with habits of its own."""
    kinds: tuple[Proof, ...] = ("commitment", "mpps", "count")
    return Habits(
        gap=draw.uniform(0.02, 0.3),
        pauses=draw.choice((0.0, 0.002, 0.01, 0.03)),
        shape=draw.uniform(1.2, 2.5),
        at_once=at_once,
        whole=whole,
        proof=draw.choice(kinds) if proof else "",
    )


def arrive(draw: random.Random, sender: Habits) -> Arrival:
    """One series of a sender, from its first image at second 0."""
    clock, images = 0.0, [0.0]
    associations: list[tuple[float, float, bool]] = []
    started = 0.0
    for _ in range(int(draw.uniform(20, 300))):
        paused = draw.random() < sender.pauses
        gap = draw.paretovariate(sender.shape) if paused else draw.expovariate(1 / sender.gap)
        if gap > IDLE_LIMIT and sender.at_once:
            associations.append((started, clock + IDLE_LIMIT, False))
            started = clock + gap
        elif paused and not sender.at_once:
            associations.append((started, clock + 0.1, True))
            started = clock + gap
        clock += gap
        images.append(clock)
    end = clock + draw.uniform(0.05, 0.5)
    associations.append((started, end, True))
    return Arrival(tuple(images), tuple(associations), end + draw.uniform(0.2, 3.0) if sender.proof else None)


def fixed(seconds: float) -> Policy:
    """A timer since the last image, as the peers have it."""

    def fire(arrival: Arrival, _sender: Habits, _past: Past) -> Fired:
        for left, right in pairwise(arrival.images):
            if right - left > seconds:
                return Fired(left + seconds - arrival.images[-1])
        return Fired(seconds)

    return fire


def by_evidence(policy: CompletionConfig) -> Policy:
    """The node's own judgement, on what it would know at each moment."""

    def fire(arrival: Arrival, sender: Habits, past: Past) -> Fired:
        moments = _moments(arrival)
        for moment, following in pairwise((*moments, float("inf"))):
            now = moment
            while now < following:
                verdict = judge(_evidence(arrival, sender, past, now), policy, _at(now))
                if verdict.complete:
                    return Fired(now - arrival.images[-1], verdict.doubtful)
                if verdict.look_again_at is None:
                    raise AssertionError("a waiting verdict must say when to look again")
                now = (verdict.look_again_at - START).total_seconds()
        raise AssertionError("no verdict, though the ceiling ends all waiting")

    return fire


def days(seed: int, count: int, make: Callable[[random.Random], Habits], policy: Policy) -> Iterator[Fired]:
    """Fires for each series of `count` scanner days, ten of each sender, once it is known."""
    draw = random.Random(seed)
    for _ in range(count // 10):
        yield from _days_of(draw, make(draw), policy, slice(INTRODUCTION, INTRODUCTION + 10 * SERIES_A_DAY))


def introductions(
    seed: int, count: int, make: Callable[[random.Random], Habits], policy: Policy
) -> Iterator[Fired]:
    """Fires for the first series of `count` senders that were never met before."""
    draw = random.Random(seed)
    for _ in range(count):
        yield from _days_of(draw, make(draw), policy, slice(0, INTRODUCTION))


def _days_of(draw: random.Random, sender: Habits, policy: Policy, counted: slice) -> Iterator[Fired]:
    past = Past()
    for number in range(counted.stop):
        arrival = arrive(draw, sender)
        if number >= counted.start:
            yield policy(arrival, sender, past)
        past.pauses.append(arrival.longest_pause)


def _moments(arrival: Arrival) -> list[float]:
    """When something happens that can change a verdict, as no image in an open association does."""
    changes = {second for start, end, _ in arrival.associations for second in (start, end, end + COUNTED)}
    return sorted({*changes, *((arrival.proof_at,) if arrival.proof_at else ())})


def _evidence(arrival: Arrival, sender: Habits, past: Past, now: float) -> Evidence:
    """What the node would know of a series at a moment."""
    held = arrival.images[: bisect_right(arrival.images, now)]
    begun = [one for one in arrival.associations if one[0] <= now]
    proven = arrival.proof_at is not None and arrival.proof_at <= now
    ended = [end for _, end, _ in begun if end + COUNTED <= now]
    counted = sender.proof == "count" and ended
    return Evidence(
        series_instance_uid="1",
        instances=len(held),
        first_image_at=START,
        last_image_at=_at(held[-1]),
        associations=tuple(_association(one, held, now) for one in begun),
        sender_open=begun[-1][1] > now,
        geometry=GeometryEvidence(sender.whole and len(held) >= 5, "the slices held"),
        committed=proven and sender.proof == "commitment",
        performed=proven and sender.proof == "mpps",
        counts=(SourceCount(_at(ended[-1]), "PACS", len(arrival.images)),) if counted else (),
        pauses=tuple(past.pauses),
        promised=sender.proof if len(past.pauses) >= RELIED_ON else "",
    )


def _association(one: tuple[float, float, bool], held: tuple[float, ...], now: float) -> AssociationEvidence:
    start, end, released = one
    outcome = AssociationOutcome.RELEASED if released else AssociationOutcome.ABORTED
    brought = [second for second in held if start <= second <= end]
    return AssociationEvidence(
        association_id=str(start),
        calling_ae_title="CT1",
        started_at=_at(start),
        ended_at=_at(end) if end <= now else None,
        outcome=outcome if end <= now else AssociationOutcome.OPEN,
        images=len(brought),
        last_image_at=_at(brought[-1]),
    )


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
