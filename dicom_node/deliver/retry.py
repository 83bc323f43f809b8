"""When a delivery is tried again, as a value: a function from attempt and outcome to a delay or to None."""

from __future__ import annotations

from datetime import timedelta

from dicom_node.records import DeliveryOutcome

FIRST = timedelta(seconds=5)
CAP = timedelta(minutes=10)


def retry_delay(attempt: int, outcome: DeliveryOutcome) -> timedelta | None:
    """How long to wait before the next attempt; None: there is none, as the delivery succeeded or never will.

    A transient failure is tried for ever, at last every ten minutes: a PACS that is away for a weekend
    costs nothing, and only a person may decide to drop a result.

    Args:
        attempt: how many attempts were made, from 1.
        outcome: how the last one ended.
    """
    if outcome.error is None or not outcome.transient:
        return None
    doublings = min(
        max(attempt, 1) - 1, 16
    )  # 65,536 times is far beyond the cap, and no int overflows timedelta
    return min(FIRST * (1 << doublings), CAP)
