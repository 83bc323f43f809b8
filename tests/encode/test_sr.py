"""Reports: the values, whose they are, and the doubts, as other programs read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_node.encode import encode, encode_no_result, to_bytes
from tests.encode.cases import Worked, everything
from tests.peers.dcmtk import dsrdump
from tests.peers.validators import pixelmed_sr, tid1500reader


def items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from items(item)


def groups(ds: Dataset) -> list[Dataset]:
    return [item for item in items(ds) if _name(item) == "Measurement Group"]


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning) if "ConceptNameCodeSequence" in item else ""


def values(group: Dataset) -> dict[str, float]:
    return {
        _name(item): float(item.MeasuredValueSequence[0].NumericValue)
        for item in items(group)
        if item.ValueType == "NUM"
    }


def test_values_arrive_with_their_segments(small: Worked) -> None:
    seg, sr, _ = (obj.ds for obj in encode(small.findings, small.context))
    right = groups(sr)[0]
    expected = float((small.mask.array == 1).sum()) * small.volume.grid.voxel_ml
    assert values(right)["Volume"] == pytest.approx(expected, abs=0.051)
    segment = next(item for item in items(right) if _name(item) == "Referenced Segment")
    referenced = segment.ReferencedSOPSequence[0]
    assert referenced.ReferencedSOPInstanceUID == seg.SOPInstanceUID
    assert referenced.ReferencedSegmentNumber == 1


def test_a_group_and_its_segment_share_the_tracking_uid(small: Worked) -> None:
    seg, sr, _ = (obj.ds for obj in encode(small.findings, small.context))
    tracked = [item.UID for item in items(sr) if _name(item) == "Tracking Unique Identifier"]
    left = seg.SegmentSequence[1].TrackingUID
    assert tracked.count(left) == 2, "the volumes, and the outline for viewers that need coordinates"


def test_the_doubt_of_a_measurement_is_read_in_its_group(small: Worked) -> None:
    sr = encode(small.findings, small.context)[1].ds
    texts = [item.TextValue for item in items(groups(sr)[0]) if item.ValueType == "TEXT"]
    assert "Mean: a contrast agent was given" in texts


def test_the_outline_lies_on_the_key_slice_in_image_coordinates(small: Worked) -> None:
    sr = encode(small.findings, small.context)[1].ds
    outline = next(item for item in items(groups(sr)[1]) if item.ValueType == "SCOORD")
    columns, rows = outline.GraphicData[0::2], outline.GraphicData[1::2]
    assert (min(columns), max(columns)) == (3, 17)
    assert (min(rows), max(rows)) == (5, 20)
    image = outline.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    slices = [frame.sop_instance_uid for frame in small.volume.frames]
    assert 2 <= slices.index(image) < 7


def test_other_programs_read_the_report(small: Worked, tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(to_bytes(encode(small.findings, small.context)[1]))
    assert "Imaging Measurement Report" in dsrdump(path)
    read = tid1500reader(path, tmp_path)
    names = [item["quantity"]["CodeMeaning"] for group in read for item in group["measurementItems"]]
    assert names.count("Volume") == 3


def test_classifications_detections_and_drafts_are_in_the_report(small: Worked) -> None:
    sr = encode(everything(small), small.context)[1].ds
    found = next(group for group in groups(sr) if "Nodule" in str(group) and "VOLUME" not in str(group))
    assert values(found)["Certainty of Finding"] == 87.0
    detected = groups(sr)[-1]
    assert values(detected) == {"Certainty of Finding": 62.0, "Volume": 1.25}
    box = next(item for item in items(detected) if item.ValueType == "SCOORD")
    assert list(box.GraphicData[:4]) == [4, 6, 11, 6]
    drafts = [item for item in items(sr) if item.get("TextValue", "").startswith("DRAFT, not verified")]
    assert [item.ContentSequence[0].TextValue for item in drafts] == ["Support: volumes", "Support: none"]


def test_the_same_report_for_archives_without_3d(small: Worked) -> None:
    three_d = encode(small.findings, replace(small.context, outputs=frozenset({"sr"})))[0]
    plain = encode(small.findings, replace(small.context, outputs=frozenset({"sr-comprehensive"})))[0]
    assert plain.sop_class_uid == "1.2.840.10008.5.1.4.1.1.88.33"
    assert plain.sop_instance_uid != three_d.sop_instance_uid
    assert len(list(items(plain.ds))) == len(list(items(three_d.ds)))


def test_another_reason_is_another_object(small: Worked) -> None:
    first, second = (encode_no_result(why, small.context)[0] for why in ("too short", "no lung"))
    assert first.sop_instance_uid != second.sop_instance_uid


@pytest.mark.slow
def test_pixelmed_finds_no_fault_of_template_or_scheme(small: Worked, tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(to_bytes(encode(everything(small), small.context)[1]))
    known = "Missing conditional content item"  # said of every report: it takes each alternative as required
    assert [line for line in pixelmed_sr(path) if known not in line] == []
