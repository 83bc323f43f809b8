"""The engine with real pipelines: gates, contracts, errors, memory, warmth."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import pytest
import torch

from dicom_node.errors import BadInput, Cancelled, ModelFailed, ModelUnavailable, OutOfResources
from dicom_node.infer.devices import limit_threads
from dicom_node.infer.engine import Engine
from dicom_node.pipeline import Case, Finding, NotApplicable, Options, Pipeline, Requirements, Text
from tests.conftest import CHECKOUT
from tests.infer.cases import lung_findings, make_case


class Sound(Pipeline):
    name, version, title = "sound", "1", "Sound"
    requires = Requirements(modality=("CT",))
    loads: ClassVar[list[str]] = []

    def load(self, device: str) -> None:
        self.loads.append(device)
        self.weights = np.ones(8_000_000)

    def run(self, case: Case) -> Iterable[Finding]:
        assert self.weights.size
        return lung_findings(case)


class RaisingOptions(Options):
    kind: str


class Raising(Pipeline):
    name, version, title = "raising", "1", "Raising"
    options_type = RaisingOptions
    options: RaisingOptions

    def run(self, case: Case) -> Iterable[Finding]:
        case.progress(0.5)
        if self.options.kind == "input":
            raise BadInput("too few slices")
        if self.options.kind == "patient":
            raise ValueError(f"no key for {case.header['PatientName']} / {case.header['PatientID']}")
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")


class Greedy(Pipeline):
    """Asks for as much memory as its tiles have voxels."""

    name, version, title = "greedy", "1", "Greedy"
    tile = 2**50

    def shrink(self) -> bool:
        self.tile //= 2**20
        return self.tile > 2**8

    def run(self, case: Case) -> Iterable[Finding]:
        torch.empty(self.tile)
        return lung_findings(case)


class Insatiable(Greedy):
    def shrink(self) -> bool:
        return False


def test_runs_and_stays_warm() -> None:
    Sound.loads.clear()
    engine = Engine({"a": Sound()}, "cpu")
    engine.warm("a")
    findings = engine.run("a", make_case())
    engine.run("a", make_case())
    assert [type(finding).__name__ for finding in findings] == ["Segmentation", "Measurement"]
    assert Sound.loads == ["cpu"]


def test_an_unmet_requirement_loads_nothing() -> None:
    Sound.loads.clear()
    engine = Engine({"a": Sound()}, "cpu")
    assert engine.run("a", make_case(header={"Modality": "MR"})) == [
        NotApplicable("Modality is MR, needed is CT")
    ]
    assert engine.run("a", Case({})) == [NotApplicable("there is no input 'image'")]
    assert Sound.loads == []


LEAST_RECENTLY_USED = """
from dicom_node.infer.engine import Engine
from tests.conftest import CHECKOUT
from tests.infer.cases import make_case
from tests.infer.test_engine import Sound

engine = Engine({name: Sound() for name in "abc"}, "cpu", model_memory_mb=150)
for names in ("abac", "b"):
    for name in names:
        engine.run(name, make_case())
    print(*engine.warm_names, len(Sound.loads))
"""


def test_the_least_recently_used_is_put_away_and_comes_back() -> None:
    """In a process of its own: what others freed in this one would be measured too."""
    done = subprocess.run(
        [sys.executable, "-c", LEAST_RECENTLY_USED], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    assert [line for line in done.stdout.splitlines() if "model" not in line] == ["a c 3", "c b 4"]


def test_an_unknown_name_is_model_unavailable() -> None:
    with pytest.raises(ModelUnavailable, match=r"names a$"):
        Engine({"a": Sound()}, "cpu").run("z", make_case())


def test_a_foreign_error_fails_the_job_without_patient_data() -> None:
    engine = Engine({"a": Raising(RaisingOptions(kind="patient"))}, "cpu")
    with pytest.raises(ModelFailed) as caught:
        engine.run("a", make_case(header={"PatientName": "DOE^JANE", "PatientID": "4711"}))
    text = str(caught.value)
    assert "ValueError" in text
    assert "test_engine.py" in text
    assert not any(secret in text for secret in ("DOE", "JANE", "4711"))
    assert caught.value.__cause__ is None


def test_the_nodes_own_errors_and_cancellation_pass() -> None:
    engine = Engine({"a": Raising(RaisingOptions(kind="input"))}, "cpu")
    with pytest.raises(BadInput, match="too few slices"):
        engine.run("a", make_case())

    def cancelled(_fraction: float) -> None:
        raise Cancelled("dropped")

    with pytest.raises(Cancelled):
        engine.run("a", Case(make_case().inputs, progress=cancelled))


def test_out_of_memory_is_tried_in_smaller_tiles_and_said() -> None:
    findings = Engine({"a": Greedy()}, "cpu").run("a", make_case())
    note = findings[-1]
    assert isinstance(note, Text)
    assert note.kind == "caution"
    assert "in smaller tiles" in note.sentences[0][0]


def test_out_of_memory_whatever_is_tried_is_transient() -> None:
    for pipeline in (Insatiable(), Raising(RaisingOptions(kind="memory"))):
        engine = Engine({"a": pipeline, "b": Sound()}, "cpu")
        engine.warm("b")
        with pytest.raises(OutOfResources):
            engine.run("a", make_case())
        assert engine.warm_names == ("a",)


def test_threads_are_limited() -> None:
    before = torch.get_num_threads()
    try:
        assert limit_threads(1) == 1 == torch.get_num_threads()
        assert limit_threads() >= 1
    finally:
        torch.set_num_threads(before)
