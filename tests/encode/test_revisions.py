"""A later revision's results say what they replace; a rejection note takes the earlier ones out of use."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_node.encode import EncodedObject, check, encode, rejection_note, to_bytes
from dicom_node.encode.dispatch import FORMS
from dicom_node.encode.gate.codes import walk
from dicom_node.errors import GateRefused
from dicom_node.records import Result
from tests.encode.cases import CREATED, Worked, everything
from tests.peers.validators import dcentvfy, dciodvfy

Pair = tuple[list[EncodedObject], list[EncodedObject]]


@pytest.fixture(scope="module")
def pair(small: Worked) -> Pair:
    """Results of every form of a first revision, and those of the second that replace them."""
    first = replace(small.context, outputs=FORMS)
    older = encode(everything(small), first)
    held = [
        Result(one.sop_instance_uid, one.sop_class_uid, one.series_instance_uid, one.kind, "")
        for one in older
    ]
    return older, encode(everything(small), replace(first, revision=2, predecessors=held))


def references(ds: Dataset) -> dict[str, str]:
    """Where each referenced instance stands: the outermost sequence, by UID; the last place counts."""
    return {
        str(item.ReferencedSOPInstanceUID): path.split("[")[0].split(".")[0]
        for path, item in walk(ds)
        if "ReferencedSOPInstanceUID" in item
        and path.split("[")[0].split(".")[0] != "ReferencedSeriesSequence"
    }


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("sr", "PredecessorDocumentsSequence"),
        ("sr-comprehensive", "PredecessorDocumentsSequence"),
        ("pdf", "PredecessorDocumentsSequence"),
        ("rtstruct", "PredecessorStructureSetSequence"),
        ("seg", "ReferencedImageSequence"),
        ("labelmap", "ReferencedImageSequence"),
        ("sc", "ReferencedImageSequence"),
        ("pm", "ReferencedImageSequence"),
        ("key", "ReferencedImageSequence"),
        ("heat", "ReferencedImageSequence"),
    ],
)
def test_each_result_names_the_one_that_it_replaces(pair: Pair, kind: str, place: str) -> None:
    before = next(one for one in pair[0] if one.kind == kind)
    after = next(one for one in pair[1] if one.kind == kind)
    assert references(after.ds).get(before.sop_instance_uid) == place
    assert before.sop_instance_uid != after.sop_instance_uid


def test_in_a_list_of_series_the_one_that_counts_is_told_from_the_one_that_it_replaces(pair: Pair) -> None:
    for before, after in zip(*(sorted(objects, key=lambda one: one.kind) for objects in pair), strict=True):
        title, _, kind = str(before.ds.SeriesDescription).rpartition(" (")
        assert after.ds.SeriesDescription == f"{title}, revision 2 ({kind}"
        step = int(after.ds.SeriesNumber) - int(before.ds.SeriesNumber)
        assert step % 9_000_000 == 1000, "it stands behind the other"


def test_a_long_title_is_cut_before_what_tells_results_apart(small: Worked) -> None:
    long = replace(
        small.context, title="Volumes of the lungs and of everything else in the chest", revision=12
    )
    (report,) = [one for one in encode(everything(small), long) if one.kind == "sr"]
    assert len(report.ds.SeriesDescription) == 64
    assert report.ds.SeriesDescription.endswith(", revision 12 (AI report)")


def test_validators_accept_what_names_its_predecessor(pair: Pair, small: Worked, tmp_path: Path) -> None:
    paths = []
    for age, objects in enumerate(pair):
        for number, one in enumerate(objects):
            paths.append(tmp_path / f"{age}-{number}-{one.kind}.dcm")
            paths[-1].write_bytes(to_bytes(one))
            assert dciodvfy(paths[-1]) == [], one.kind
    study = str(pair[0][0].ds.StudyInstanceUID)  # which a structure set must name as if it were an instance
    assert [line for line in dcentvfy([*small.paths, *paths]) if f"referenced - {study}" not in line] == []


def test_a_result_that_is_silent_on_its_predecessor_does_not_leave(pair: Pair, small: Worked) -> None:
    held = [
        Result(one.sop_instance_uid, one.sop_class_uid, one.series_instance_uid, one.kind, "")
        for one in pair[0]
    ]
    context = replace(small.context, outputs=FORMS, revision=2, predecessors=held)
    check(pair[1], context)
    silent = deepcopy(pair[1])
    del next(one for one in silent if one.kind == "sr").ds.PredecessorDocumentsSequence
    with pytest.raises(GateRefused, match="sr: an earlier revision's result that it replaces"):
        check(silent, context)


def test_a_result_that_names_another_predecessor_does_not_leave(pair: Pair, small: Worked) -> None:
    with pytest.raises(GateRefused, match="neither a source nor a result"):
        check(pair[1], replace(small.context, outputs=FORMS, revision=2))


@pytest.fixture(scope="module")
def note(pair: Pair) -> EncodedObject:
    return rejection_note([one.ds for one in pair[0]], 2, CREATED)


def test_the_note_selects_every_rejected_result_under_the_profiles_title(
    note: EncodedObject, pair: Pair
) -> None:
    title = note.ds.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001", "DCM")
    rejected = {one.sop_instance_uid: one for one in pair[0]}
    selected = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID): item.ValueType
        for item in note.ds.ContentSequence
        if "ReferencedSOPSequence" in item
    }
    assert selected.keys() == rejected.keys()
    assert {rejected[uid].kind for uid, value in selected.items() if value == "COMPOSITE"} == {
        "sr", "sr-comprehensive", "pdf", "rtstruct", "pr", "ko",
    }  # fmt: skip
    listed = {
        str(item.ReferencedSOPInstanceUID)
        for study in note.ds.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert listed == rejected.keys()


def test_the_note_is_of_the_patient_and_the_study(note: EncodedObject, small: Worked) -> None:
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber"):
        assert note.ds.get(keyword) == small.headers[0].get(keyword)
    assert note.ds.Modality == "KO"


def test_the_same_results_make_the_same_note(note: EncodedObject, pair: Pair) -> None:
    again = rejection_note([one.ds for one in reversed(pair[0])], 2, CREATED)
    assert again.sop_instance_uid == note.sop_instance_uid
    fewer = rejection_note([one.ds for one in pair[0][:2]], 2, CREATED)
    assert fewer.sop_instance_uid != note.sop_instance_uid


def test_a_validator_accepts_the_note(note: EncodedObject, pair: Pair, small: Worked, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.dcm" for number in range(len(pair[0]))]
    for path, one in zip(paths, pair[0], strict=True):
        path.write_bytes(to_bytes(one))
    path = tmp_path / "note.dcm"
    path.write_bytes(to_bytes(note))
    assert dciodvfy(path) == []
    assert [line for line in dcentvfy([*small.paths, *paths, path]) if str(path) in line] == []
