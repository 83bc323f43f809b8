"""What was measured outlives its job, and is the patient's."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from sqlalchemy import update

from dicom_node.ledger import Indexed, Ledger
from dicom_node.ledger.measured import Values
from dicom_node.ledger.tables import MeasuredRow
from dicom_node.records import JobState, Measured, Person, ReceiverEvent, Verdict
from tests.ledger.arrivals import at, image
from tests.ledger.test_work import claim, new_job

ANNA = Person("P-1", "", "19500101", "Doe^Anna")
VALUE = Measured(
    ANNA,
    "1.2",
    "1.2.3",
    "20250301",
    "ct-lung",
    "1",
    ("2.25.1", "SCT 1", "", "ml", ""),
    5.5,
    "20250301100000",
    "0123",
)


def run(
    ledger: Ledger,
    values: list[Measured],
    *,
    patient: str = "P-1",
    number: int = 1,
    series: str = "1.2.3",
    shadow: bool = False,
) -> None:
    """An image of a patient comes, and a job measures."""
    one = image(number, series)
    indexed = {one.path: Indexed(one, {"PatientID": patient, "Modality": "CT"}, {"InstanceNumber": number})}
    ledger.arrivals.apply([ReceiverEvent("stored", instance=one)], indexed, at(number))
    held = ledger.holdings.held(one.series_instance_uid)
    assert held is not None
    new = new_job(series=one.series_instance_uid, shadow=shadow)
    ledger.work.complete(
        one.series_instance_uid, held.revision, Verdict(True, "quiet", ""), [new], at(number)
    )
    ledger.work.finish(claim(ledger, now=number + 1), JobState.DONE, None, [], at(number + 1), (), values)


def known(ledger: Ledger, series: str = "1.2.3") -> list[float]:
    return [one.value for one in ledger.values.of_patient(series, "ct-lung")]


def test_a_value_comes_back_as_it_was(ledger: Ledger) -> None:
    run(ledger, [VALUE])
    assert ledger.values.of_patient("1.2.3", "ct-lung") == [VALUE]
    assert ledger.values.of_patient("1.2.3", "another") == []
    assert ledger.values.of_patient("9.9.9", "ct-lung") == [], "a series that nobody knows"


def test_a_value_of_before_options_were_kept_has_none(ledger: Ledger) -> None:
    run(ledger, [VALUE])
    old = {name: value for name, value in asdict(VALUE).items() if name != "options"}
    with ledger.database.write() as conn:
        conn.execute(update(MeasuredRow).values(value=old))
    assert ledger.values.of_patient("1.2.3", "ct-lung") == [replace(VALUE, options=None)]


def test_of_an_id_that_gathers_too_many_the_newest_are_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{Values.__module__}.MOST", 3)
    run(ledger, [replace(VALUE, value=float(number)) for number in range(5)])
    assert known(ledger) == [2.0, 3.0, 4.0]


def test_another_patients_stay_theirs(ledger: Ledger) -> None:
    run(ledger, [replace(VALUE, person=replace(ANNA, patient_id="P-2"))])
    assert known(ledger) == []


def test_a_patient_without_an_id_has_none(ledger: Ledger) -> None:
    run(ledger, [replace(VALUE, person=replace(ANNA, patient_id=""))], patient="")
    assert known(ledger) == []


def test_a_later_revisions_take_the_place_of_the_first(ledger: Ledger) -> None:
    run(ledger, [VALUE, replace(VALUE, value=1.0)])
    run(ledger, [replace(VALUE, value=6.5)], number=2)
    assert known(ledger) == [6.5]
    run(ledger, [], number=3)
    assert known(ledger) == []


def test_a_shadow_run_is_nobodys_history(ledger: Ledger) -> None:
    run(ledger, [VALUE], shadow=True)
    assert known(ledger) == []


def test_it_outlives_images_and_job_and_then_goes(ledger: Ledger) -> None:
    run(ledger, [VALUE])
    ledger.retention.forget(ledger.retention.expired(at(10**6)))
    run(ledger, [], series="1.2.4")  # the patient comes again
    assert known(ledger) == [], "the series is forgotten"
    assert known(ledger, "1.2.4") == [5.5]
    ledger.values.forget(at(10**6))
    assert known(ledger, "1.2.4") == []
