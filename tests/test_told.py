"""What results tell of options: what shapes them, by names, and no folder of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.findings import Algorithm
from dicom_node.pipeline import Options, Requirements
from dicom_node.told import parameters_of, without_folders, without_machine


class Part(Options):
    window: tuple[float, float] | None = None
    exclusive: bool = False
    threshold: float = 0.5


class Some(Options):
    model: str
    title: str | None = None
    mirroring: bool = True
    compiled: bool = False
    factors: tuple[float, ...] = ()
    cache: Path | None = None
    part: Part = Part()
    labels: dict[str, Part] = {}  # noqa: RUF012 - pydantic copies it
    given: dict[str, str] = {}  # noqa: RUF012
    requires: Requirements = Requirements()


def told(**values: object) -> dict[str, str]:
    return dict(parameters_of(Some.model_validate({"model": "/srv/models/lung net"} | values), {"title"}))


def test_what_is_off_by_default_is_not_told() -> None:
    assert told(title="Lung") == {
        "model": "lung net",
        "mirroring": "True",
        "part.threshold": "0.5",
        "requires.min_slices": "1",
    }


def test_what_a_site_set_is_told_by_dotted_names() -> None:
    values = {
        "mirroring": False,
        "factors": (0.95, 1.05),
        "cache": Path("/var/cache/x"),
        "part": {"window": (40, 400), "exclusive": True},
        "labels": {"nodule": {"threshold": 0.3}},
        "given": {"weights": "/mnt/w/net.pt", "model": "models/inner"},
    }
    assert told(**values) == {
        "model": "lung net",
        "mirroring": "False",
        "factors": "0.95, 1.05",
        "cache": "x",
        "part.window": "40.0, 400.0",
        "part.exclusive": "True",
        "part.threshold": "0.5",
        "labels.nodule.threshold": "0.3",
        "given.weights": "net.pt",
        "given.model": "inner",
        "requires.min_slices": "1",
    }


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/srv/models/lung", "lung"),
        ("~/models/lung/", "lung"),
        ("/model", "model"),
        ("there is no model '/srv/AI models/lung': none", "there is no model 'lung': none"),
        ('[Errno 2] No such file or directory: "/a/b.pt"', '[Errno 2] No such file or directory: "b.pt"'),
        ("read /srv/a/b.safetensors, and /srv/c", "read b.safetensors, and c"),
        ("/no_think Restate the findings in mg/ml.", "/no_think Restate the findings in mg/ml."),
        (
            "either/or, 3/4, 120 /min, https://example.org/a/b",
            "either/or, 3/4, 120 /min, https://example.org/a/b",
        ),
        ("{findings}", "{findings}"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_of_a_path_its_last_part_is_left(text: str, left: str) -> None:
    assert without_folders(text) == left
    assert without_folders(left) == left


NAMES = st.text("abcdefgh_-.0123456789", min_size=1, max_size=8).filter(lambda name: name.strip("."))


@given(
    parts=st.lists(NAMES, min_size=2, max_size=6), text=st.sampled_from(["{}", "at {}: no", "'{}'", "x={}"])
)
def test_no_folder_is_left(parts: list[str], text: str) -> None:
    left = without_folders(text.format("/" + "/".join(parts)))
    assert "/" not in left
    assert parts[-1] in left


def test_a_pipeline_that_tells_its_folder_itself_is_not_believed() -> None:
    given = Algorithm("net /srv/a/b", "1", parameters=(("weights", "/srv/a/b.pt"),), source="from /srv/a/b")
    cleaned = Algorithm("net b", "1", parameters=(("weights", "b.pt"),), source="from b")
    assert without_machine(given) == cleaned
