"""Validators that nobody here wrote find no error in any object."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_node.encode import EncodedObject, encode, encode_no_result, to_bytes
from tests.encode.cases import worked
from tests.peers.validators import dcentvfy, dciodvfy

OLDER_THAN_LABEL_MAPS = "Shall not be present for Referenced SOP Class that is not segmentation"
"""What dciodvfy says of a segment's number where the segmentation is a label map."""


def assert_valid(objects: list[EncodedObject], sources: list[Path], folder: Path) -> None:
    write_valid(objects, sources, folder)


def write_valid(objects: list[EncodedObject], sources: list[Path], folder: Path) -> list[Path]:
    """Files of the objects, none of which has an error, alone or beside the others and the sources."""
    paths = []
    for index, obj in enumerate(objects):
        path = folder / f"{index}-{obj.kind}.dcm"
        path.write_bytes(to_bytes(obj))
        assert [line for line in dciodvfy(path) if OLDER_THAN_LABEL_MAPS not in line] == [], obj.description
        paths.append(path)
    study = str(objects[0].ds.StudyInstanceUID)  # which a structure set must name as if it were an instance
    lines = [line for line in dcentvfy([*sources, *paths]) if f"referenced - {study}" not in line]
    own = [line for line in lines if any(str(path) in line for path in paths)]
    assert own == []
    return paths


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_phantom(tmp_path: Path, modality: str) -> None:
    (tmp_path / "in").mkdir()
    case = worked(tmp_path / "in", modality=modality)
    objects = encode(case.findings, case.context) + encode_no_result("too short", case.context)
    assert_valid(objects, case.paths, tmp_path)
