"""The door of encoding: what is made, for whom, and that it is always the same."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta, timezone
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from dicom_node.encode import encode, encode_no_result, is_own_result, to_bytes
from dicom_node.findings import NotApplicable
from tests.encode.cases import CREATED, Worked, worked


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(content))


def test_a_result_is_three_series_of_the_source_study(small: Worked) -> None:
    objects = [read(to_bytes(obj)) for obj in encode(small.findings, small.context)]
    assert [ds.Modality for ds in objects] == ["SEG", "SR", "OT"]
    assert {ds.StudyInstanceUID for ds in objects} == {small.headers[0].StudyInstanceUID}
    assert {str(ds.PatientName) for ds in objects} == {str(small.headers[0].PatientName)}
    assert len({ds.SeriesInstanceUID for ds in objects} | {small.headers[0].SeriesInstanceUID}) == 4
    assert len({ds.SeriesNumber for ds in objects} | {small.headers[0].SeriesNumber}) == 4
    assert all(ds.SeriesDescription.startswith("Lung volumes") for ds in objects)
    assert objects[0].FrameOfReferenceUID == small.headers[0].FrameOfReferenceUID


def test_the_same_job_gives_the_same_bytes(small: Worked) -> None:
    first = [to_bytes(obj) for obj in encode(small.findings, small.context)]
    assert first == [to_bytes(obj) for obj in encode(small.findings, small.context)]


def test_another_revision_version_or_option_is_another_result(small: Worked) -> None:
    algorithm = small.context.algorithm
    contexts = [
        small.context,
        replace(small.context, revision=2),
        replace(small.context, algorithm=replace(algorithm, version="1.3")),
        replace(small.context, algorithm=replace(algorithm, parameters=(("threshold", "-600"),))),
        replace(small.context, use="clinical"),
    ]
    uids = {obj.sop_instance_uid for context in contexts for obj in encode(small.findings, context)}
    assert len(uids) == 3 * len(contexts)


def test_outputs_name_what_is_made_and_change_nothing_else(small: Worked) -> None:
    everything = {obj.kind: to_bytes(obj) for obj in encode(small.findings, small.context)}
    (alone,) = encode(small.findings, replace(small.context, outputs=frozenset({"seg"})))
    assert to_bytes(alone) == everything["seg"]


def test_results_are_known_again_and_sources_are_not(small: Worked) -> None:
    objects = encode(small.findings, small.context) + encode_no_result("too short", small.context)
    assert all(is_own_result(read(to_bytes(obj))) for obj in objects)
    assert not any(is_own_result(header) for header in small.headers)
    assert not is_own_result(Dataset())


def test_not_applicable_is_a_report_and_a_picture_that_say_why(small: Worked) -> None:
    objects = encode([NotApplicable("no lung in the image")], small.context)
    assert [obj.kind for obj in objects] == ["sr", "sc"]
    assert b"no lung in the image" in to_bytes(objects[0])
    assert all("no result" in obj.description for obj in objects)
    results = {obj.sop_instance_uid for obj in encode(small.findings, small.context)}
    assert not results & {obj.sop_instance_uid for obj in objects}


def test_no_result_needs_no_volume(small: Worked) -> None:
    objects = encode_no_result("the slices make no volume", replace(small.context, volumes={}))
    assert [obj.kind for obj in objects] == ["sr", "sc"]


def test_a_destination_of_segmentations_still_hears_of_no_result(small: Worked) -> None:
    (obj,) = encode_no_result("too short", replace(small.context, outputs=frozenset({"seg"})))
    assert obj.kind == "sc"


@pytest.mark.parametrize(("stated", "expected"), [(None, "050607"), ("+0200", "070607"), ("-0330", "013607")])
def test_times_are_the_source_zones(small: Worked, stated: str | None, expected: str) -> None:
    headers = deepcopy(small.headers)
    for header in headers:
        if stated:
            header.TimezoneOffsetFromUTC = stated
    obj = encode_no_result("why", replace(small.context, sources={"image": headers}))[0]
    assert obj.ds.ContentTime == expected
    assert obj.ds.get("TimezoneOffsetFromUTC") == stated


def test_times_are_written_in_the_zone_they_were_given_in(small: Worked) -> None:
    here = CREATED.astimezone(timezone(timedelta(hours=-6)))
    obj = encode_no_result("why", replace(small.context, created_at=here))[0]
    assert (obj.ds.ContentDate, obj.ds.ContentTime) == ("20260303", "230607")


def test_research_use_is_said_unless_the_site_says_otherwise(small: Worked) -> None:
    def words(use: str) -> bytes:
        return to_bytes(encode(small.findings, replace(small.context, use=use))[1])  # type: ignore[arg-type]

    assert b"NOT VERIFIED - RESEARCH USE ONLY" in words("research")
    assert b"NOT VERIFIED" in words("clinical")
    assert b"RESEARCH" not in words("clinical")


def test_a_name_in_any_character_set_arrives_unchanged(tmp_path: Path) -> None:
    case = worked(tmp_path)
    for header in case.headers:
        header.SpecificCharacterSet = "ISO_IR 192"
        header.PatientName = "Müller^Łucja=山田^太郎"
    for obj in encode(case.findings, case.context):
        assert str(read(to_bytes(obj)).PatientName) == "Müller^Łucja=山田^太郎"


def test_an_empty_mask_makes_no_segmentation_but_its_measurements_arrive(small: Worked) -> None:
    empty = replace(small.mask, array=np.zeros_like(small.mask.array))
    objects = encode([empty, *small.findings[1:]], small.context)
    assert [obj.kind for obj in objects] == ["sr", "sc"]
    assert b"Volume" in to_bytes(objects[0])
