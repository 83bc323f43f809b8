"""What a run said stands, also when the ledger is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pydicom import Dataset

from dicom_node.encode import PROFILES, EncodedObject, Taker
from dicom_node.node.finishing import Ran
from dicom_node.node.outcomes import addressed, keep, kept
from dicom_node.records import Choice, Job, JobState
from dicom_node.spool import Spool

JOB = Job(
    id="0123abc",
    study_instance_uid="1.2",
    series={"image": "1.2.3"},
    revision=1,
    route="chest",
    pipeline="lung",
    destinations=("pacs",),
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    attempt=1,
)


def ran(state: JobState = JobState.DONE, words: str = "first") -> Ran:
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    ds.SOPInstanceUID = "2.25.7"
    ds.SeriesInstanceUID = "2.25.8"
    ds.ContentLabel = words.upper()
    ds.file_meta = Dataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return Ran(state, None, (), (EncodedObject("sr", ds, "report"),))


def test_a_finished_run_is_found_again_by_its_job(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outcome = keep(spool, JOB, ran())
    assert kept(spool, JOB.id) == outcome
    assert kept(spool, "0123ab") is None, "another job's id may begin alike"
    assert spool.path(outcome.results[0].path).is_file()


def test_a_run_that_died_before_its_end_left_no_outcome_and_is_in_nobodys_way(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outcome = keep(spool, JOB, ran())
    spool.path(outcome.results[0].path).with_name("outcome.json").unlink()
    assert kept(spool, JOB.id) is None
    again = keep(spool, JOB, ran(words="second"))
    assert again.results[0].path != outcome.results[0].path
    assert kept(spool, JOB.id) == again


def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    keep(spool, JOB, ran(JobState.FAILED))
    assert kept(spool, JOB.id) is None
    keep(spool, JOB, ran(JobState.FAILED, "once more"))


def test_a_kept_outcome_still_knows_whom_each_object_was_made_for_and_why(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    choice = Choice("sr", "sr", "the best form, and it is accepted", "pacs")
    first = ran()
    made = replace(first.objects[0], destinations=("pacs",))
    keep(spool, JOB, replace(first, objects=(made,), choices=(choice,)))
    again = kept(spool, JOB.id)
    assert again is not None
    assert again.choices == (choice,)
    assert again.results[0].destinations == ("pacs",)
    takers = [Taker(name, ("seg", "sr", "sc"), PROFILES["any"]) for name in ("pacs", "archive")]
    late = addressed(again, takers)
    assert late.results[0].destinations == ("pacs", "archive"), "a destination that the route has only now"
    assert [(one.destination, one.form) for one in late.choices] == [("pacs", "sr"), ("archive", "sr")]


def test_an_outcome_of_the_first_version_goes_to_all_that_take_its_kinds(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write_result("0123abc-20260301T000000000000", "outcome.json", FIRST_VERSION)
    outcome = kept(spool, JOB.id)
    assert outcome is not None
    takers = [Taker("pacs", ("sr",), PROFILES["any"]), Taker("old", ("sc",), PROFILES["pictures"])]
    assert [one.destinations for one in addressed(outcome, takers).results] == [("pacs",), ("old",)]


FIRST_VERSION = b"""{"state": "done", "reason": null, "results": [
 {"sop_instance_uid": "2.25.1", "sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.34",
  "series_instance_uid": "2.25.2", "kind": "sr", "path": "results/1.dcm", "description": "report"},
 {"sop_instance_uid": "2.25.3", "sop_class_uid": "1.2.840.10008.5.1.4.1.1.7",
  "series_instance_uid": "2.25.4", "kind": "sc", "path": "results/3.dcm", "description": "picture"}]}"""
