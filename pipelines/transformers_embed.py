"""Image embeddings (DINOv2, RAD-DINO and their kin), kept with their series for `dicom-node similar`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicom_node.pipeline import Case, Embedding, Finding
from pipelines.transformers_base import HubOptions, HubPipeline


class ImageEmbedder(HubPipeline):
    """Any model of pictures that gives a pooled output or patch tokens."""

    name, version, title = "image_embedder", "0", "Image embedding"
    auto = "AutoModel"
    options_type = HubOptions

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields the series' embedding."""
        slices = "1 key slice" if self.options.slices == 1 else f"mean over {self.options.slices} key slices"
        model = Path(self.options.model).name
        yield Embedding(self._embedding(case), model, self.version, f"{slices}, {self.options.precision}")

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
