"""Pictures: where the outlines lie, and that what must be read is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dicom_node.encode import encode, encode_no_result, to_bytes, trend
from dicom_node.encode.lettering import plain, wrap
from dicom_node.encode.panels import chosen_slices, direction_letters, panel, view_of
from dicom_node.encode.window import grey
from dicom_node.encode.wording import legend
from dicom_node.findings import Finding, Measurement
from tests.encode.cases import Worked, everything
from tests.peers.validators import dciodvfy

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


def followed(small: Worked) -> list[Finding]:
    """The right lung's volume with three earlier values, two of them a day apart."""
    earlier = ((date(2024, 1, 10), 1.2), (date(2024, 1, 11), 1.25), (date(2025, 3, 2), 1.5))
    first = next(one for one in small.findings if isinstance(one, Measurement))
    context = replace(first, earlier=earlier)
    return [context if one is first else one for one in small.findings]


def test_a_measurement_with_earlier_values_is_plotted_over_time(small: Worked, tmp_path: Path) -> None:
    objects = encode(followed(small), replace(small.context, outputs=frozenset({"sc"})))
    assert [one.description for one in objects] == ["Lung volumes (AI picture)", "Lung volumes (AI trend)"]
    pixels = objects[1].ds.pixel_array
    assert near(pixels[100:], AMBER).sum() > 100, "this study's value stands out"
    points = trend.series_of(followed(small)[1], small.context)  # type: ignore[arg-type]  # it is a Measurement
    assert [when.year for when, _value in points[:-1]] == [2024, 2024, 2025]
    assert f"{points[-1][0]:%Y%m%d}" == small.headers[0].StudyDate
    places = trend._places(points, (0, 1000), (0, 100))
    assert [x for x, _y in places] == sorted(x for x, _y in places)
    assert places[1][0] < 10, "dates are to scale"
    assert places[-1][0] == 1000
    path = tmp_path / "trend.dcm"
    path.write_bytes(to_bytes(objects[1]))
    assert dciodvfy(path) == []


def test_without_earlier_values_there_is_no_plot(small: Worked) -> None:
    assert trend.trend_page(small.findings, small.context) is None
    later = [replace(one, earlier=((date(2099, 1, 1), 1.0),)) for one in small.findings[1:2]]  # type: ignore[type-var]
    assert trend.trend_page(later, small.context) is None, "a later study is no earlier one"


@pytest.mark.parametrize("form", ["sc", "key", "heat"])
def test_words_are_legible_where_a_viewer_gives_a_picture_512_pixels(
    small: Worked, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Every line is at least 12 pixels high then, and stands out from what is below it."""
    sizes: list[float] = []
    text = ImageDraw.ImageDraw.text

    def watched(self: ImageDraw.ImageDraw, at: Any, words: str, **style: Any) -> None:
        sizes.append(style["font"].size)
        text(self, at, words, **style)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", watched)
    findings = [*followed(small), *everything(small)[len(small.findings) : -1]]
    objects = encode(findings, replace(small.context, outputs=frozenset({form})))
    for one in objects:
        pixels = one.ds.pixel_array
        frame = pixels if pixels.ndim == 3 else pixels[0]
        assert min(sizes) * 512 / frame.shape[0] >= 12
        shrunk = np.asarray(Image.fromarray(frame).resize((512, 512), Image.Resampling.BILINEAR))
        assert near(shrunk, AMBER, 60).sum() > 100, "the mark"
        assert (shrunk.min(axis=-1) > 180).sum() > 100, "the values"
