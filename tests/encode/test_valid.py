"""Validators nobody here wrote find no error in any object, made from a phantom or from a real series."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from dicom_node.encode import EncodedObject, encode, encode_no_result, to_bytes
from dicom_node.findings import Finding, Measurement, Segment, Segmentation
from dicom_node.headers import read_header
from dicom_node.volume import read_volume
from tests.encode.cases import ANATOMY, LUNG, MEAN, ML, VOLUME, Worked, context_of, worked
from tests.encode.test_seg import assert_same_places
from tests.peers.validators import dcentvfy, dciodvfy


def assert_valid(objects: list[EncodedObject], sources: list[Path], folder: Path) -> None:
    paths = []
    for index, obj in enumerate(objects):
        path = folder / f"{index}-{obj.kind}.dcm"
        path.write_bytes(to_bytes(obj))
        assert dciodvfy(path) == [], obj.description
        paths.append(path)
    study = str(objects[0].ds.StudyInstanceUID)  # which a structure set must name as if it were an instance
    lines = [line for line in dcentvfy([*sources, *paths]) if f"referenced - {study}" not in line]
    own = [line for line in lines if any(str(path) in line for path in paths)]
    assert own == []


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_phantom(tmp_path: Path, modality: str) -> None:
    (tmp_path / "in").mkdir()
    case = worked(tmp_path / "in", modality=modality)
    objects = encode(case.findings, case.context) + encode_no_result("too short", case.context)
    assert_valid(objects, case.paths, tmp_path)


def real(paths: list[Path], threshold: Callable[[np.ndarray], np.ndarray]) -> Worked:
    volume = read_volume(paths)
    headers = [read_header(path) for path in paths]
    mask = ndimage.binary_opening(threshold(volume.array), iterations=2)
    finding = Segmentation(mask.astype(np.uint8), (Segment("Structure", ANATOMY, LUNG),))
    ml = float(mask.sum()) * volume.grid.voxel_ml
    findings: list[Finding] = [finding, Measurement(VOLUME, ml, ML, "Structure"), Measurement(MEAN, 1.0, ML)]
    return Worked(paths, headers, volume, findings, context_of(headers, volume))


def test_chest_ct(shared_data: Path, tmp_path: Path) -> None:
    case = real(sorted((shared_data / "ct_chest_cmb_crc").glob("*.dcm")), lambda hu: hu < -700)
    objects = encode(case.findings, case.context)
    assert_valid(objects, case.paths, tmp_path)
    assert_same_places(tmp_path / "0-seg.dcm", case.mask, case.volume, tmp_path)


def test_sagittal_oblique_head_mr(
    shared_data: Path, gunzipped: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = gunzipped(shared_data / "mr_head_t1w_philips")
    case = real(sorted(folder.iterdir()), lambda values: values > 500)
    objects = encode(case.findings, case.context)
    assert_valid(objects, case.paths, tmp_path)
    assert_same_places(tmp_path / "0-seg.dcm", case.mask, case.volume, tmp_path)
