"""Trends: what an earlier study's results said stands beside the same of this one, and never another's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicom_node.encode import EncodeContext, encode, encode_no_result, measured, read_measured
from dicom_node.encode.earlier import with_earlier
from dicom_node.encode.wording import change_text, legend
from dicom_node.findings import Code, Detection, Finding, Measurement
from dicom_node.records import Measured, Result
from tests.encode.cases import HU, ML, VOLUME, Worked, everything
from tests.encode.test_valid import write_valid
from tests.peers import dsrdump, tid1500reader

YEAR_AGO = "20251126"


def of(small: Worked, **attributes: Any) -> EncodeContext:
    """The context of a study of the phantom on 4 March 2026, or as the attributes say."""
    said = {"StudyDate": "20260304", "PatientBirthDate": "19500101", **attributes}
    headers = deepcopy(small.headers)
    for header in headers:
        for keyword, value in said.items():
            setattr(header, keyword, value)
    return replace(small.context, sources={"image": headers})


def a_year_ago(small: Worked, factor: float = 0.9, **attributes: Any) -> tuple[Measured, ...]:
    """What the same algorithm measured a year before, in another study."""
    said = {"StudyDate": "20250301", "StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2"}
    return measured(scaled(small, factor), of(small, **said | attributes))


def scaled(small: Worked, factor: float) -> list[Finding]:
    return [
        replace(one, value=one.value * factor) if isinstance(one, Measurement) else one
        for one in everything(small)
    ]


def histories(findings: list[Finding]) -> list[tuple[tuple[date, float], ...]]:
    """The earlier values of every measurement, those of detections last."""
    alone = [one.earlier for one in findings if isinstance(one, Measurement)]
    return alone + [
        each.earlier for one in findings if isinstance(one, Detection) for each in one.measurements
    ]


@pytest.mark.parametrize("form", ["sr", "sr-comprehensive"])
def test_a_report_read_again_says_what_was_measured(small: Worked, form: str) -> None:
    context = of(small, IssuerOfPatientID="HOSPITAL")
    (report,) = encode(everything(small), replace(context, outputs=frozenset({form})))
    values = measured(everything(small), context)
    assert len(values) == 6
    assert set(values) <= set(read_measured(report.ds))


def test_values_that_numpy_made_are_kept_as_plain_numbers(small: Worked) -> None:
    """As `array.mean()` gives them: the ledger keeps JSON."""
    findings = [
        replace(one, value=np.float32(one.value)) if isinstance(one, Measurement) else one
        for one in everything(small)
    ]
    values = measured(findings, of(small))
    assert values
    assert json.dumps([one.value for one in values])


def test_others_reports_say_nothing(small: Worked) -> None:
    (report,) = encode(everything(small), replace(of(small), outputs=frozenset({"sr"})))
    other, broken, picture = deepcopy(report.ds), deepcopy(report.ds), deepcopy(report.ds)
    other.Manufacturer = "SOMEBODY"
    del broken.CurrentRequestedProcedureEvidenceSequence
    picture.Modality = "OT"
    for ds in (other, broken, picture, Dataset()):
        assert read_measured(ds) == ()


@pytest.mark.parametrize("form", ["sr", "sr-comprehensive"])
def test_what_a_later_report_or_notice_replaces_says_nothing(small: Worked, form: str) -> None:
    context = replace(of(small), outputs=frozenset({form}))
    (first,) = encode(everything(small), context)
    held = Result(first.sop_instance_uid, first.sop_class_uid, first.series_instance_uid, first.kind, "")
    again = replace(context, revision=2, predecessors=[held])
    (notice,) = encode_no_result("images came after it", again)
    assert read_measured(first.ds)
    assert read_measured(first.ds, notice.ds) == read_measured(notice.ds, first.ds) == ()
    (second,) = encode([Measurement(VOLUME, 4.0, ML)], again)
    assert [one.value for one in read_measured(first.ds, second.ds)] == [4.0]
    notice.ds.Manufacturer = "SOMEBODY"
    assert read_measured(first.ds, notice.ds) == read_measured(first.ds), "others take nothing back"


def test_a_year_later_every_form_shows_value_date_and_change(small: Worked, tmp_path: Path) -> None:
    forms, earlier = frozenset({"sr", "sc", "pdf"}), a_year_ago(small, PatientBirthDate="")
    context = replace(small.context, earlier=earlier, outputs=forms)
    objects = encode(everything(small), context)
    written = write_valid(objects, small.paths, tmp_path)
    files = {one.description: path for one, path in zip(objects, written, strict=True)}
    assert "Lung volumes (AI trend)" in files
    assert "Volume: +0." in dsrdump(files["Lung volumes (AI report)"])
    text = dcmread(files["Lung volumes (AI report)"]).to_json()
    first = next(one for one in small.findings if isinstance(one, Measurement))
    change = round(first.value, 1) - round(first.value * 0.9, 1)
    assert f"Volume: {change:+.1f}" in text
    assert f"since 2025-03-01; earlier: {first.value * 0.9:.1f} ml on 2025-03-01" in text
    values = [
        item["value"]
        for group in tid1500reader(files["Lung volumes (AI report)"], tmp_path)
        for item in group.get("measurementItems", [])
    ]
    assert f"{first.value * 0.9:.1f}" not in values, "an earlier value is no measurement of this study"
    assert f"({change:+.1f}" in legend(with_earlier(everything(small), context))[0].words


def test_what_is_followed_keeps_its_tracking_identifiers(small: Worked) -> None:
    """Segments of the same label, and a lesion that the pipeline knows again."""
    now, before = of(small), of(small, StudyDate="20250301", StudyInstanceUID="2.25.1")
    keys = [{one.key for one in measured(everything(small), context)} for context in (now, before)]
    assert keys[0] == keys[1]
    lesion = next(one for one in everything(small) if isinstance(one, Detection))
    other = [replace(lesion, tracking_id="nodule-2")]
    assert not {one.key for one in measured(other, now)} & keys[0]
    unknown = [replace(lesion, tracking_id=None)]
    assert measured(unknown, now) == (), "a number in a list is no identity"


def test_earlier_values_stand_by_date_each_with_its_own_measurement(small: Worked) -> None:
    older = a_year_ago(small, 0.8, StudyDate="20240229", StudyInstanceUID="2.25.9")
    context = replace(of(small), earlier=[*a_year_ago(small), *older])
    found = histories(with_earlier(everything(small), context))
    values = [one.value for one in everything(small) if isinstance(one, Measurement)] + [1.25]
    for value, earlier in zip(values, found, strict=True):
        whens = [when for when, _value in earlier]
        assert whens == [date(2024, 2, 29), date(2025, 3, 1)]
        factor = 1.0 if value == 1.25 else 0.9  # `scaled` leaves the detection's alone
        assert earlier[1][1] == pytest.approx(value * factor)


@pytest.mark.parametrize(
    "theirs",
    [
        {"PatientID": "PHANTOM2"},
        {"IssuerOfPatientID": "OTHER"},
        {"PatientBirthDate": "19500102"},
        {"PatientBirthDate": "", "PatientName": "SOMEBODY^ELSE"},
        {"StudyDate": "20260304"},
        {"StudyDate": "20270304"},
        {"StudyDate": ""},
    ],
    ids=lambda theirs: " ".join(f"{key}={value}" for key, value in theirs.items()),
)
def test_nobody_elses_values_and_no_later_ones(small: Worked, theirs: dict[str, str]) -> None:
    earlier = a_year_ago(small, **theirs)
    found = with_earlier(everything(small), replace(of(small), earlier=earlier))
    assert histories(found) == [()] * 6, "also where the tracking identifier were the same"
    forged = [replace(one, key=key.key) for one, key in zip(earlier, a_year_ago(small), strict=True)]
    found = with_earlier(everything(small), replace(of(small), earlier=forged))
    assert histories(found) == [()] * 6


def test_a_patient_whose_birth_date_is_not_known_is_known_by_name(small: Worked) -> None:
    for theirs in ({"PatientBirthDate": ""}, {"PatientBirthDate": "", "PatientName": "Phantom^Test^^^"}):
        found = with_earlier(everything(small), replace(of(small), earlier=a_year_ago(small, **theirs)))
        assert all(histories(found))
    nobody = of(small, PatientID="")
    assert measured(everything(small), nobody) == (), "without an ID nobody is followed"


def test_an_id_alone_is_nobody(small: Worked) -> None:
    """De-identified studies share IDs, and have neither birth dates nor names."""
    nameless = {"PatientID": "ANON", "PatientBirthDate": "", "PatientName": ""}
    for theirs in (nameless, {**nameless, "PatientName": "^"}, {**nameless, "PatientBirthDate": "19500101"}):
        earlier = a_year_ago(small, **theirs)
        assert earlier
        found = with_earlier(everything(small), replace(of(small, **nameless), earlier=earlier))
        assert histories(found) == [()] * 6


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "another"},
        {"key": ("2.25.5", "SCT 118565006", "", "ml", "SCT 39607008 SCT 24028007")},
    ],
    ids=["another algorithm", "another lesion"],
)
def test_only_what_is_the_same(small: Worked, changes: dict[str, Any]) -> None:
    earlier = [replace(one, **changes) for one in a_year_ago(small)]
    found = with_earlier(everything(small), replace(of(small), earlier=earlier))
    assert histories(found) == [()] * 6


@pytest.mark.parametrize("part", range(1, 5))
def test_another_concept_derivation_unit_or_side_is_another_thing(small: Worked, part: int) -> None:
    keys = [list(one.key) for one in a_year_ago(small)]
    for key in keys:
        key[part] = "another"
    earlier = [replace(one, key=tuple(key)) for one, key in zip(a_year_ago(small), keys, strict=True)]
    found = with_earlier(everything(small), replace(of(small), earlier=earlier))
    assert histories(found) == [()] * 6


def test_of_a_series_measured_twice_the_later_value_counts(small: Worked) -> None:
    first = a_year_ago(small, 0.5)
    second = [replace(one, made_at="20260601000000") for one in a_year_ago(small, 0.9)]
    for earlier in ([*first, *second], [*second, *first]):
        found = histories(with_earlier(everything(small), replace(of(small), earlier=earlier)))
        assert all(len(one) == 1 for one in found)
        value = next(one.value for one in everything(small) if isinstance(one, Measurement))
        assert found[0][0][1] == pytest.approx(value * 0.9)


def test_a_study_whose_series_differ_is_left_out(small: Worked) -> None:
    other = a_year_ago(small, 0.5, SeriesInstanceUID="2.25.3")
    found = histories(
        with_earlier(everything(small), replace(of(small), earlier=[*a_year_ago(small), *other]))
    )
    assert found[:5] == [()] * 5
    assert len(found[5]) == 1, "the detection's, which is the same in both"


def test_values_of_another_version_say_so(small: Worked) -> None:
    earlier = [replace(one, version="1.1") for one in a_year_ago(small)]
    found = with_earlier(everything(small), replace(of(small), earlier=earlier))
    doubts = [one.doubt or "" for one in found if isinstance(one, Measurement)]
    assert all("earlier values were measured by version 1.1" in doubt for doubt in doubts)
    assert any("a contrast agent was given" in doubt for doubt in doubts)


def doubts_beside(small: Worked, earlier: Sequence[Measured]) -> set[str | None]:
    """The doubts of a measurement that has none of its own, in any series of such earlier values."""
    context = replace(of(small), earlier=earlier)
    findings = with_earlier([Measurement(VOLUME, 4.0, ML)], context)
    return {one.doubt for one in findings if isinstance(one, Measurement) and one.earlier}


def test_values_of_other_options_say_so(small: Worked) -> None:
    context = of(small, StudyDate="20250301", StudyInstanceUID="2.25.1", SeriesInstanceUID="2.25.2")
    found = [Measurement(VOLUME, 3.0, ML)]
    same = measured(found, context)
    assert doubts_beside(small, same) == {None}
    algorithm = replace(context.algorithm, parameters=(("threshold", "-900"),))
    other = measured(found, replace(context, algorithm=algorithm))
    assert doubts_beside(small, other) == {"earlier values were measured with other options"}
    both = [replace(one, version="1.1") for one in other]
    assert doubts_beside(small, both) == {
        "earlier values were measured by version 1.1 and with other options"
    }
    unknown = [replace(one, options=None) for one in other]
    assert doubts_beside(small, unknown) == {None}, "kept before the options were"
    given = replace(context, algorithm=algorithm, outputs=frozenset({"sr"}))
    (report,) = encode(found, given)
    assert read_measured(report.ds) == other, "an archive's report tells them too"


def test_what_a_pipeline_says_itself_stands(small: Worked) -> None:
    own = ((date(2099, 1, 1), 9.0), (date(2025, 6, 1), 3.0), (date(2020, 6, 1), float("nan")))
    findings = [Measurement(VOLUME, 4.0, ML, earlier=own)]
    (one,) = with_earlier(findings, replace(of(small), earlier=a_year_ago(small)))
    assert isinstance(one, Measurement)
    assert one.earlier == ((date(2025, 6, 1), 3.0),)


def test_two_of_the_same_name_are_not_followed(small: Worked) -> None:
    twice = [Measurement(VOLUME, 4.0, ML), Measurement(VOLUME, 5.0, ML)]
    assert measured(twice, of(small)) == ()
    other = [*twice, Measurement(Code("118566007", "SCT", "Other"), 4.0, ML)]
    assert len(measured(other, of(small))) == 1


def test_results_that_say_more_are_other_objects(small: Worked) -> None:
    """A second run that finds the archive away must not say something else under the same UID."""
    forms = frozenset({"sr", "sc", "pdf"})
    contexts = [
        replace(of(small), outputs=forms),
        replace(of(small), outputs=forms, earlier=a_year_ago(small)),
    ]
    without, beside = ({one.sop_instance_uid for one in encode(everything(small), each)} for each in contexts)
    assert not without & beside
    again = {one.sop_instance_uid for one in encode(everything(small), contexts[1])}
    assert again == beside
    for changes in ({"version": "1.1"}, {"options": "others"}):
        cautious = replace(contexts[1], earlier=[replace(one, **changes) for one in contexts[1].earlier])
        assert not {one.sop_instance_uid for one in encode(everything(small), cautious)} & beside


@pytest.mark.parametrize(
    ("value", "before", "unit", "said"),
    [
        (5.04, 4.0, ML, "+1.0, +25.0% since 2025-03-01"),
        (3.0, 4.0, ML, "-1.0, -25.0% since 2025-03-01"),
        (4.04, 4.0, ML, "no change since 2025-03-01"),
        (4.0, 0.0, ML, "+4.0 since 2025-03-01"),
        (-301.2, -271.0, HU, "-30.2 since 2025-03-01"),
        (12.0, 10.0, Code("%", "UCUM", "percent"), "+2.0 since 2025-03-01"),
    ],
)
def test_how_a_change_is_said(value: float, before: float, unit: Code, said: str) -> None:
    assert change_text(Measurement(VOLUME, value, unit), (date(2025, 3, 1), before)) == said
