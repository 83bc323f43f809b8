"""The table of evidence, row by row, and what must hold for any evidence at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.complete import judge
from dicom_node.config import CompletionConfig
from dicom_node.records import AssociationOutcome, Evidence, GeometryEvidence
from tests.complete.evidence import UNSURE, aborted, association, at, count, evidence, open_association

POLICY = CompletionConfig(settle=1, quiet=15, quiet_min=5, quiet_max=120, ceiling=600)
AT_ONCE = (0.0,) * 100

CASES: list[tuple[str, Evidence, list[tuple[float, str]]]] = [
    (
        "released and whole: a short settle time after the release",
        evidence(association()),
        [(10.6, "waiting"), (11.4, "waiting"), (11.5, "geometry"), (700, "geometry")],
    ),
    (
        "a commitment request proves it at once, in whatever state",
        evidence(open_association(), committed=True, geometry=UNSURE),
        [(10, "commitment")],
    ),
    (
        "the time in which the node was away is no silence",
        evidence(association(), geometry=UNSURE, listening_since=at(300)),
        [(301, "waiting"), (314, "waiting"), (315, "quiet")],
    ),
    (
        "a clock that was set back since the node's start takes nothing from what was waited",
        evidence(association(), geometry=UNSURE, listening_since=at(300)),
        [(24, "waiting"), (26, "quiet")],
    ),
    (
        "after the clock was set back, what was noted before it counts from then on",
        evidence(association(), geometry=UNSURE, listening_since=at(-3600)),
        [(-3599, "waiting"), (-3586, "waiting"), (-3585, "quiet")],
    ),
    ("so does a completed procedure step", evidence(open_association(), performed=True), [(10, "mpps")]),
    (
        "the source counts as many, and nothing is open",
        evidence(association(), geometry=UNSURE, counts=(count(100),)),
        [(12, "count")],
    ),
    (
        "the source counts as many, but an association is open: counted twice",
        evidence(open_association(), geometry=UNSURE, counts=(count(100),)),
        [(12, "waiting"), (609, "waiting"), (610, "ceiling")],
    ),
    ("counted twice", evidence(open_association(), counts=(count(100), count(100, 15))), [(15, "count")]),
    (
        "the source counts more than have come, though they look whole",
        evidence(association(), counts=(count(120),)),
        [(12, "waiting"), (500, "waiting"), (610, "ceiling")],
    ),
    (
        "an old count that lies behind what is held says nothing",
        evidence(association(), counts=(count(60, 5),)),
        [(11, "waiting"), (11.5, "geometry")],
    ),
    (
        "the last count is what counts",
        evidence(association(), counts=(count(100, 5), count(120, 12))),
        [(20, "waiting"), (610, "ceiling")],
    ),
    (
        "released, geometry not conclusive: the configured quiet time, where no past is known",
        evidence(association(), geometry=UNSURE),
        [(11.5, "waiting"), (25.4, "waiting"), (25.5, "quiet")],
    ),
    (
        "… adapted to a sender that always sends at once, but never below its lower bound",
        evidence(association(), geometry=UNSURE, pauses=AT_ONCE),
        [(15.4, "waiting"), (15.5, "quiet")],
    ),
    (
        "… to a sender that pauses",
        evidence(association(), geometry=UNSURE, pauses=(*AT_ONCE, *(9.0,) * 10)),
        [(37.4, "waiting"), (37.5, "quiet")],
    ),
    (
        "… to a sender that rarely pauses",
        evidence(association(), geometry=UNSURE, pauses=(*AT_ONCE, 9.0, 9.0)),
        [(15.4, "waiting"), (15.5, "quiet")],
    ),
    (
        "… but never above its upper bound",
        evidence(association(), geometry=UNSURE, pauses=(100.0,) * 30),
        [(130.4, "waiting"), (130.5, "quiet")],
    ),
    (
        "… and of a short past, the longest pause counts",
        evidence(association(), geometry=UNSURE, pauses=(0.0, 8.0, 0.0)),
        [(34.4, "waiting"), (34.5, "quiet")],
    ),
    (
        "released long after the last image: quiet counts from the release",
        evidence(association(end=60), geometry=UNSURE),
        [(74.9, "waiting"), (75, "quiet")],
    ),
    (
        "whole, but the sender has another association open",
        evidence(association(), sender_open=True),
        [(11.5, "waiting"), (25.5, "quiet")],
    ),
    (
        "whole, but late images have come before",
        evidence(association(), reopened=True),
        [(11.5, "waiting"), (25.5, "quiet")],
    ),
    (
        "whole, from a sender that has come back after 6 s",
        evidence(association(), pauses=(6.0, 5.8)),
        [(28.4, "waiting"), (28.5, "geometry")],
    ),
    (
        "whole, from a sender that always sends at once",
        evidence(association(), pauses=AT_ONCE),
        [(11.4, "waiting"), (11.5, "geometry")],
    ),
    (
        "whole, from a sender that always asks for commitment: nothing less is taken",
        evidence(association(), promised="commitment"),
        [(500, "waiting"), (610, "ceiling")],
    ),
    (
        "… and once it has",
        evidence(association(), promised="commitment", committed=True),
        [(11, "commitment")],
    ),
    (
        "open: wait for the ceiling, then with doubt",
        evidence(open_association()),
        [(11.5, "waiting"), (609.9, "waiting"), (610, "ceiling")],
    ),
    (
        "aborted: likewise",
        evidence(aborted()),
        [(11.5, "waiting"), (609.9, "waiting"), (610, "ceiling")],
    ),
    (
        "aborted, and sent again in an association that was released",
        evidence(aborted(images=40), association(60, 70, 70.5, images=60)),
        [(71, "waiting"), (71.5, "geometry")],
    ),
    (
        "aborted, and sent again, and aborted again",
        evidence(aborted(images=40), aborted(60, 70, 70.5, images=60)),
        [(80, "waiting"), (670, "ceiling")],
    ),
    (
        "aborted, while another sender released its part",
        evidence(aborted(images=40), association(60, 70, 70.5, images=60, sender="PACS")),
        [(80, "waiting"), (670, "ceiling")],
    ),
    (
        "released and whole, but the node itself refused images: they are waited for, then with doubt",
        evidence(association(refused=36)),
        [(11.5, "waiting"), (609.9, "waiting"), (610, "ceiling")],
    ),
    (
        "… and some have come since, not all",
        evidence(association(images=60, refused=16), association(60, 70, 70.5, images=20)),
        [(80, "waiting"), (670, "ceiling")],
    ),
    (
        "… and once none is missing any more",
        evidence(association(images=60), association(60, 70, 70.5, images=40)),
        [(71, "waiting"), (71.5, "geometry")],
    ),
    (
        "released and whole, but of the sender's next association all was refused",
        evidence(association(), refused_beside=(association(11, 12, 12.5, images=0, refused=3),)),
        [(13, "waiting"), (610, "ceiling")],
    ),
    (
        "images were refused, but the sender's commitment proves that nothing is missing",
        evidence(association(refused=36), committed=True),
        [(12, "commitment")],
    ),
    (
        "images were refused, but the source counts no more than is held",
        evidence(association(refused=36), counts=(count(100),)),
        [(12, "count")],
    ),
    (
        "two at once: one is still open",
        evidence(association(images=50), open_association(0.1, 10.2, images=50)),
        [(20, "waiting"), (610.2, "ceiling")],
    ),
    (
        "two at once: the settle time counts from the later release",
        evidence(association(images=50), association(0.1, 12, 14, images=50)),
        [(14.9, "waiting"), (15, "geometry")],
    ),
    (
        "no association is known, as after a rebuilt ledger",
        evidence(),
        [(10, "waiting"), (11, "geometry")],
    ),
]


@pytest.mark.parametrize(("found", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_row(found: Evidence, expected: list[tuple[float, str]]) -> None:
    for seconds, row in expected:
        verdict = judge(found, POLICY, at(seconds))
        assert verdict.evidence == row, (seconds, verdict)
        assert verdict.complete is (row != "waiting")
        assert verdict.doubtful is (row == "ceiling")
        assert (verdict.look_again_at is None) is verdict.complete


@pytest.mark.parametrize(
    ("found", "seconds", "said"),
    [
        (evidence(association()), 12, "released, and 100 slices, 2.5 mm apart, make a whole stack"),
        (evidence(association(), counts=(count(120),)), 12, "PACS holds 120 instances, 100 are here"),
        (evidence(association(), counts=(count(100),)), 12, "PACS counts 100 instances, as many as are held"),
        (evidence(aborted(images=40)), 12, "CT1 aborted after 40 images"),
        (evidence(open_association()), 12, "an association of CT1 that brought images of the series is open"),
        (evidence(open_association()), 900, "nothing has come for 600 s, the ceiling"),
        (evidence(association(), geometry=UNSURE, pauses=AT_ONCE), 12, "95 in 100 of 100 past series paused"),
        (evidence(association(), geometry=UNSURE), 12, "but a gap of 5.0 mm after slice 40; waiting 15.0 s"),
        (evidence(association(), pauses=(6.0,)), 12, "all 1 past series paused for at most 6.0 s"),
        (evidence(association(), promised="mpps"), 12, "the MPPS that this sender gives has not come yet"),
        (
            evidence(association(), sender_open=True),
            12,
            "but a sender of the series has another association open (",
        ),
        (evidence(association(), reopened=True), 12, "released, but late images have come before ("),
        (evidence(association(refused=36)), 12, "the node refused 36 images of CT1 for want of room"),
        (evidence(association(refused=1)), 12, "the node refused 1 image of CT1 for want of room"),
        (evidence(association(refused=1)), 900, "for want of room; nothing has come for 600 s, the ceiling"),
        (evidence(open_association(), committed=True), 12, "storage commitment"),
        (evidence(open_association(), performed=True), 12, "procedure step completed"),
    ],
)
def test_reasons_are_words_with_figures(found: Evidence, seconds: float, said: str) -> None:
    assert said in judge(found, POLICY, at(seconds)).reason


def test_looking_again_when_told_suffices() -> None:
    for found in (evidence(association()), evidence(aborted()), evidence(association(), geometry=UNSURE)):
        verdict = judge(found, POLICY, at(10.5))
        assert verdict.look_again_at is not None
        assert judge(found, POLICY, verdict.look_again_at).complete
        assert not judge(found, POLICY, verdict.look_again_at - timedelta(milliseconds=10)).complete


def test_a_clock_set_back_a_little_only_waits_for_it_to_catch_up() -> None:
    found = evidence(association())
    assert not judge(found, POLICY, at(-100)).complete
    assert judge(found, POLICY, at(11.5)).complete


def test_a_clock_set_back_for_long_ends_the_waiting() -> None:
    assert judge(evidence(association()), POLICY, at(-7200)).complete
    assert judge(evidence(open_association()), POLICY, at(-7200)).doubtful


# ---- what must hold for any evidence -----------------------------------------------------------------

_SECONDS = st.floats(0, 2000)


@st.composite
def _associations(draw: Any) -> Any:
    start, lasts, idle = draw(_SECONDS), draw(st.floats(0, 300)), draw(st.floats(0, 60))
    outcome = draw(st.sampled_from(["open", "released", "aborted"]))
    end = None if outcome == "open" else start + lasts + idle
    sender, images = draw(st.sampled_from(["CT1", "PACS"])), draw(st.integers(1, 50))
    refused = 0 if outcome == "open" else draw(st.sampled_from([0, 0, 1, 40]))
    return association(start, start + lasts, end, outcome, images, sender, refused)


@st.composite
def _evidence(draw: Any) -> Evidence:
    found = evidence(
        *draw(st.lists(_associations(), max_size=4)),
        geometry=GeometryEvidence(draw(st.booleans()), "the stack"),
        committed=draw(st.booleans()),
        performed=draw(st.booleans()),
        counts=tuple(count(n, 1) for n in draw(st.lists(st.integers(0, 200), max_size=3))),
        pauses=tuple(draw(st.lists(st.floats(0, 500), max_size=40))),
        promised=draw(st.sampled_from(["", "", "commitment", "mpps", "count"])),
        reopened=draw(st.booleans()),
        refused_beside=tuple(one for one in draw(st.lists(_associations(), max_size=2)) if one.refused),
    )
    return replace(found, sender_open=found.sender_open or draw(st.booleans()))


_NOW = st.floats(-5000, 10_000).map(at)


@st.composite
def _policies(draw: Any) -> CompletionConfig:
    low, high = sorted(draw(st.tuples(st.floats(0, 300), st.floats(0, 300))))
    settle, quiet, ceiling = draw(st.tuples(st.floats(0, 60), st.floats(0, 300), st.floats(0, 900)))
    return CompletionConfig(settle=settle, quiet=quiet, quiet_min=low, quiet_max=high, ceiling=ceiling)


@given(_evidence(), _policies(), _NOW)
def test_waiting_always_says_when_to_look_again(found: Evidence, policy: CompletionConfig, now: Any) -> None:
    verdict = judge(found, policy, now)
    assert verdict.reason
    if verdict.complete:
        assert verdict.look_again_at is None
    else:
        assert verdict.look_again_at is not None
        assert now < verdict.look_again_at <= now + timedelta(seconds=policy.ceiling)


@given(_evidence(), _policies())
def test_the_ceiling_ends_all_waiting(found: Evidence, policy: CompletionConfig) -> None:
    times = [found.last_image_at, *(one.ended_at for one in found.associations if one.ended_at)]
    assert judge(found, policy, max(times) + timedelta(seconds=policy.ceiling)).complete


@given(_evidence(), _NOW)
def test_an_open_association_holds_a_series_back_unless_it_is_proven(found: Evidence, now: Any) -> None:
    if any(one.outcome is AssociationOutcome.OPEN for one in found.associations):
        verdict = judge(found, POLICY, now)
        assert verdict.evidence in ("waiting", "commitment", "mpps", "count", "ceiling")
        if verdict.evidence == "ceiling":
            since = (now - found.last_image_at).total_seconds()
            assert verdict.doubtful
            assert since > POLICY.ceiling - 0.01 or since < -POLICY.ceiling


@given(_evidence(), _NOW)
def test_images_that_the_node_refused_hold_a_series_back_unless_it_is_proven(
    found: Evidence, now: Any
) -> None:
    if any(one.refused for one in (*found.associations, *found.refused_beside)):
        verdict = judge(found, POLICY, now)
        assert verdict.evidence in ("waiting", "commitment", "mpps", "count", "ceiling")
        assert verdict.doubtful is (verdict.evidence == "ceiling")


@given(
    _evidence(),
    _policies(),
    _NOW,
    st.sampled_from(["committed", "performed", "whole", "counted", "released", "made good", "later"]),
)
def test_more_evidence_never_takes_a_verdict_back(
    found: Evidence, policy: CompletionConfig, now: Any, more: str
) -> None:
    if not judge(found, policy, now).complete:
        return
    if more == "committed":
        found = replace(found, committed=True)
    elif more == "performed":
        found = replace(found, performed=True)
    elif more == "whole":
        found = replace(found, geometry=GeometryEvidence(True, "the stack"))
    elif more == "counted":
        same = count(found.instances, 1)
        found = replace(found, counts=(*found.counts, same, same))
    elif more == "made good":
        good = tuple(replace(one, refused=0) for one in found.associations)
        found = replace(found, associations=good, refused_beside=())
    elif more == "released":
        found = replace(
            found, sender_open=any(o.outcome is AssociationOutcome.OPEN for o in found.associations)
        )
    elif now >= found.last_image_at:
        now = now + timedelta(seconds=1)
    assert judge(found, policy, now).complete
