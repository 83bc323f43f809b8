"""Every series of the real data."""

from __future__ import annotations

import gzip
from collections import defaultdict
from pathlib import Path

import pytest

from dicom_node.errors import BadInput
from dicom_node.headers import read_header


@pytest.fixture(scope="session")
def series(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Image files of every series, by folder and UID."""
    found: dict[str, list[Path]] = defaultdict(list)
    unpacked = tmp_path_factory.mktemp("unpacked")
    for path in sorted(shared_data.rglob("*")):
        folder = path.relative_to(shared_data).parts[0]
        if not path.is_file() or folder in {"LICENSES", "malformed", "labelled"} or ".nii" in path.name:
            continue
        file = path
        if path.suffix == ".gz":
            file = unpacked / folder / path.stem
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(gzip.decompress(path.read_bytes()))
        try:
            header = read_header(file)
        except BadInput:
            continue
        alone = folder in {"transfer_syntaxes", "enhanced_multiframe", "us", "cxr"}
        if header.get("Rows"):
            found[f"{folder}/{path.name if alone else header.get('SeriesInstanceUID')}"].append(file)
    return found
