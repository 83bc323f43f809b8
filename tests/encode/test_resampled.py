"""Results on slices that were resampled: which image each is near, and what its reader must bear in mind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import ImageDraw

from dicom_node.encode import EncodeContext, encode
from dicom_node.encode.panels import name_of, source_of
from dicom_node.encode.wording import legend
from dicom_node.findings import Text
from dicom_node.headers import read_header
from dicom_node.phantom import write_series
from dicom_node.volume import read_straight
from tests.encode.cases import context_of, measured, oblique_grid, two_boxes, worked

SHAPE = (12, 36, 28)
MISSING = 5
RESAMPLED = Text((("Resampled to 2.50 mm: 1 slice missing in 1 place.", "geometry"),), kind="caution")


@pytest.fixture
def gap(tmp_path: Path) -> EncodeContext:
    """A series from 101 on, one slice of which is missing; a scout across it is its first file."""
    array = np.random.default_rng(5).integers(-1000, 400, SHAPE).astype(np.int16)
    paths = write_series(array, oblique_grid(SHAPE), tmp_path, "CT")
    for number, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        ds.InstanceNumber = 101 + number
        ds.save_as(path)
    scout = pydicom.dcmread(paths[MISSING])
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient, scout.InstanceNumber = [0, 1, 0, 0, 0, -1], 1
    scout.save_as(paths[MISSING])
    headers = [read_header(path) for path in (paths[MISSING], *paths)]
    return context_of(
        headers[:1] + [one for one in headers[1:] if one.InstanceNumber > 1], read_straight(paths).target
    )


def test_each_slice_is_near_the_image_that_lies_there(gap: EncodeContext) -> None:
    assert not gap.volumes["image"].frames
    names = [name_of(k, "image", gap) for k in range(SHAPE[0])]
    expected = [f"near image {101 + k}" for k in range(SHAPE[0])]
    assert names[:MISSING] + names[MISSING + 1 :] == expected[:MISSING] + expected[MISSING + 1 :]
    assert names[MISSING] in (expected[MISSING - 1], expected[MISSING + 1])
    assert source_of(7, "image", gap).ds.InstanceNumber == 108


def test_the_panels_of_a_picture_say_so(gap: EncodeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    text = ImageDraw.ImageDraw.text

    def watched(self: ImageDraw.ImageDraw, at: Any, words: str, **style: Any) -> None:
        drawn.append(words)
        text(self, at, words, **style)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", watched)
    findings = [*measured(two_boxes(SHAPE), gap.volumes["image"]), RESAMPLED]
    encode(findings, gap)
    labels = [words for words in drawn if "image 1" in words]
    assert len(set(labels)) > 3
    assert all(label.startswith("near image 1") for label in labels)
    assert any(words.startswith("Caution: Resampled to 2.50 mm") for words in drawn)


def test_a_slice_that_is_a_source_image_is_that_image(tmp_path: Path) -> None:
    case = worked(tmp_path)
    assert [name_of(k, "image", case.context) for k in (0, 9)] == ["image 1", "image 10"]


def test_what_was_done_to_the_images_is_a_caution_and_no_draft(gap: EncodeContext) -> None:
    (line,) = legend([RESAMPLED])
    assert (line.words, line.doubt) == (f"Caution: {RESAMPLED.sentences[0][0]}", True)
    report = encode([*measured(two_boxes(SHAPE), gap.volumes["image"]), RESAMPLED], gap)[1].ds
    told = [str(element.value) for element in report.iterall() if element.keyword == "TextValue"]
    assert line.words in told
    assert not [words for words in told if "DRAFT" in words]
