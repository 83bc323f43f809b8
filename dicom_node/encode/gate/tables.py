"""Makes iods.json: which attributes each kind of result must have, from the standard's own tables.

highdicom carries PS3.3's modules and attributes as data; this keeps what the results of this package
need, so that the gate works without reading 22 MB at every start. After an update of highdicom, run
`python -m dicom_node.encode.gate.tables`; a test tells when that is due.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("iods.json")
SOP_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.11.1": "Grayscale Softcopy Presentation State",
    "1.2.840.10008.5.1.4.1.1.30": "Parametric Map",
    "1.2.840.10008.5.1.4.1.1.66.4": "Segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation",
    "1.2.840.10008.5.1.4.1.1.88.33": "Comprehensive SR",
    "1.2.840.10008.5.1.4.1.1.88.34": "Comprehensive 3D SR",
    "1.2.840.10008.5.1.4.1.1.88.59": "Key Object Selection Document",
    "1.2.840.10008.5.1.4.1.1.104.1": "Encapsulated PDF",
    "1.2.840.10008.5.1.4.1.1.481.3": "RT Structure Set",
}
_CONTENT = "sr-document-content"
"""A flat list of what any content item of any value type may hold; trees have checks of their own."""
_SHARED = ["SharedFunctionalGroupsSequence"]
"""Each group is required in the shared groups or in every frame's: the geometry's check knows which."""
_CHECKED_ELSEWHERE = ("CodeMeaning", "PerFrameFunctionalGroupsSequence", "ContentSequence")
"""Code items, frames and content trees have checks of their own, which know more than a table."""


def generate() -> dict[str, Any]:
    """The table: SOP classes to modules with their usage, modules to attributes of type 1 and 2 by path."""
    from highdicom._standard_utils import (
        get_iod_module_map,
        get_module_attribute_map,
        get_sop_class_iod_map,
    )

    iods, attributes = get_iod_module_map(), get_module_attribute_map()
    names = get_sop_class_iod_map()
    sop_classes = {
        uid: {module["key"]: module["usage"] for module in iods[names[uid]]} for uid in sorted(SOP_CLASSES)
    }
    modules = {
        module: _required(attributes[module])
        for module in sorted({module for used in sop_classes.values() for module in used} - {_CONTENT})
    }
    return {"sop_classes": sop_classes, "modules": {name: rows for name, rows in modules.items() if rows}}


def _required(rows: list[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Keyword to type, by the path of the sequences that hold it, joined by dots."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        names = [*row["path"], row["keyword"]]
        if (
            row["type"] in ("1", "2")
            and row["path"] != _SHARED
            and not any(name in _CHECKED_ELSEWHERE for name in names)
        ):
            found.setdefault(".".join(row["path"]), {})[row["keyword"]] = row["type"]
    return found


def main() -> None:
    """Writes the table beside this module."""
    TARGET.write_text(json.dumps(generate(), indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
