"""Zero-shot classification: a site writes in words what is there and what isn't; CLIP or SigLIP compares."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import ABSENT, PRESENT, Case, Classification, Finding, ModelUnavailable
from pipelines.transformers_base import ConceptOptions, HubOptions, HubPipeline


class PromptOptions(ConceptOptions):
    """The words for one finding."""

    present: tuple[str, ...] = Field(min_length=1)
    absent: tuple[str, ...] = Field(min_length=1)


class ZeroShotOptions(HubOptions):
    """What to look for."""

    prompts: dict[str, PromptOptions] = Field(min_length=1)


class ZeroShot(HubPipeline):
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

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields a Classification for each finding that the site wrote prompts for.

        The model sees every picture once, with the words of all findings.
        """
        pictures = [each.picture for each in self._key_slices(case)]
        wanted = self.options.prompts
        words = [text for prompts in wanted.values() for text in (*prompts.present, *prompts.absent)]
        likeness, first = self._likeness(pictures, words), 0
        for label, prompts in wanted.items():
            split = first + len(prompts.present)
            last = split + len(prompts.absent)
            present, absent = likeness[:, first:split], likeness[:, split:last]
            first = last
            probability = present_probability(present, absent, prompts.temperature)
            value = PRESENT if probability >= prompts.threshold else ABSENT
            concept = prompts.concept(label)
            yield Classification(concept, value, probability, support=f"prompt: {prompts.present[0]}")

    def _likeness(self, pictures: list[NDArray[np.uint8]], texts: list[str]) -> NDArray[np.float32]:
        """(pictures, texts) logits."""
        import torch

        inputs = self._inputs(images=pictures, text=texts, padding="max_length", truncation=True)
        with torch.no_grad():
            return np.asarray(self._model(**inputs).logits_per_image.float().cpu())


def present_probability(
    present: NDArray[np.float32], absent: NDArray[np.float32], temperature: float
) -> float:
    """Probability of the present prompts against the absent ones, (slices, prompts) logits each.

    The prompts of a side are averaged (prompt ensembling, Radford et al., ICML 2021); over slices the
    largest counts.
    """
    margin = (present.mean(axis=1) - absent.mean(axis=1)) / temperature
    return float((1 / (1 + np.exp(-margin))).max())
