"""Image embeddings (DINOv2, RAD-DINO and their kin), kept by series, and the earlier series most alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import Case, EmbeddingIndex, Finding, NotApplicable, Text
from pipelines.transformers_base import HubOptions, HubPipeline


class EmbedOptions(HubOptions):
    """Where the embeddings are kept."""

    index: Path
    """A folder; one for each model, since different models' embeddings can't be compared."""
    nearest: int = Field(default=3, ge=1, le=100)
    """How many of the most alike are named."""


class ImageEmbedder(HubPipeline):
    """Any model of pictures that gives a pooled output or patch tokens."""

    name, version, title = "image_embedder", "0", "Similar series"
    auto = "AutoModel"
    options_type = EmbedOptions
    options: EmbedOptions

    def run(self, case: Case) -> Iterable[Finding]:
        """Keeps the series' embedding, and yields a note that names the series most alike."""
        uid = str(case.header.get("SeriesInstanceUID") or "")
        if not uid:
            yield NotApplicable("the series states no Series Instance UID to keep its embedding by")
            return
        vector, index = self._embedding(case), EmbeddingIndex(self.options.index)
        alike = index.nearest(vector, self.options.nearest, without=uid)
        index.keep(uid, vector)
        sentences = [
            (f"Similar series {other} (cosine {cosine:.3f}).", "embedding") for other, cosine in alike
        ]
        yield Text(tuple(sentences) or (("No earlier series to compare with.", "embedding"),), kind="note")

    def _embedding(self, case: Case) -> NDArray[np.float32]:
        """The mean over the key slices of the model's pooled outputs."""
        import torch

        inputs = self._inputs(images=[each.picture for each in self._key_slices(case)])
        with torch.no_grad():
            output = self._model(**inputs)
        pooled = getattr(output, "pooler_output", None)
        if pooled is None:
            pooled = output.last_hidden_state.mean(dim=1)
        return np.asarray(pooled.float().flatten(1).mean(dim=0).cpu(), np.float32)
