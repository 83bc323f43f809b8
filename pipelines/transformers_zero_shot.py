"""Zero-shot classification: a site writes in words what is there and what isn't; CLIP or SigLIP compares."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import ABSENT, PRESENT, Classification, Finding, ModelUnavailable
from pipelines.transformers_base import ConceptOptions
from pipelines.transformers_pictures import PictureOptions, PicturePipeline, Shown


class PromptOptions(ConceptOptions):
    """The words for one finding."""

    present: tuple[str, ...] = Field(min_length=1)
    absent: tuple[str, ...] = Field(min_length=1)


class ZeroShotOptions(PictureOptions):
    """What to look for."""

    prompts: dict[str, PromptOptions] = Field(min_length=1)


class ZeroShot(PicturePipeline):
    """Any model that gives images and texts a common embedding (CLIP, SigLIP and their kin)."""

    name, version, title = "zero_shot", "0", "Zero-shot classification"
    auto = "AutoModel"
    processor = "AutoProcessor"
    options_type = ZeroShotOptions
    options: ZeroShotOptions

    def load(self, device: str) -> None:
        """Loads the model. Raises ModelUnavailable where it doesn't compare images with texts."""
        super().load(device)
        if not hasattr(self._model, "get_text_features"):
            name = Path(self.options.model).name
            raise ModelUnavailable(f"the model {name!r} gives images and texts no common embedding")

    def _tensors(self, pictures: list[NDArray[np.uint8]]) -> Mapping[str, Any]:
        """Pictures, with the words of all findings: the model sees every picture once."""
        words = [
            text for prompts in self.options.prompts.values() for text in (*prompts.present, *prompts.absent)
        ]
        return self._inputs(images=pictures, text=words, padding="max_length", truncation=True)

    def _common(self) -> Collection[str]:
        """The words' tensors."""
        names: Collection[str] = self._processor.tokenizer.model_input_names
        return names

    def _look(self, inputs: Mapping[str, Any]) -> Iterable[NDArray[np.float32]]:
        """The logits of each picture, one for each text."""
        return np.asarray(self._model(**inputs).logits_per_image.float().cpu())

    def _findings(
        self,
        shown: Shown,  # noqa: ARG002 - the others need it
        seen: Sequence[NDArray[np.float32]],
    ) -> Iterable[Finding]:
        """Yields a Classification for each finding that the site wrote prompts for."""
        likeness, first = np.stack(seen), 0
        for label, prompts in self.options.prompts.items():
            split = first + len(prompts.present)
            last = split + len(prompts.absent)
            present, absent = likeness[:, first:split], likeness[:, split:last]
            first = last
            probability = present_probability(present, absent, prompts.temperature)
            value = PRESENT if probability >= prompts.threshold else ABSENT
            concept = prompts.concept(label)
            yield Classification(concept, value, probability, support=f"prompt: {prompts.present[0]}")


def present_probability(
    present: NDArray[np.float32], absent: NDArray[np.float32], temperature: float
) -> float:
    """Probability of the present prompts against the absent ones, (slices, prompts) logits each.

    The prompts of a side are averaged (prompt ensembling, Radford et al., ICML 2021); over slices the
    largest counts.
    """
    margin = (present.mean(axis=1) - absent.mean(axis=1)) / temperature
    return float((1 / (1 + np.exp(-margin))).max())
