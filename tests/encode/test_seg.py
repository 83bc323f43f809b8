"""Segmentations, read back by programs that didn't write them."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.encode import EncodeContext, encode, to_bytes
from dicom_node.encode.masks import pack, patches
from dicom_node.findings import Segmentation
from dicom_node.geometry import Volume
from tests.encode.cases import Worked, segments
from tests.peers.validators import segimage2itkimage


def seg_bytes(finding: Segmentation, context: EncodeContext) -> bytes:
    return to_bytes(encode([finding], replace(context, outputs=frozenset({"seg"})))[0])


def assert_same_places(path: Path, finding: Segmentation, volume: Volume, folder: Path) -> None:
    """Every voxel of every segment lies where dcmqi puts it, in patient millimetres."""
    for segment in segimage2itkimage(path, folder):
        points = np.argwhere(segment.mask) @ segment.affine[:3, :3].T + segment.affine[:3, 3]
        index = volume.grid.to_index(points)
        assert np.abs(index - np.rint(index)).max() < 0.01
        mask = np.zeros(volume.grid.shape, dtype=bool)
        mask[tuple(np.rint(index).astype(int).T)] = True
        np.testing.assert_array_equal(mask, finding.mask(segment.number))


def test_dcmqi_reads_the_same_mask_at_the_same_positions(small: Worked, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    path.write_bytes(seg_bytes(small.mask, small.context))
    assert_same_places(path, small.mask, small.volume, tmp_path)


def test_highdicom_reads_the_same_mask_on_the_same_images(small: Worked) -> None:
    read = highdicom.seg.segread(BytesIO(seg_bytes(small.mask, small.context)))
    uids = [frame.sop_instance_uid for frame in small.volume.frames]
    pixels = read.get_pixels_by_source_instance(
        uids, combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(pixels, small.mask.array)


def test_segments_say_what_they_are(small: Worked) -> None:
    read = highdicom.seg.segread(BytesIO(seg_bytes(small.mask, small.context)))
    right = read.get_segment_description(1)
    assert right.segment_label == "Right lung"
    assert right.segmented_property_type.meaning == "Lung"
    assert right.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[
        0
    ].CodeValue == ("24028007")
    assert right.algorithm_identification.name == "ct-lung"
    red = highdicom.color.CIELabColor.from_rgb(230, 60, 60).value
    assert tuple(right.RecommendedDisplayCIELabValue) == tuple(red)
    assert right.tracking_uid != read.get_segment_description(2).tracking_uid


def test_tracking_uids_stay_when_the_study_changes(small: Worked) -> None:
    later = replace(small.context, revision=7)
    both = [encode(small.findings, context)[0].ds for context in (small.context, later)]
    assert both[0].SegmentSequence[0].TrackingUID == both[1].SegmentSequence[0].TrackingUID
    assert both[0].SOPInstanceUID != both[1].SOPInstanceUID


def test_empty_frames_are_left_out(small: Worked) -> None:
    ds = pydicom.dcmread(BytesIO(seg_bytes(small.mask, small.context)))
    assert ds.NumberOfFrames == 5 + 4
    assert len(ds.PerFrameFunctionalGroupsSequence) == 9


def test_masks_may_overlap(small: Worked, tmp_path: Path) -> None:
    layers = np.zeros((2, *small.volume.array.shape), dtype=bool)
    layers[0, 1:5, 3:20, 2:11] = True
    layers[1, 4:8, 10:30, 5:25] = True
    finding = Segmentation(layers, segments())
    path = tmp_path / "seg.dcm"
    path.write_bytes(seg_bytes(finding, small.context))
    assert_same_places(path, finding, small.volume, tmp_path)


def test_a_resampled_volume_gives_frames_on_its_own_grid(small: Worked, tmp_path: Path) -> None:
    volume = replace(small.volume, frames=())
    context = replace(small.context, volumes={"image": volume})
    path = tmp_path / "seg.dcm"
    path.write_bytes(seg_bytes(small.mask, context))
    assert_same_places(path, small.mask, volume, tmp_path)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 19), st.integers(1, 19)),
    labels=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
def test_packed_bits_are_the_mask(shape: tuple[int, int, int], labels: int, seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, labels + 1, size=shape).astype(np.uint8)
    array[array.shape[0] // 2, : shape[1] // 2] = 0
    found = patches(Segmentation(array, segments()[:1] * labels))
    packed = pack(found, shape[1], shape[2])
    assert len(packed) % 2 == 0
    size = shape[1] * shape[2]
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")[: len(found) * size]
    frames = bits.reshape(len(found), *shape[1:])
    expected = [array[k] == n for n in range(1, labels + 1) for k in range(shape[0]) if (array[k] == n).any()]
    assert len(expected) == len(found)
    for frame, mask in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame, mask)


@pytest.mark.parametrize("pieces", [1, 2])
def test_several_segmentations_are_several_series(small: Worked, pieces: int) -> None:
    findings = [replace(small.mask, title=f"Part {n}") for n in range(pieces)]
    objects = encode(findings, replace(small.context, outputs=frozenset({"seg"})))
    assert len({obj.series_instance_uid for obj in objects}) == pieces
    assert len({obj.ds.SeriesNumber for obj in objects}) == pieces
