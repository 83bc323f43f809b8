"""How long a sender may pause: waiting times adapted to its own past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node.config.models import CompletionConfig

QUANTILE = 0.99
"""Of a sender's past pauses: the pause that 99 in 100 don't exceed …"""
FACTOR = 3.0
"""… and how many times that is waited: pauses have heavy tails."""
ENOUGH = 20
"""Fewer pauses than this say nothing."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A waiting time in seconds, and where it comes from, in words."""

    seconds: float
    why: str


def quantile(sample: Sequence[float], fraction: float) -> float:
    """The smallest value of a sample that at least this fraction of it does not exceed."""
    ordered = sorted(sample)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def quiet_time(pauses: Sequence[float], policy: CompletionConfig) -> Wait:
    """How long after the last image a sender counts as done, where nothing else decides."""
    if len(pauses) < ENOUGH:
        seconds = min(policy.quiet, policy.ceiling)
        return Wait(seconds, f"{len(pauses)} past pauses are known, so the configured time counts")
    usual = quantile(pauses, QUANTILE)
    seconds = min(max(FACTOR * usual, policy.quiet_min), policy.quiet_max, policy.ceiling)
    return Wait(seconds, f"99 in 100 of {len(pauses)} past pauses lasted at most {usual:.1f} s")


def settle_time(returns: Sequence[float], policy: CompletionConfig) -> Wait:
    """How long after its release a sender might still come back with more of the same series."""
    if not returns:
        return Wait(min(policy.settle, policy.ceiling), "")
    longest = max(returns)
    seconds = min(max(FACTOR * longest, policy.settle), policy.quiet_max, policy.ceiling)
    return Wait(seconds, f"this sender has come back to a series after up to {longest:.1f} s")
