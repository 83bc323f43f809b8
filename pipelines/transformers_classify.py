"""Image classifiers: one probability for each of a model's labels, calibrated as the site has measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import (
    ABSENT,
    PRESENT,
    Classification,
    Finding,
    Heatmap,
    explainer_of,
)
from pipelines.transformers_base import ConceptOptions
from pipelines.transformers_pictures import PictureOptions, PicturePipeline, Shown


class ClassifyOptions(PictureOptions):
    """Labels, and how slices become one answer."""

    labels: dict[str, ConceptOptions] = Field(default_factory=dict)
    """Which of the model's labels are reported, and how; empty: all."""
    over_slices: Literal["max", "mean"] = "max"
    """How the slices' probabilities become one."""
    kind: Literal["multi-label", "single-label", "as configured"] = "as configured"
    """Whether labels exclude each other; "as configured": what the model's config.json says."""
    heatmap: bool = False
    """Whether to show where the most probable label was seen: Grad-CAM, or a transformer's attention."""


class ImageClassifier(PicturePipeline):
    """Any model that transformers loads for image classification."""

    name, version, title = "image_classifier", "0", "Image classification"
    auto = "AutoModelForImageClassification"
    options_type = ClassifyOptions
    options: ClassifyOptions

    def load(self, device: str) -> None:
        """Loads the model, and what its heat maps need."""
        super().load(device)
        if self.options.heatmap:
            self._explain = explainer_of(self._model)

    def _look(self, inputs: Mapping[str, Any]) -> Iterable[NDArray[np.float32]]:
        """The logits of each picture."""
        return np.asarray(self._model(**inputs).logits.float().cpu())

    def _findings(self, shown: Shown, seen: Sequence[NDArray[np.float32]]) -> Iterable[Finding]:
        """Yields a Classification for each label, and a Heatmap if the site wants one."""
        logits = np.stack(seen)
        names = {int(n): str(label) for n, label in self._model.config.id2label.items()}
        scores = {n: self._probability(logits, n, label) for n, label in names.items()}
        for number, label in names.items():
            if not self.options.labels or label in self.options.labels:
                yield self._classification(label, scores[number])
        if self.options.heatmap:
            best = max(scores, key=scores.__getitem__)
            yield self._heatmap(shown, best)

    def _probability(self, logits: NDArray[np.float32], number: int, label: str) -> float:
        """One calibrated probability of (slices, labels) logits."""
        site = self.options.labels.get(label, ConceptOptions())
        if self._multi_label():
            scores = 1 / (1 + np.exp(-logits[:, number] / site.temperature))
        else:
            scaled = logits / site.temperature
            exponents = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            scores = exponents[:, number] / exponents.sum(axis=1)
        score = float(scores.max() if self.options.over_slices == "max" else scores.mean())
        return calibrated(score, site.isotonic)

    def _multi_label(self) -> bool:
        if self.options.kind == "as configured":
            return bool(self._model.config.problem_type == "multi_label_classification")
        return self.options.kind == "multi-label"

    def _classification(self, label: str, probability: float) -> Classification:
        site = self.options.labels.get(label, ConceptOptions())
        value = PRESENT if probability >= site.threshold else ABSENT
        over = f"{self.options.over_slices} over {self.options.slices} slices"
        support = f"threshold {site.threshold:g}, {over}"
        return Classification(site.concept(label), value, probability, support=support)

    def _heatmap(self, shown: Shown, number: int) -> Heatmap:
        shape = shown.case.volume.grid.shape
        array = np.zeros(shape, np.float32)
        array[shown.ks] = self._explain(shown.inputs["pixel_values"], number, shape[1:])
        return Heatmap(array, f"Where {self._model.config.id2label[number]} was seen")


def calibrated(score: float, isotonic: tuple[tuple[float, float], ...]) -> float:
    """A score through an isotonic table, straight between its points; as it is where there is none."""
    if not isotonic:
        return score
    scores, probabilities = zip(*isotonic, strict=True)
    return float(np.clip(np.interp(score, scores, probabilities), 0, 1))
