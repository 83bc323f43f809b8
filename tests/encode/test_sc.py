"""Pictures: where the outlines lie, and that what must be read is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dicom_node.encode import encode, encode_no_result
from dicom_node.encode.lettering import plain, wrap
from dicom_node.encode.panels import chosen_slices, direction_letters, panel, view_of
from dicom_node.encode.window import grey
from dicom_node.encode.wording import legend
from dicom_node.findings import Measurement
from tests.encode.cases import Worked

AMBER = np.array((255, 190, 40))


def near(picture: np.ndarray, color: np.ndarray, tolerance: int = 40) -> np.ndarray:
    return np.abs(picture.astype(int) - color).max(axis=-1) <= tolerance


def test_the_picture_is_square_and_in_color(small: Worked) -> None:
    ds = encode(small.findings, small.context)[2].ds
    assert ds.pixel_array.shape == (1024, 1024, 3)
    assert near(ds.pixel_array, AMBER).sum() > 500, "the mark and the doubt"
    assert near(ds.pixel_array, np.array((230, 60, 60))).sum() > 500, "the outline and the legend"


def test_outlines_surround_their_structure(small: Worked) -> None:
    view = view_of([small.mask], small.volume, (340, 380))
    picture = np.asarray(panel(5, [small.mask], "image", small.context, view))
    rows, columns = np.nonzero(near(picture, np.array((230, 60, 60))))
    (left, top), (right, bottom) = view.place(np.array([[3.0, 5.0], [17.0, 20.0]]))
    assert (columns.min(), rows.min()) == pytest.approx((left, top), abs=3)
    assert (columns.max(), rows.max()) == pytest.approx((right, bottom), abs=3)


def test_every_doubt_and_value_is_in_the_legend(small: Worked) -> None:
    words = " ".join(line.words for line in legend(small.findings))
    assert "Right lung: Volume" in words
    assert "HU" in words
    assert "Caution: a contrast agent was given" in words


def test_a_doubtful_series_is_said_to_be_one(small: Worked) -> None:
    sure = encode(small.findings, small.context)[2].ds.pixel_array
    doubtful = encode(small.findings, replace(small.context, doubtful=True))[2].ds.pixel_array
    assert near(doubtful, AMBER).sum() > near(sure, AMBER).sum() + 500


def test_no_result_shows_its_reason(small: Worked) -> None:
    long = "the series has too few slices for a volume, " * 3
    short = encode_no_result("too short", small.context)[1].ds.pixel_array
    assert (encode_no_result(long, small.context)[1].ds.pixel_array != short).any()


def test_slices_are_chosen_where_there_is_something(small: Worked) -> None:
    chosen = chosen_slices([small.mask], small.volume, 4)
    assert len(chosen) == 4
    assert all(2 <= k < 9 for k in chosen)
    assert chosen_slices([], small.volume, 5) == [1, 3, 5, 7, 9]


def test_direction_letters() -> None:
    assert direction_letters(np.array([-0.9, 0.3, 0.1])) == "R"
    assert direction_letters(np.array([0.1, 0.2, 0.9])) == "H"
    assert direction_letters(np.array([0.1, -0.8, 0.2])) == "A"


def test_the_window_is_dicoms() -> None:
    values = np.array([-160, 40, 240], dtype=np.int16)
    assert grey(values, 40, 400).tolist() == [0, 128, 255]
    assert grey(values, 40, 400, inverted=True).tolist() == [255, 127, 0]


def test_words_wrap_and_keep_to_the_font() -> None:
    assert plain("Größe 3 µm², ≥ 5") == "Groe 3 um2, >= 5".replace("Groe", plain("Größe"))
    lines = wrap("one two three four five six seven", 28, 160)
    assert len(lines) > 1
    assert " ".join(lines) == "one two three four five six seven"


def test_a_picture_without_volume_is_text_alone(small: Worked) -> None:
    ds = encode_no_result("unreadable", replace(small.context, volumes={}))[1].ds
    assert Image.fromarray(ds.pixel_array).getbbox() is not None


def test_many_segments_leave_room_for_the_slices_and_keep_every_doubt(small: Worked) -> None:
    names = tuple(replace(small.mask.segments[0], label=f"Structure {n}", color=None) for n in range(60))
    doubt = next(one for one in small.findings if isinstance(one, Measurement) and one.doubt)
    sure = [replace(small.mask, segments=names)]
    pages = [encode(found, small.context)[2].ds.pixel_array for found in (sure, [*sure, doubt])]
    assert near(pages[1], AMBER).sum() > near(pages[0], AMBER).sum() + 500
    for page in pages:
        middle = page[110:400]
        assert (middle.max(axis=-1) > 90).mean() > 0.1, "slices, not text alone"
