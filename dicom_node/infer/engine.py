"""The engine: runs a pipeline on a case, on a warm model, and lets nothing unsound pass."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from dicom_node.errors import ModelFailed, NodeError, OutOfResources
from dicom_node.findings import Finding, NotApplicable, Text
from dicom_node.infer.contracts import check_findings
from dicom_node.infer.devices import is_out_of_memory, release
from dicom_node.infer.gates import check_requirements
from dicom_node.infer.warm import WarmModels
from dicom_node.pipeline import Case, Pipeline

log = structlog.get_logger()
Answer = list[Finding] | NodeError
"""What a run found, or what it raised."""

IDENTIFYING = (
    *("Accession", "Institution", "Operators", "OtherPatient", "Patient", "Performing", "Physicians"),
    *("Referring", "Requesting", "StudyDescription", "StudyID"),
)
"""How the keywords begin whose values never stand in an error's text."""
LONGEST_TEXT = 400
"""Characters of a foreign error's text that are kept."""


class Engine:
    """Runs pipelines on one device, each loaded once and kept warm. For one process, one job at a time."""

    def __init__(
        self, pipelines: Mapping[str, Pipeline], device: str, model_memory_mb: float | None = None
    ) -> None:
        """Holds pipelines without loading any.

        Args:
            pipelines: by the name that conf.yaml gives them.
            device: "cpu", "cuda:0".
            model_memory_mb: how much memory warm models may take together, measured at loading; above
                it the least recently used are put away. None: no limit.
        """
        self._models = WarmModels(pipelines, model_memory_mb)
        self._device = device

    @property
    def warm_names(self) -> tuple[str, ...]:
        """Names of the loaded pipelines, the least recently used first."""
        return self._models.names

    def check(self, name: str) -> None:
        """Looks, without loading, whether a pipeline's model is there and sound. Raises ModelUnavailable."""
        self._models.describe(name).check()

    def warm(self, name: str) -> None:
        """Loads a pipeline's model, unless it is loaded. Raises ModelUnavailable, ModelFailed."""
        try:
            self._models.get(name, self._device)
        except NodeError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary to foreign code: anything becomes ModelFailed
            raise _failed(f"loading {name}", error, {}) from None

    def run(self, name: str, case: Case) -> list[Finding]:
        """Runs a pipeline and checks what it returns.

        An input that does not meet the pipeline's declared requirements gives [NotApplicable(reason)]
        without loading anything. Where memory runs out, other models are put away, then the pipeline is
        asked for smaller tiles, then the CPU is used; a note among the findings says so.

        Raises:
            ModelUnavailable: the model can't be loaded.
            ModelFailed: the pipeline raised, or broke the contract of its findings.
            OutOfResources: memory ran out whatever was tried; another time it may not.
            NodeError: what the pipeline or `case.progress` (Cancelled) raised of this family.
        """
        if (reason := self._unmet(name, case)) is not None:
            return [NotApplicable(reason)]
        return self._run(name, case)

    def run_many(self, name: str, cases: Sequence[Case]) -> list[Answer]:
        """Runs a pipeline on several cases, together where it can; the answer of each, in their order.

        Each is held against requirements and contracts by itself, and `progress(0.0)` of each is called
        first: what was cancelled, or does not apply, takes no part. Where a pass fails for any reason, its
        halves are tried, and in the end each case by itself as by `run`: so what one case spoils, it spoils
        for itself alone, and where memory ran out the pass that fits is found.
        """
        answers = {number: self._answer_before(name, case) for number, case in enumerate(cases)}
        left = [number for number, answer in answers.items() if answer is None]
        answers |= zip(left, self._together(name, [cases[number] for number in left]), strict=True)
        return [answer for answer in answers.values() if answer is not None]

    def _answer_before(self, name: str, case: Case) -> Answer | None:
        """What is known without a run: the case was cancelled, or does not apply."""
        try:
            case.progress(0.0)
            reason = self._unmet(name, case)
        except NodeError as fault:
            return fault
        return None if reason is None else [NotApplicable(reason)]

    def _together(self, name: str, cases: Sequence[Case]) -> list[Answer]:
        """Runs cases in as few passes as succeed."""
        if len(cases) < 2 or not self._is_there(name):
            return [_answer_of(partial(self._run, name, case)) for case in cases]
        answers = self._pass(name, cases)
        left = [number for number, answer in enumerate(answers) if answer is None]
        half = (len(left) + 1) // 2
        for part in (left[:half], left[half:]):
            again = self._together(name, [cases[number] for number in part])
            for number, answer in zip(part, again, strict=True):
                answers[number] = answer
        return [answer for answer in answers if answer is not None]

    def _is_there(self, name: str) -> bool:
        """Whether a pipeline's model is loaded, or can be; why it can't, a case by itself will tell."""
        try:
            self._models.get(name, self._device)
        except Exception as error:  # noqa: BLE001 - the boundary to foreign code
            log.warning("model_not_there", pipeline=name, error=type(error).__name__)
            return False
        return True

    def _pass(self, name: str, cases: Sequence[Case]) -> list[Answer | None]:
        """Runs cases together; None for each that is to be tried again, since the pass failed."""
        gone: dict[int, NodeError] = {}
        given = [_in_company(case, number, gone, len(cases)) for number, case in enumerate(cases)]
        try:
            found = [list(one) for one in self._models.get(name, self._device).run_many(given)]
            fault = "" if len(found) == len(cases) else f"{len(found)} answers"
        except Exception as error:  # noqa: BLE001 - whatever it was, a smaller pass meets it again and tells
            fault = type(error).__name__
            if is_out_of_memory(error):
                release(self._device)
        if fault:
            log.warning("pass_failed", pipeline=name, cases=len(cases), error=fault)
            return [gone.get(number) for number in range(len(cases))]
        return [
            gone.get(number) or _answer_of(partial(_checked, findings, case))
            for number, (case, findings) in enumerate(zip(cases, found, strict=True))
        ]

    def _run(self, name: str, case: Case) -> list[Finding]:
        """Runs a pipeline on a case that it applies to."""
        for device, relief in self._attempts(name):
            findings = self._attempt(name, case, device)
            if findings is None:
                continue
            _checked(findings, case)
            if relief and not isinstance(findings[0], NotApplicable):
                sentence = f"Memory ran out at first; computed {relief}."
                findings.append(Text(((sentence, "engine"),), kind="caution"))
            return findings
        raise OutOfResources(f"memory ran out on {self._device}, and nothing smaller could be tried")

    def _unmet(self, name: str, case: Case) -> str | None:
        """Why the case's inputs don't meet the pipeline's declared requirements, or None."""
        for role, requires in self._models.describe(name).requirements.items():
            if role not in case.inputs:
                return f"there is no input {role!r}"
            if (reason := check_requirements(requires, case.inputs[role])) is not None:
                return reason
        return None

    def _attempts(self, name: str) -> Iterator[tuple[str, str]]:
        """Yields (device, what was done for memory) for each try; the caller stops at the first success."""
        yield self._device, ""
        if len(self._models.names) > 1:
            self._models.put_away_others(name)
            yield self._device, "after putting other models away"
        while name in self._models.names and self._models.describe(name).shrink():
            release(self._device)
            yield self._device, "in smaller tiles"
        if self._device != "cpu":
            yield "cpu", "on the CPU"

    def _attempt(self, name: str, case: Case, device: str) -> list[Finding] | None:
        """Runs a pipeline once; None where memory ran out. Others' errors become ModelFailed."""
        try:
            return list(self._models.get(name, device).run(case))
        except NodeError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary to foreign code: anything becomes ModelFailed
            if is_out_of_memory(error):
                log.warning("out_of_memory", pipeline=name, device=device)
                return None
            raise _failed(name, error, case.inputs) from None


