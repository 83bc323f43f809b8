"""docs/delivery.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from dicom_node.deliver.confirm import PAUSES
from dicom_node.deliver.contexts import sop_class_name
from dicom_node.deliver.status import meaning
from dicom_node.encode.plan import SOP_CLASSES

DOCS = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text(encoding="utf-8")
THEN = {
    "delivered": {"delivered", "warning"},
    "tried again": {"transient"},
    "refused": {"permanent"},
}


def test_every_status_of_the_table_means_what_it_says() -> None:
    rows = re.findall(r"^\| (.*`[0-9A-F]{4}`.*|.*`[AC]\w*x+`.*) \| (\w+(?: again)?)", DOCS, re.MULTILINE)
    assert len(rows) >= 5
    for statuses, then in rows:
        for status in re.findall(r"`([0-9A-F][0-9A-Fx]{3})`", statuses):
            assert meaning(int(status.replace("x", "0"), 16)).kind in THEN[then], status


def test_every_form_is_named_with_its_sop_class() -> None:
    for form, sop_class in SOP_CLASSES.items():
        assert re.search(
            rf"^\|.*`{form}`.* \| {re.escape(sop_class_name(sop_class))} \|", DOCS, re.MULTILINE
        ), form


def test_the_pauses_of_confirm_are_told() -> None:
    told = ", ".join(f"{pause:g}" for pause in PAUSES[1:-1]) + f" and {PAUSES[-1]:g} s"
    assert told in DOCS.replace("\n", " ")
