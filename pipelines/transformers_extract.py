"""Structured extraction: a language model fills a site's form from clinical text; nothing it invents stays.

The text comes from DICOM keywords of the series and of its order (the request, the history, comments). The
answer has to be JSON that the form's schema accepts; a value that doesn't stand in the text is dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, ValidationError, create_model, model_validator

from dicom_node.pipeline import Case, Finding, NotApplicable, Options, Text
from pipelines.transformers_chat import ChatOptions, ChatPipeline, clinical_text

TYPES: dict[str, type] = {"number": float, "text": str}


class FieldOptions(Options):
    """One field of the form."""

    kind: Literal["number", "text", "choice"] = "text"
    choices: tuple[str, ...] = ()
    meaning: str = ""
    """What the model is told about the field."""

    @model_validator(mode="after")
    def _choices_with_choice(self) -> FieldOptions:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("a choice needs choices, and nothing else has them")
        return self


class ExtractOptions(ChatOptions):
    """The form, and where the text stands."""

    fields: dict[str, FieldOptions] = Field(min_length=1)
    source: tuple[str, ...] = (
        "ReasonForTheRequestedProcedure",
        "AdditionalPatientHistory",
        "ImageComments",
    )


class ReportExtractor(ChatPipeline):
    """Any causal language model."""

    name, version, title = "report_extractor", "0", "Structured extraction"
    options_type: ClassVar[type[Options]] = ExtractOptions
    options: ExtractOptions

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields a Text of the filled fields, each with the words of the source that support it."""
        text = clinical_text(case.header, self.options.source)
        if not text:
            yield NotApplicable(f"there is no text in {', '.join(self.options.source)}")
            return
        filled = grounded(form_of(self.options.fields), self._ask(text), text)
        if not filled:
            yield NotApplicable("the model filled no field with what the text says")
            return
        yield Text(tuple((f"{name}: {value}", quote) for name, (value, quote) in filled.items()), kind="note")

    def _ask(self, text: str) -> str:
        schema = json.dumps(form_of(self.options.fields).model_json_schema())
        messages = [
            {"role": "system", "content": f"Answer with JSON alone, by this schema: {schema}"},
            {"role": "user", "content": text},
        ]
        return self._answer(messages)


def form_of(fields: Mapping[str, FieldOptions]) -> type[BaseModel]:
    """The form as a model that checks JSON: every field may be null, none may be added."""
    made: dict[str, Any] = {}
    for name, field in fields.items():
        kind: Any = Literal[field.choices] if field.kind == "choice" else TYPES[field.kind]
        made[name] = (kind | None, Field(default=None, description=field.meaning))
    return create_model("Form", __config__={"extra": "forbid"}, **made)


def grounded(form: type[BaseModel], answer: str, text: str) -> dict[str, tuple[Any, str]]:
    """The fields of a model's answer that the text supports, each with its value and the words it rests on.

    Args:
        form: the schema.
        answer: what the model wrote; its first JSON object counts.
        text: what it was asked about.

    Returns an empty dict where the answer holds no JSON that the schema accepts.
    """
    found = re.search(r"\{.*?\}", answer, re.DOTALL)
    try:
        filled = form.model_validate_json(found[0] if found else "")
    except ValidationError:
        return {}
    kept: dict[str, tuple[Any, str]] = {}
    for name, value in filled:
        if value is not None and (quote := _quote(value, text)):
            kept[name] = (value, quote)
    return kept


def _quote(value: Any, text: str) -> str:
    """The words of the text that state a value, with their surroundings; empty where none do.

    A statement that the surrounding words deny is no support.
    """
    if isinstance(value, float):
        matches = [
            m for m in re.finditer(r"(?<![\w.,])-?\d+(?:\.\d+)?(?![\d])", text) if float(m[0]) == value
        ]
    else:
        matches = list(re.finditer(rf"\b{re.escape(value)}\b", text, re.IGNORECASE))
    for match in matches:
        clause = re.split(r"[.;:\n]|\bbut\b", text[: match.start()])[-1]
        if not re.search(
            r"\b(no|not|without|denies|never|negative for|rule out|ruled out|\?)\b", clause, re.I
        ):
            return text[max(0, match.start() - 40) : match.end() + 40].strip()
    return ""
