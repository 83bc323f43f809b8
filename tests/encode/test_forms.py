"""Every form of a result: valid, checked, the same each time, and where it should be in the patient."""

from __future__ import annotations

import subprocess
from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom import Dataset

from dicom_node.encode import EncodedObject, check, encode, to_bytes
from dicom_node.encode.dispatch import FORMS
from dicom_node.encode.seg import may_be_label_map
from dicom_node.encode.wording import Line, legend
from dicom_node.errors import GateRefused, ModelFailed
from dicom_node.findings import Heatmap, Segmentation
from tests.encode.cases import Worked, everything
from tests.encode.test_seg import assert_same_places
from tests.encode.test_valid import assert_valid
from tests.peers.process import need_script


@pytest.fixture(scope="module")
def made(small: Worked) -> dict[str, EncodedObject]:
    objects = encode(everything(small), replace(small.context, outputs=FORMS))
    return {obj.kind: obj for obj in reversed(objects)}


def read(obj: EncodedObject) -> Dataset:
    return pydicom.dcmread(BytesIO(to_bytes(obj)))


def test_every_form_is_made_valid_and_passes(
    small: Worked, made: dict[str, EncodedObject], tmp_path: Path
) -> None:
    assert set(made) == FORMS
    objects = encode(everything(small), replace(small.context, outputs=FORMS))
    assert_valid(objects, small.paths, tmp_path)


def test_every_form_is_the_same_each_time(small: Worked, made: dict[str, EncodedObject]) -> None:
    again = encode(everything(small), replace(small.context, outputs=FORMS))
    assert {to_bytes(obj) for obj in again} > {to_bytes(obj) for obj in made.values()}
    assert len({obj.series_instance_uid for obj in again}) == len(again)


def test_every_form_has_the_bytes_that_pydicom_would_write(made: dict[str, EncodedObject]) -> None:
    for obj in made.values():
        buffer = BytesIO()
        ds = deepcopy(obj.ds)
        ds.set_original_encoding(False, True, ds._character_set)
        pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
        assert to_bytes(obj) == buffer.getvalue(), obj.kind


def test_what_a_source_wrote_in_its_own_way_is_written_in_ours(small: Worked) -> None:
    """Implicit VR, Latin-1 and an item of undefined length, copied from a source's header."""
    procedure = Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator, procedure.CodeMeaning = "1", "99X", "Schädel"
    alone, buffer = Dataset(), BytesIO()
    alone.SpecificCharacterSet = "ISO_IR 100"
    procedure.is_undefined_length_sequence_item = True  # type: ignore[attr-defined]  # pydicom's way to ask for it
    alone.ProcedureCodeSequence = [procedure]
    alone["ProcedureCodeSequence"].is_undefined_length = True
    pydicom.dcmwrite(buffer, alone, implicit_vr=True, little_endian=True)
    copied = pydicom.dcmread(BytesIO(buffer.getvalue()), force=True)
    headers = deepcopy(small.context.sources["image"])
    for header in headers:
        header.ProcedureCodeSequence = copied.ProcedureCodeSequence
    for obj in encode(small.findings, replace(small.context, sources={"image": headers})):
        assert read(obj).ProcedureCodeSequence[0].CodeMeaning == "Schädel"
        assert "Schädel".encode() in to_bytes(obj)


def test_a_label_map_has_no_item_for_the_background(made: dict[str, EncodedObject]) -> None:
    ds = read(made["labelmap"])
    assert [item.SegmentNumber for item in ds.SegmentSequence] == [1, 2]
    assert ds.PixelPaddingValue == 0


