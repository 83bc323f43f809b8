"""Boxes around what isn't zero, and the parts of masks that they give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from dicom_node.boxes import Box, around, box_of
from dicom_node.findings import Segmentation
from dicom_node.pipeline import segment_for

NAMES = ("lung", "liver", "spleen")
SEGMENTS = tuple(segment_for(name) for name in NAMES)
LABELS = arrays(
    st.sampled_from([np.uint8, np.uint16, np.uint32]),
    array_shapes(min_dims=3, max_dims=3, max_side=5),
    elements=st.sampled_from([0, 0, 0, 1, 3]),
    fill=st.just(0),
)


def by_places(mask: NDArray[np.bool_]) -> Box | None:
    places = np.argwhere(mask)
    if not len(places):
        return None
    k, j, i = (slice(int(low), int(high) + 1) for low, high in zip(places.min(0), places.max(0), strict=True))
    return k, j, i


@given(LABELS)
def test_boxes_are_the_smallest_around_each_label(labels: NDArray[np.generic]) -> None:
    found = Segmentation(labels, SEGMENTS)
    assert found.boxes == tuple(by_places(labels == number) for number in (1, 2, 3))
    assert around(found.boxes) == box_of(labels) == by_places(labels != 0)
    one = Segmentation((labels == 1).astype(labels.dtype), SEGMENTS[:1])
    assert one.boxes == found.boxes[:1]
    assert one.filled == bool((labels == 1).any())


@pytest.mark.parametrize("kind", [np.bool_, np.float32])
@given(labels=LABELS)
def test_layers_have_the_boxes_of_their_labels(kind: type, labels: NDArray[np.generic]) -> None:
    layers = np.stack([labels == number for number in (1, 2, 3)]).astype(kind)
    assert Segmentation(layers, SEGMENTS).boxes == Segmentation(labels, SEGMENTS).boxes


@given(LABELS)
def test_a_part_of_a_mask_is_that_part(labels: NDArray[np.generic]) -> None:
    layers = np.stack([labels == number for number in (1, 2, 3)]).astype(np.float32) * np.float32(0.5)
    for found in (Segmentation(labels, SEGMENTS), Segmentation(layers, SEGMENTS)):
        for number, box in enumerate(found.boxes, start=1):
            whole = found.mask(number)
            assert all(np.array_equal(found.section(number, k), one) for k, one in enumerate(whole))
            if box is not None:
                assert np.array_equal(found.mask(number, box), whole[box])
                assert found.mask(number, box).sum() == whole.sum()
