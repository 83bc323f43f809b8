"""How long a sender may pause: waiting times adapted to its own past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node.config.models import CompletionConfig

QUANTILE = 0.95
"""Of a sender's past series: the longest pause that 95 in 100 don't exceed …"""
FACTOR = 3.0
"""… and how many times that is waited: pauses have heavy tails."""
ENOUGH = 20
"""Of fewer past series, the longest pause of all counts."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A waiting time in seconds, and where it comes from, in words."""

    seconds: float
    why: str


def quantile(sample: Sequence[float], fraction: float) -> float:
    """The smallest value of a sample that at least this fraction of it does not exceed."""
    ordered = sorted(sample)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def settle_time(pauses: Sequence[float], policy: CompletionConfig) -> Wait:
    """How long after the release a series that looks whole is still waited for."""
    return _wait(pauses, policy, unknown=policy.settle, least=policy.settle)


def quiet_time(pauses: Sequence[float], policy: CompletionConfig) -> Wait:
    """Likewise where nothing shows that it is whole; never shorter."""
    settle = settle_time(pauses, policy)
    quiet = _wait(pauses, policy, unknown=policy.quiet, least=policy.quiet_min)
    return quiet if quiet.seconds >= settle.seconds else settle


def _wait(pauses: Sequence[float], policy: CompletionConfig, unknown: float, least: float) -> Wait:
    known = len(pauses) >= ENOUGH
    usual = quantile(pauses, QUANTILE if known else 1.0) if pauses else 0.0
    longest = max(policy.quiet_max, least, 0.0 if known else unknown)
    seconds = min(max(FACTOR * usual, least if known else unknown), longest, policy.ceiling)
    share = f"95 in 100 of {len(pauses)}" if known else f"all {len(pauses)}"
    if not pauses:
        return Wait(seconds, "no past series of this sender is known")
    return Wait(seconds, f"{share} past series paused for at most {usual:.1f} s")