def test_dcmqi_reads_a_label_map_at_the_same_positions(
    small: Worked, made: dict[str, EncodedObject], tmp_path: Path
) -> None:
    path = tmp_path / "seg.dcm"
    path.write_bytes(to_bytes(made["labelmap"]))
    reader = need_script("segimage2itkimage")
    subprocess.run([reader, "--inputDICOM", path, "--outputDirectory", tmp_path, "-p", "seg"], check=True)
    image = SimpleITK.ReadImage(str(tmp_path / "seg-1.nrrd"))
    labels = SimpleITK.GetArrayFromImage(image)
    grid = small.volume.grid
    for number in (1, 2):
        k, j, i = (int(value) for value in np.argwhere(labels == number)[0])
        place = image.TransformIndexToPhysicalPoint((i, j, k))
        first = np.argwhere(small.mask.array == number)[0]
        np.testing.assert_allclose(place, grid.to_patient(first), atol=0.01)
        assert (labels == number).sum() == (small.mask.array == number).sum()


@pytest.mark.parametrize("form", ["fractional", "seg"])
def test_dcmqi_reads_every_kind_of_segmentation(
    small: Worked, made: dict[str, EncodedObject], tmp_path: Path, form: str
) -> None:
    path = tmp_path / "seg.dcm"
    path.write_bytes(to_bytes(made[form]))
    assert_same_places(path, small.mask, small.volume, tmp_path)


def test_fractions_arrive_to_one_in_255(small: Worked) -> None:
    layers = np.zeros((2, *small.volume.array.shape), dtype=np.float32)
    layers[0, 2:6, 5:20, 3:17] = 0.7
    layers[1, 4:8, 10:30, 5:25] = 0.4
    context = replace(small.context, outputs=frozenset({"fractional"}))
    (obj,) = encode([Segmentation(layers, small.mask.segments)], context)
    pixels = highdicom.seg.segread(BytesIO(to_bytes(obj))).get_pixels_by_source_instance(
        [frame.sop_instance_uid for frame in small.volume.frames], assert_missing_frames_are_empty=True
    )
    np.testing.assert_allclose(np.moveaxis(pixels, -1, 0), layers, atol=1 / 255)


def test_masks_that_overlap_are_no_label_map(small: Worked) -> None:
    layers = np.stack([small.mask.array == 1, small.mask.array > 0])
    finding = Segmentation(layers, small.mask.segments)
    assert not may_be_label_map(finding)
    with pytest.raises(ModelFailed):
        encode([finding], replace(small.context, outputs=frozenset({"labelmap"})))
    apart = Segmentation(np.stack([small.mask.array == 1, small.mask.array == 2]), small.mask.segments)
    assert may_be_label_map(apart)
    encode([apart], replace(small.context, outputs=frozenset({"labelmap"})))


def test_a_report_refers_to_the_segmentation_that_goes_with_it(small: Worked) -> None:
    context = replace(small.context, outputs=frozenset({"labelmap", "sr"}))
    labels, report = encode(small.findings, context)
    alone = encode(small.findings, replace(small.context, outputs=frozenset({"sr"})))[0]
    binary = encode(small.findings, small.context)[1]
    assert labels.sop_instance_uid.encode() in to_bytes(report)
    assert len({obj.sop_instance_uid for obj in (report, alone, binary)}) == 3, "other content, other object"


def test_contours_enclose_the_masks_in_the_patient(small: Worked, made: dict[str, EncodedObject]) -> None:
    ds = read(made["rtstruct"])
    right = ds.ROIContourSequence[0]
    assert list(right.ROIDisplayColor) == [230, 60, 60]
    corners = []
    for contour in right.ContourSequence:
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        index = small.volume.grid.to_index(points)
        k = int(np.rint(index[0, 0]))
        image = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
        assert image == small.volume.frames[k].sop_instance_uid
        corners.append((k, *index[:, 1:].min(axis=0), *index[:, 1:].max(axis=0)))
    np.testing.assert_allclose(corners, [(k, 4.5, 2.5, 19.5, 16.5) for k in range(2, 7)], atol=0.01)


def test_key_objects_are_the_largest_sections(small: Worked, made: dict[str, EncodedObject]) -> None:
    ds = read(made["ko"])
    chosen = [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in ds.ContentSequence
        if item.ValueType == "IMAGE"
    ]
    slices = [frame.sop_instance_uid for frame in small.volume.frames]
    assert [slices.index(uid) for uid in chosen] == [2, 3, 5]