def _checked(findings: list[Finding], case: Case) -> list[Finding]:
    """The same, where they keep their contracts. Raises ModelFailed."""
    check_findings(findings, case)
    return findings


def _answer_of(run: Callable[[], list[Finding]]) -> Answer:
    try:
        return run()
    except NodeError as fault:
        return fault


def _in_company(case: Case, number: int, gone: dict[int, NodeError], of: int) -> Case:
    """A case whose progress may raise without ending the others' pass: `gone` tells it afterwards.

    Where all `of` them are gone, the pass does end.
    """

    def progress(fraction: float) -> None:
        try:
            case.progress(fraction)
        except NodeError as fault:
            gone[number] = fault
            if len(gone) == of:
                raise

    return replace(case, progress=progress)


def _failed(what: str, error: Exception, inputs: Mapping[str, Any]) -> ModelFailed:
    """Makes a ModelFailed of a foreign error: type, text without patient data, and the place."""
    text = str(error).replace("\n", " ")
    for given in inputs.values():
        for value in _identifying(given.header):
            text = text.replace(value, "…")
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return ModelFailed(f"{what}: {type(error).__name__}: {text[:LONGEST_TEXT]}{place}")


def _identifying(header: Mapping[str, Any]) -> Iterator[str]:
    """Yields header texts that name a person, whole and in parts, the longest first."""
    texts = set()
    for keyword, value in header.items():
        if keyword.startswith(IDENTIFYING):
            whole = str(value or "")
            texts |= {part for part in (whole, *whole.replace("=", "^").split("^")) if len(part) > 2}
    yield from sorted(texts, key=len, reverse=True)
