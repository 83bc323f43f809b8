"""What receivers report is in the ledger once, in order, with what a judgement needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicom_node.ledger import Held, Indexed, Ledger
from dicom_node.records import (
    AssociationOutcome,
    PerformedStep,
    ReceiverEvent,
    Refusal,
    StorageCommitment,
    Verdict,
)
from tests.ledger.arrivals import arrive, assoc, at, closed, image, opened

SERIES = "1.2.3"


def test_a_series_is_known_from_its_first_image_on(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    touched = arrive(ledger, [image(2, received=1), image(1, received=2)], ("j1", 99))
    facts = ledger.holdings.facts(SERIES)
    assert touched == {SERIES}
    assert (facts.images, facts.frames, facts.modality) == (2, 2, "CT")
    assert facts.header["InstanceNumber"] == 1, (
        "the header is that of the first image by number, not by arrival"
    )
    assert facts.calling_ae_titles == ("CT1",)
    assert ledger.arrivals.offset("j1") == 99
    assert ledger.holdings.due(at(3)) == [SERIES]


def test_the_same_line_read_twice_counts_once(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    arrive(ledger, [image(1)])
    assert arrive(ledger, [image(1)]) == set()
    assert ledger.holdings.facts(SERIES).images == 1


def test_the_same_bytes_again_are_counted_and_wake_nothing(ledger: Ledger) -> None:
    arrive(ledger, [image(1)])
    touched = ledger.arrivals.apply([ReceiverEvent("duplicate", instance=image(1))], {}, at(5))
    assert touched == set()
    assert ledger.holdings.facts(SERIES).images == 1


def test_other_bytes_under_the_same_uid_are_shown(ledger: Ledger) -> None:
    arrive(ledger, [image(1)])
    other = replace(image(1), digest="other", path="instances/1.2.3/1~other.dcm")
    ledger.arrivals.apply([ReceiverEvent("conflict", instance=other)], {}, at(5))
    (conflict,) = ledger.views.conflicts()
    assert (conflict["sop_instance_uid"], conflict["path"]) == ("1.2.3.1", other.path)
    assert ledger.views.conflicting(at(-1)) == [{"calling_ae_title": "", "images": 1, "at": at(0)}]
    opened(ledger, assoc("a1"))
    assert [row["calling_ae_title"] for row in ledger.views.conflicting(at(-1))] == ["CT1"]
    assert ledger.views.conflicting(at(1)) == []


def test_evidence_names_each_association(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    opened(ledger, assoc("a2", started=1))
    arrive(ledger, [image(1, received=1), image(2, received=2), image(3, received=3, association="a2")])
    assert closed(ledger, assoc("a1", ended=4)) == {SERIES}
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert [(a.association_id, a.images, a.outcome) for a in held.associations] == [
        ("a1", 2, AssociationOutcome.RELEASED),
        ("a2", 1, AssociationOutcome.OPEN),
    ]
    assert held.sender_open
    closed(ledger, assoc("a2", started=1, ended=5, aborted=True))
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert not held.sender_open
    assert held.associations[1].outcome is AssociationOutcome.ABORTED


def test_a_dead_receivers_associations_are_aborted(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    arrive(ledger, [image(1)])
    assert ledger.arrivals.open_journals() == ["j1"]
    assert ledger.arrivals.abort_orphans("j1") == {SERIES}
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert held.associations[0].outcome is AssociationOutcome.ABORTED
    assert ledger.arrivals.open_journals() == []


def lacking(ledger: Ledger, series: str = SERIES) -> tuple[list[int], list[int]]:
    """Images that were refused and have not come: of what brought some of the series, and beside."""
    held = ledger.holdings.held(series)
    assert held is not None
    return [one.refused for one in held.associations], [one.refused for one in held.refused_beside]


def test_images_that_were_refused_are_missed_until_they_come(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    arrive(ledger, [image(1, received=1)])
    closed(ledger, assoc("a1", ended=2, refused=("1.2.3.2", "1.2.3.3")))
    assert lacking(ledger) == ([2], [])
    opened(ledger, assoc("a2", started=3))
    arrive(ledger, [image(2, received=4, association="a2")])
    closed(ledger, assoc("a2", started=3, ended=5, refused=("1.2.3.3",)))
    assert lacking(ledger) == ([1, 1], [])
    arrive(ledger, [image(3, received=6, association="a3")])  # from whomever
    assert lacking(ledger) == ([0, 0], [])


def test_an_association_of_which_all_was_refused_is_evidence_for_its_senders_series(ledger: Ledger) -> None:
    for name, sender, started in (("old", "CT1", -9), ("a1", "CT1", 0), ("a2", "CT1", 3), ("b", "CT2", 3)):
        opened(ledger, assoc(name, sender, started))
    closed(ledger, assoc("old", started=-9, ended=-8, refused=("1.7.1",)))
    arrive(ledger, [image(1, received=1)])
    closed(ledger, assoc("a1", ended=2))
    touched = closed(ledger, assoc("a2", started=3, ended=4, aborted=True, refused=("1.2.3.2",)))
    closed(ledger, assoc("b", "CT2", started=3, ended=4, refused=("1.2.9.1",)))
    assert touched == {SERIES}
    assert lacking(ledger) == ([0], [1]), "neither another sender's, nor what was before"
    arrive(ledger, [image(2, received=6, association="a3")])
    assert lacking(ledger) == ([0], [])


def test_an_end_that_is_not_known_lies_not_before_the_start(ledger: Ledger) -> None:
    arrive(ledger, [image(1, received=1, association="a0")])
    opened(ledger, assoc("a1", started=900))
    again = replace(image(1, received=1, association="a1"))
    ledger.arrivals.apply([ReceiverEvent("duplicate", instance=again)], {}, at(901))
    ledger.arrivals.abort_orphans("j1")
    held = ledger.holdings.held(SERIES)
    assert held is not None
    (one,) = held.associations
    assert (one.association_id, one.started_at, one.ended_at) == ("a1", at(900), at(900))


@pytest.mark.parametrize(("listed", "proof"), [((1, 2), True), ((1, 2, 3), False), ((1,), False)])
def test_a_procedure_step_proves_only_what_it_lists(
    ledger: Ledger, listed: tuple[int, ...], proof: bool
) -> None:
    arrive(ledger, [image(1), image(2)])
    step = PerformedStep(at(3), "CT1", "1.9", "COMPLETED", {SERIES: tuple(f"1.2.3.{n}" for n in listed)})
    assert ledger.arrivals.apply([ReceiverEvent("mpps", step=step)], {}, at(3)) == {SERIES}
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert held.performed is proof


@pytest.mark.parametrize(("listed", "proof"), [((1, 2), True), ((1, 2, 7), False), ((1,), False)])
def test_a_commitment_request_proves_what_is_held(
    ledger: Ledger, listed: tuple[int, ...], proof: bool
) -> None:
    arrive(ledger, [image(1), image(2)])
    request = StorageCommitment(at(3), "CT1", "1.8", tuple(f"1.2.3.{n}" for n in listed), "a1")
    assert ledger.arrivals.apply([ReceiverEvent("commitment", commitment=request)], {}, at(3)) == {SERIES}
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert held.committed is proof


def test_refusals_are_shown_with_their_hint(ledger: Ledger) -> None:
    refusal = Refusal(at(1), "STRANGER", "DICOMNODE", "127.0.0.1", "unknown calling AE title", "peers: …")
    ledger.arrivals.apply([ReceiverEvent("refused", refusal=refusal)], {}, at(1))
    (row,) = ledger.views.refusals()
    assert (row["calling_ae_title"], row["hint"]) == ("STRANGER", "peers: …")


def test_the_same_refusals_of_ten_minutes_are_one_line_with_their_number(ledger: Ledger) -> None:
    first = Refusal(at(0), "CT1", "DICOMNODE", "127.0.0.1", "the disk is full", "make room", of_image=True)
    for seconds, times in ((0, 1), (1, 34), (5, 1), (900, 2)):
        again = replace(first, at=at(seconds), times=times)
        ledger.arrivals.apply([ReceiverEvent("refused", refusal=again)], {}, at(seconds))
    other = replace(first, calling_ae_title="CT2", at=at(901))
    ledger.arrivals.apply([ReceiverEvent("refused", refusal=other)], {}, at(901))
    found = [(row["calling_ae_title"], row["at"], row["times"]) for row in ledger.views.refusals()]
    assert found == [("CT2", at(901), 1), ("CT1", at(900), 2), ("CT1", at(0), 36)]
    sums = [(row["calling_ae_title"], row["times"]) for row in ledger.views.turned_away(at(0))]
    assert sums == [("CT1", 38), ("CT2", 1)]


def test_a_waiting_verdict_is_looked_at_again_in_time(ledger: Ledger) -> None:
    arrive(ledger, [image(1)])
    ledger.holdings.wait_until(SERIES, Verdict(False, "waiting", "quiet for 0 of 15 s", look_again_at=at(15)))
    assert ledger.holdings.due(at(14)) == []
    assert ledger.holdings.due(at(15)) == [SERIES]
    arrive(ledger, [image(2, received=5)])
    assert ledger.holdings.due(at(5)) == [SERIES], "a new image makes it due at once"


def past_series(
    ledger: Ledger, series: str, pieces: list[tuple[str, float, float]], sender: str = "CT1"
) -> None:
    """A complete series that came in pieces: association, when it began, when it ended."""
    for number, (name, began, ended) in enumerate(pieces, 1):
        opened(ledger, assoc(name, sender, began))
        arrive(ledger, [image(number, series, received=began + 1, association=name)])
        closed(ledger, assoc(name, sender, began, ended))
    ledger.work.complete(series, 1, Verdict(True, "quiet", "quiet"), [], at(900))


def this_series(ledger: Ledger) -> Held:
    opened(ledger, assoc("now", started=1000))
    arrive(ledger, [image(1, received=1001, association="now")])
    held = ledger.holdings.held(SERIES)
    assert held is not None
    return held


def test_how_a_senders_series_came_in_pieces_is_known(ledger: Ledger) -> None:
    past_series(ledger, "1.9", [("a1", 0, 7), ("a2", 20, 22)])
    past_series(ledger, "1.8", [("b1", 30, 40)])
    past_series(ledger, "1.7", [("c1", 50, 90), ("c2", 60, 62), ("c3", 100, 101)])
    past_series(ledger, "1.6", [("d1", 0, 5), ("d2", 500, 505)], sender="MR1")
    assert sorted(this_series(ledger).pauses) == [0.0, 11.0, 14.0], (
        "from 90, when all had been released, to 101; from 7 to 21; and another sender's past says nothing"
    )


@pytest.mark.parametrize(("proven", "promise"), [(5, "commitment"), (4, "")])
def test_a_sender_that_always_asks_for_commitment_is_waited_for(
    ledger: Ledger, proven: int, promise: str
) -> None:
    for number in range(5):
        past_series(ledger, f"1.9.{number}", [(f"a{number}", number * 10, number * 10 + 5)])
        if number < proven:
            request = StorageCommitment(
                at(number), "CT1", f"1.8.{number}", (f"1.9.{number}.1",), f"a{number}"
            )
            ledger.arrivals.apply([ReceiverEvent("commitment", commitment=request)], {}, at(number))
    assert this_series(ledger).promised == promise


def test_a_sender_that_always_reports_its_steps_is_waited_for(ledger: Ledger) -> None:
    for number in range(5):
        series = f"1.9.{number}"
        past_series(ledger, series, [(f"a{number}", number * 10, number * 10 + 5)])
        step = PerformedStep(at(number), "CT1", f"1.8.{number}", "COMPLETED", {series: (f"{series}.1",)})
        ledger.arrivals.apply([ReceiverEvent("mpps", step=step)], {}, at(number))
    assert this_series(ledger).promised == "mpps"


def test_a_sender_without_a_past_promises_nothing(ledger: Ledger) -> None:
    assert this_series(ledger).promised == ""


def test_what_a_source_counts_is_evidence_and_wakes_the_series(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    arrive(ledger, [image(1)])
    ledger.holdings.wait_until(SERIES, Verdict(False, "waiting", "open", look_again_at=at(600)))
    assert ledger.holdings.to_count("CT1", at(0), at(1)) == [("1.2", "")]
    assert ledger.holdings.to_count("MR1", at(0), at(1)) == [], "another sender is not asked"
    ledger.holdings.note_counts("scanner", {SERIES: 40, "1.5": 3}, at(2))
    assert ledger.holdings.to_count("CT1", at(1), at(3)) == [], "it was asked a moment ago"
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert [(count.peer, count.instances) for count in held.counts] == [("scanner", 40)]
    assert ledger.holdings.due(at(3)) == [SERIES]


def test_nonsense_for_a_number_of_frames_is_one_frame(ledger: Ledger) -> None:
    fields = {1: {"NumberOfFrames": "1A"}, 2: {"NumberOfFrames": 12}, 3: {}}
    images = {n: image(n) for n in fields}
    indexed = {one.path: Indexed(one, {}, fields[n]) for n, one in images.items()}
    ledger.arrivals.apply([ReceiverEvent("stored", instance=one) for one in images.values()], indexed, at(0))
    assert ledger.holdings.facts(SERIES).frames == 14


def test_a_whole_resend_after_an_abort_counts_as_brought(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    arrive(ledger, [image(1), image(2)])
    closed(ledger, assoc("a1", ended=3, aborted=True))
    opened(ledger, assoc("a2", started=10))
    for number in (1, 2):
        again = image(number, received=11, association="a2")
        ledger.arrivals.apply([ReceiverEvent("duplicate", instance=again)], {}, at(11))
    assert closed(ledger, assoc("a2", started=10, ended=12)) == {SERIES}
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert [(a.association_id, a.images) for a in held.associations] == [("a2", 2)]


def test_a_commitment_counts_though_the_clock_was_set_back(ledger: Ledger) -> None:
    arrive(ledger, [image(1, received=600)])
    request = StorageCommitment(at(3), "CT1", "1.8", ("1.2.3.1",), "a1")
    ledger.arrivals.apply([ReceiverEvent("commitment", commitment=request)], {}, at(3))
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert held.committed


def test_an_orphan_ended_with_its_last_sign_of_life(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    opened(ledger, assoc("a2", started=2))
    arrive(ledger, [image(1, received=3), image(2, received=4)])
    assert ledger.arrivals.abort_orphans("j1") == {SERIES}
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert [(one.association_id, one.ended_at) for one in held.associations] == [("a1", at(4))]


def test_the_end_of_an_association_wakes_what_waits_for_its_sender(ledger: Ledger) -> None:
    for name in ("a1", "a2"):
        opened(ledger, assoc(name))
    arrive(ledger, [image(1)])
    arrive(ledger, [image(1, series="1.2.4", association="a9")])
    assert closed(ledger, assoc("a2", ended=5)) == {SERIES}


def test_images_that_come_again_belong_to_the_association_that_brought_them_last(ledger: Ledger) -> None:
    for name in ("a1", "a2"):
        opened(ledger, assoc(name))
    arrive(ledger, [image(1), image(2, received=1), image(3, received=2)])
    again = [ReceiverEvent("duplicate", instance=image(n, received=9, association="a2")) for n in (2, 3)]
    ledger.arrivals.apply(again, {}, at(9))
    held = ledger.holdings.held(SERIES)
    assert held is not None
    assert [(one.association_id, one.images, one.last_image_at) for one in held.associations] == [
        ("a1", 1, at(0)),
        ("a2", 2, at(2)),
    ]


def test_what_is_due_next(ledger: Ledger) -> None:
    assert ledger.holdings.next_due() is None
    for number, series in enumerate(("1.2.3", "1.2.4")):
        arrive(ledger, [image(1, series=series)])
        waiting = Verdict(complete=False, evidence="waiting", reason="", look_again_at=at(60 - number))
        ledger.holdings.wait_until(series, waiting)
    assert ledger.holdings.next_due() == at(59)