def test_the_presentation_state_draws_on_its_images(made: dict[str, EncodedObject]) -> None:
    ds = read(made["pr"])
    data = ds.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData
    assert (min(data[0::2]), max(data[0::2]), min(data[1::2]), max(data[1::2])) == (3, 17, 5, 20)
    layers = {item.GraphicLayer for item in ds.GraphicLayerSequence}
    assert {item.GraphicLayer for item in ds.GraphicAnnotationSequence} <= layers


def test_a_map_keeps_its_numbers(small: Worked, made: dict[str, EncodedObject]) -> None:
    heat = next(one for one in everything(small) if isinstance(one, Heatmap))
    ds = read(made["pm"])
    pixels = np.frombuffer(ds.FloatPixelData, "<f4").reshape(-1, ds.Rows, ds.Columns)
    np.testing.assert_array_equal(pixels, heat.array[3:6])


def test_key_slices_and_heat_maps_are_pictures(made: dict[str, EncodedObject]) -> None:
    assert read(made["key"]).pixel_array.shape == (3, 768, 768, 3)
    heat = read(made["heat"]).pixel_array
    assert heat.shape == (3, 768, 768, 3)
    warm = (heat[..., 0].astype(int) - heat[..., 2] > 100).sum(axis=(1, 2))
    assert (warm > 1000).all()


def test_the_document_names_patient_finding_and_maker(small: Worked, made: dict[str, EncodedObject]) -> None:
    from dicom_node.encode import paper

    ds = read(made["pdf"])
    assert bytes(ds.EncapsulatedDocument).startswith(b"%PDF-")
    words: list[str] = []
    write = paper._write
    long = [Line(f"A measured value, the {n}th of many", doubt=n == 39) for n in range(40)]
    try:
        paper._write = lambda canvas, at, said, size, **style: (  # type: ignore[assignment]
            words.append(said),
            write(canvas, at, said, size, **style),
        )
        paper.page([*legend(small.findings), *long], small.findings, small.context)
    finally:
        paper._write = write
    said = " ".join(words)
    for part in (
        "PHANTOM",
        "Right lung: Volume",
        "NOT VERIFIED",
        "ct-lung 1.2",
        "threshold=-500",
        "A. Author",
        "the 0th of many",
        "more lines: see the report",
        "the 39th of many",
    ):
        assert part in said


def test_defects_in_the_further_forms_are_stopped(small: Worked, made: dict[str, EncodedObject]) -> None:
    from copy import deepcopy

    def refused(form: str, change: object, words: str) -> None:
        objects = deepcopy(list(made.values()))
        change(next(obj.ds for obj in objects if obj.kind == form))  # type: ignore[operator]
        with pytest.raises(GateRefused, match=words):
            check(objects, small.context, everything(small))

    check(list(made.values()), small.context, everything(small))

    def drop_segment(ds: Dataset) -> None:
        ds.SegmentSequence = ds.SegmentSequence[:1]

    def other_layer(ds: Dataset) -> None:
        ds.GraphicAnnotationSequence[0].GraphicLayer = "NOPE"

    def no_mapping(ds: Dataset) -> None:
        del ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence

    def moved(ds: Dataset) -> None:
        contour = ds.ROIContourSequence[0].ContourSequence[0]
        contour.ContourData = [round(float(value) + 1, 3) for value in contour.ContourData]

    def unpaired(ds: Dataset) -> None:
        ds.RTROIObservationsSequence = ds.RTROIObservationsSequence[:1]

    refused("labelmap", drop_segment, "no segment's")
    refused("pr", other_layer, "layer")
    refused("pr", lambda ds: ds.__delattr__("ReferencedSeriesSequence"), "ReferencedSeriesSequence")
    refused("pm", no_mapping, "RealWorldValueMapping")
    refused("rtstruct", moved, "no slice")
    refused("rtstruct", unpaired, "same numbers")
    refused("pdf", lambda ds: setattr(ds, "EncapsulatedDocument", b"<html>"), "PDF")
    refused("ko", lambda ds: setattr(ds, "ContentSequence", ds.ContentSequence[:3]), "no image")
