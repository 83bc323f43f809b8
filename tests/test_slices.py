"""Key slices, windows and montages, and embeddings kept by series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.geometry import Volume
from dicom_node.phantom import axial_grid
from dicom_node.plausibility import connected_parts, side_doubts
from dicom_node.slices import evenly, grey_range, key_slices, montage

GRID = axial_grid((4, 6, 8), (5.0, 1.0, 1.0))
RAMP = Volume(np.arange(4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8), GRID, "1.2", ())


@given(st.integers(1, 500), st.integers(1, 600))
def test_slices_are_spread_evenly_each_once(slices: int, count: int) -> None:
    ks = evenly(slices, count)
    assert len(ks) == min(slices, count) == len(set(ks))
    assert ks == sorted(ks)
    assert ks[0] >= 0
    assert ks[-1] < slices


@pytest.mark.parametrize(
    ("header", "window", "expected"),
    [
        ({"WindowCenter": 50, "WindowWidth": 100}, None, (0, 100)),
        ({"WindowCenter": [40, 80], "WindowWidth": ["80", "10"]}, None, (0, 80)),
        ({"WindowCenter": 50, "WindowWidth": 100}, (10, 4), (8, 12)),
    ],
)
def test_a_window_is_the_sites_or_else_the_headers(
    header: dict[str, Any], window: tuple[float, float] | None, expected: tuple[float, float]
) -> None:
    assert grey_range(RAMP, header, window) == expected


@pytest.mark.parametrize(
    "header", [{}, {"WindowCenter": "", "WindowWidth": ""}, {"WindowCenter": 1, "WindowWidth": 0}]
)
def test_without_a_window_the_volume_decides(header: dict[str, Any]) -> None:
    lower, upper = grey_range(RAMP, header)
    assert 0 <= lower < upper <= 191


def test_pictures_are_grey_and_lie_side_by_side() -> None:
    shown = key_slices(RAMP, {}, [0, 3], (96, 192))
    assert [each.k for each in shown] == [0, 3]
    assert shown[0].picture.shape == (6, 8, 3)
    assert shown[0].picture[0, 0].tolist() == [0, 0, 0]
    assert shown[1].picture[-1, -1, 0] > 250
    assert montage([each.picture for each in shown]).shape == (6, 16, 3)
    assert montage([shown[0].picture] * 5).shape == (12, 24, 3)


def test_parts_that_touch_are_one() -> None:
    mask = np.zeros((4, 6, 8), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 5, 7] = True
    assert connected_parts(mask) == 2


def test_left_and_right_are_held_against_the_patient() -> None:
    one, other = np.zeros((2, 4, 6, 8), bool)
    one[:, :, 5:], other[:, :, :3] = True, True
    assert side_doubts({"left lung": one, "right lung": other}, GRID) == {}
    assert set(side_doubts({"left lung": other, "right lung": one}, GRID)) == {"left lung", "right lung"}
    assert side_doubts({"left lung": other, "liver": one}, GRID) == {}
