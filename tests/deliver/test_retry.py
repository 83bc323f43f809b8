"""When a delivery is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.deliver import retry_delay
from dicom_node.deliver.retry import CAP
from dicom_node.deliver.status import meaning
from dicom_node.records import DeliveryOutcome

AWAY = DeliveryOutcome(1, "connection refused", transient=True)
REFUSED = DeliveryOutcome(1, "SOP class not supported", transient=False, status=0x0122)
DELIVERED = DeliveryOutcome(1, status=0)


@pytest.mark.parametrize(
    ("attempt", "outcome", "seconds"),
    [
        (0, AWAY, 5),
        (1, AWAY, 5),
        (2, AWAY, 10),
        (3, AWAY, 20),
        (4, AWAY, 40),
        (7, AWAY, 320),
        (8, AWAY, 600),
        (100, AWAY, 600),
        (10**9, AWAY, 600),
        (1, REFUSED, None),
        (50, REFUSED, None),
        (1, DELIVERED, None),
    ],
)
def test_retry_table(attempt: int, outcome: DeliveryOutcome, seconds: float | None) -> None:
    assert retry_delay(attempt, outcome) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.integers(1, 10**12))
def test_what_may_pass_is_tried_for_ever_and_ever_more_patiently(attempt: int) -> None:
    first, then = retry_delay(attempt, AWAY), retry_delay(attempt + 1, AWAY)
    assert first is not None
    assert then is not None
    assert first <= then <= CAP


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x0000, "delivered"),
        (0x0001, "warning"),
        (0x0107, "warning"),
        (0x0111, "warning"),
        (0xB000, "warning"),
        (0xB006, "warning"),
        (0xB007, "warning"),
        (0xA700, "transient"),
        (0xA7FF, "transient"),
        (0x0110, "transient"),
        (0x0213, "transient"),
        (0xA900, "permanent"),
        (0xA9AB, "permanent"),
        (0xC000, "permanent"),
        (0xCFFF, "permanent"),
        (0x0117, "permanent"),
        (0x0122, "permanent"),
        (0x0124, "permanent"),
        (0xFE00, "permanent"),
        (0x7777, "permanent"),
    ],
)
def test_what_a_status_means(status: int, kind: str) -> None:
    assert meaning(status).kind == kind


@given(st.integers(0, 0xFFFF))
def test_every_status_means_something(status: int) -> None:
    assert meaning(status).text
