"""A language or vision-language model that words another pipeline's findings, and may state nothing else.

    pipelines:
      lung_report:
        use: pipelines.transformers_draft:TextDrafter
        options: {of: "pipelines.ct_lung:LungVolumes", model: smollm2}

The other pipeline runs first; its findings come back unchanged, with a draft whose every sentence the
findings support. Model, prompt and options are kept in the results' algorithm identification.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from dicom_node.pipeline import (
    Algorithm,
    Case,
    Finding,
    NotApplicable,
    Options,
    Pipeline,
    Requirements,
    Text,
    checked_text,
    foreign_modality,
    montage,
    template_sentences,
)
from pipelines.transformers_chat import ChatOptions, ChatPipeline, clinical_text

SYSTEM = (
    "You write for a radiology report. Restate the measured findings as short plain sentences. "
    "Keep each number, unit and side as it is given. Add nothing."
)
PROMPT = "{findings}"


class DraftOptions(ChatOptions):
    """What is drafted, and how."""

    of: str
    """The pipeline whose findings are worded, "package.module:Class"."""
    of_options: dict[str, Any] = Field(default_factory=dict)
    system: str = SYSTEM
    prompt: str = PROMPT
    """The site's prompt; {findings}, {modality}, {body_part}, {history} and {prior} are filled in."""
    history: tuple[str, ...] = ("ReasonForTheRequestedProcedure", "AdditionalPatientHistory")
    """DICOM keywords of the clinical text that {history} gives, of the images and of their order."""
    prior: tuple[str, ...] = ("StudyDate", "StudyDescription", "AdditionalPatientHistory", "ImageComments")
    """DICOM keywords that {prior} gives of every input after the first, where the pipeline takes several."""
    kind: Literal["findings", "impression", "note"] = "impression"
    unsupported: Literal["drop", "template"] = "drop"
    """Whether an unsupported sentence is dropped, or makes the template stand instead of the draft."""

    @field_validator("of")
    @classmethod
    def _names_a_pipeline(cls, value: str) -> str:
        pipeline_class(value)
        return value

    @field_validator("prompt")
    @classmethod
    def _fills_in(cls, value: str) -> str:
        value.format(findings="", modality="", body_part="", history="", prior="")
        return value


def pipeline_class(use: str) -> type[Pipeline]:
    """The pipeline that an import string names. Raises ValueError, which becomes a fault of conf.yaml."""
    module, _, name = use.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise ValueError(f"{use!r} can't be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Pipeline)):
        raise ValueError(f"{use!r} is no pipeline")  # noqa: TRY004 - pydantic makes faults of ValueError alone
    return found


class TextDrafter(ChatPipeline):
    """Any causal language model with a chat template."""

    name, version, title = "text_drafter", "0", "Draft"
    options_type: ClassVar[type[Options]] = DraftOptions
    untold = Pipeline.untold | {"of_options"}
    """The other pipeline tells its own."""
    options: DraftOptions

    def __init__(self, options: DraftOptions) -> None:
        super().__init__(options)
        kind = pipeline_class(options.of)
        self._inner = kind(kind.options_type.model_validate(options.of_options))
        self.title = options.title or self._inner.title
        self.version = f"{self._inner.version}+{self.version}"
        self.roles = self._inner.roles

    @property
    def requirements(self) -> Mapping[str, Requirements]:
        """Those of the pipeline whose findings are worded, unless the site states its own."""
        if self.options.requires != Requirements():
            return dict.fromkeys(self.roles, self.options.requires)
        return self._inner.requirements

    @property
    def algorithm(self) -> Algorithm:
        """The measuring pipeline's, with the drafting model among its parameters."""
        inner, drafting = self._inner.algorithm, super().algorithm
        told = ((f"draft.{name}", value) for name, value in drafting.parameters)
        parameters = (("draft", f"{drafting.name} {drafting.version}"), *told)
        return Algorithm(
            inner.name, self.version, inner.family, (*inner.parameters, *parameters), inner.source
        )

    def check(self) -> None:
        """Verifies both models' files."""
        self._inner.check()
        super().check()

    def load(self, device: str) -> None:
        """Loads both models."""
        self._inner.load(device)
        super().load(device)

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields the other pipeline's findings, then a Text that they support."""
        findings = list(self._inner.run(case))
        yield from findings
        if any(isinstance(finding, NotApplicable) for finding in findings):
            return
        header = case.inputs[self.roles[0]].header
        modality = str(header.get("Modality") or "")
        prompt = self._prompt(findings, case)
        # A prompt that speaks of another kind of image would make the model speak of it too.
        if foreign_modality(f"{self.options.system} {self.options.prompt}", modality):
            yield Text(template_sentences(findings), self.options.kind)
            return
        draft = self._generate(prompt, case)
        yield checked_text(
            draft, findings, modality=modality, policy=self.options.unsupported, kind=self.options.kind
        )

    def _prompt(self, findings: list[Finding], case: Case) -> str:
        header = case.inputs[self.roles[0]].header
        measured = "\n".join(sentence for sentence, _ in template_sentences(findings))
        priors = [clinical_text(case.inputs[role].header, self.options.prior) for role in self.roles[1:]]
        return self.options.prompt.format(
            findings=measured,
            modality=header.get("Modality") or "",
            body_part=header.get("BodyPartExamined") or "",
            history=clinical_text(header, self.options.history),
            prior="\n".join(priors),
        )

    def _generate(self, prompt: str, _case: Case) -> str:
        messages = [
            {"role": "system", "content": self.options.system},
            {"role": "user", "content": prompt},
        ]
        return self._answer(messages)


class VisionDrafter(TextDrafter):
    """Any vision-language model: it sees a montage of key slices beside the findings."""

    name, version, title = "vision_drafter", "0", "Draft"
    auto = "AutoModelForImageTextToText"
    processor = "AutoProcessor"

    def _generate(self, prompt: str, case: Case) -> str:
        picture = montage([each.picture for each in self._key_slices(case)])
        content = [{"type": "image", "image": _pillow(picture)}, {"type": "text", "text": prompt}]
        messages = [
            {"role": "system", "content": [{"type": "text", "text": self.options.system}]},
            {"role": "user", "content": content},
        ]
        return self._answer(messages)


def _pillow(picture: Any) -> Any:
    from PIL import Image

    return Image.fromarray(picture)
