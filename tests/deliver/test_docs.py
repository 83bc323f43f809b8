"""docs/delivery.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pydicom.uid import UID

from dicom_node.deliver.confirm import PAUSES
from dicom_node.deliver.probe import OUTPUT_CLASSES
from dicom_node.deliver.status import meaning

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


def test_every_output_is_named_with_its_sop_class() -> None:
    for output, classes in OUTPUT_CLASSES.items():
        for sop_class in classes:
            assert f"| `{output}` | {UID(sop_class).name} |" in DOCS


def test_the_pauses_of_confirm_are_told() -> None:
    told = ", ".join(f"{pause:g}" for pause in PAUSES[1:-1]) + f" and {PAUSES[-1]:g} s"
    assert told in DOCS.replace("\n", " ")
