"""What the adapters of generative language models have in common: a conversation in, an answer out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from pipelines.transformers_base import HubOptions, HubPipeline

PLAIN_CHAT = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
"""For base models, which bring no chat template."""


def clinical_text(header: Mapping[str, Any], keywords: Iterable[str]) -> str:
    """What some DICOM keywords say, in the images themselves and in the orders that they carry.

    Args:
        header: of an input; Request Attributes Sequence (0040,0275) holds the orders.
        keywords: in the order in which they are wanted.
    """
    places = [header, *(header.get("RequestAttributesSequence") or ())]
    said = [str(place.get(keyword) or "").strip() for keyword in keywords for place in places]
    return " ".join(dict.fromkeys(text for text in said if text))


class ChatOptions(HubOptions):
    """How much it writes, and where its weights are."""

    max_new_tokens: int = Field(default=200, ge=1, le=4096)
    gguf_file: str | None = None
    """The file's name where the model is kept in GGUF instead of safetensors."""


class ChatPipeline(HubPipeline):
    """Any causal language model."""

    auto: ClassVar[str] = "AutoModelForCausalLM"
    processor: ClassVar[str] = "AutoTokenizer"
    options: ChatOptions

    def _answer(self, messages: list[dict[str, Any]]) -> str:
        """The model's answer, the likeliest word each time, so that the same case gives the same words."""
        import torch

        if not getattr(self._processor, "chat_template", None):
            self._processor.chat_template = PLAIN_CHAT
        inputs = self._processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_tensors="pt", return_dict=True
        ).to(self._device)
        with torch.no_grad():
            tokens = self._model.generate(
                **inputs, max_new_tokens=self.options.max_new_tokens, do_sample=False
            )
        answer = tokens[0][inputs["input_ids"].shape[1] :]
        return str(self._processor.decode(answer, skip_special_tokens=True))

    def _needed(self) -> tuple[str, ...]:
        return (self.options.gguf_file,) if self.options.gguf_file else super()._needed()

    def _how(self) -> dict[str, Any]:
        return {"gguf_file": self.options.gguf_file} if self.options.gguf_file else super()._how()
