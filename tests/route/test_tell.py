"""What is understood becomes facts for rules; what was decided becomes text for people."""

from __future__ import annotations

from datetime import UTC, datetime

from dicom_node.config import Config
from dicom_node.records import GeometryEvidence, SeriesFacts, Verdict
from dicom_node.route import Complete, know, match, match_study, tell

HEADER = {
    "Modality": "MR",
    "SeriesDescription": "KOPF_3D_A",
    "SeriesNumber": 4,
    "ImageType": ["ORIGINAL", "PRIMARY"],
    "BodyPartExamined": "BRAIN",
}
CONFIG = Config.model_validate(
    {
        "understanding": [
            {
                "when": {"SeriesDescription": {"matches": "^KOPF_3D"}},
                "means": {"kind": "t1w", "contrast": False},
            },
            {"when": {"body_part": "head", "SeriesNumber": 4}, "means": {"plane": "sagittal"}},
            {"when": {"Modality": "CT"}, "means": {"kind": "dwi"}},
        ],
        "routes": [
            {
                "name": "brain",
                "run": "b",
                "when": {"kind": "t1w", "any": [{"images": {"min": 300}}, {"age": 3}]},
            },
            {"name": "all", "run": "b"},
        ],
    }
)


def _facts() -> SeriesFacts:
    return SeriesFacts("1.2.3", "1.2", HEADER, 170, 170)


def test_a_site_teaches_what_headers_do_not_say() -> None:
    plain, _ = know(_facts(), ())
    taught, answers = know(_facts(), (), CONFIG.understanding)
    assert "kind" not in plain.derived
    assert taught.derived["kind"] == "t1w"
    assert taught.derived["contrast"] is False
    assert taught.derived["plane"] == "sagittal"
    assert {a.fact: a.because for a in answers}["kind"] == ("conf.yaml says so: understanding[0]",)


def test_an_explanation_reads_well() -> None:
    facts, answers = know(_facts(), (), CONFIG.understanding)
    verdict = Verdict(True, "geometry", "released, and 170 slices at even distances in 1 stack")
    text = tell(facts, answers, verdict, match(facts, CONFIG.routes))
    assert text.splitlines()[:2] == ["MR 4 KOPF_3D_A (170 images)", "  series 1.2.3"]
    for line in (
        "  kind: t1w (conf.yaml says so: understanding[0])",
        '  body_part: head (95% sure: BodyPartExamined is BRAIN; SeriesDescription says "KOPF")',
        "  complete by geometry: released, and 170 slices at even distances in 1 stack",
        "  ✗ route brain does not run",
        "    ✓ kind is t1w (found: t1w)",
        "      ✗ images is at least 300 (found: 170)",
        "      ✗ age is 3 (found: nothing)",
        "  ✓ route all runs",
    ):
        assert line in text.splitlines(), text


def test_without_a_verdict_the_geometry_is_told() -> None:
    facts, answers = know(_facts(), ())
    assert "whole: 5 slices" in tell(facts, answers, None, (), (), GeometryEvidence(True, "5 slices"))
    assert "no proof that it is whole: a gap" in tell(
        facts, (), None, (), (), GeometryEvidence(False, "a gap")
    )


def test_waiting_doubt_and_own_results_are_told() -> None:
    at = datetime(2026, 3, 1, 8, 0, 30, tzinfo=UTC)
    waiting = Verdict(False, "waiting", "CT1 aborted after 40 images", look_again_at=at)
    own = SeriesFacts("1", "2", {}, 1, 30, own=True)
    text = tell(own, (), waiting, match(own, CONFIG.routes))
    assert "not complete: CT1 aborted after 40 images (looked at again 08:00:30 UTC)" in text
    assert "✗ route all does not run: a result of this node is never routed" in text
    assert "no modality (1 image, 30 frames)" in text
    doubtful = Verdict(True, "ceiling", "nothing has come for 600 s, the ceiling", doubtful=True)
    assert "complete by ceiling, in doubt: nothing has come" in tell(own, (), doubtful, ())


def test_a_route_of_several_series_is_told() -> None:
    route = CONFIG.routes[1].model_validate(
        {"name": "pair", "run": "p", "series": {"t1": {"when": {"kind": "t1w"}}, "flair": {}}}
    )
    facts, answers = know(_facts(), (), CONFIG.understanding)
    now = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    text = tell(facts, answers, None, (), [match_study([Complete(facts, now)], route, now)])
    assert "✗ route pair: t1 found; waiting up to 1800 s for flair" in text
