"""Image embeddings (DINOv2, RAD-DINO and their kin), kept with their series for `dicom-node similar`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dicom_node.pipeline import Embedding, Finding
from pipelines.transformers_pictures import PicturePipeline, Shown


class ImageEmbedder(PicturePipeline):
    """Any model of pictures that gives a pooled output or patch tokens."""

    name, version, title = "image_embedder", "0", "Image embedding"
    auto = "AutoModel"

    def _look(self, inputs: Mapping[str, Any]) -> Iterable[Any]:
        """The model's pooled output for each picture."""
        output = self._model(**inputs)
        pooled = getattr(output, "pooler_output", None)
        if pooled is None:
            pooled = output.last_hidden_state.mean(dim=1)
        return pooled.float().flatten(1)  # type: ignore[no-any-return]  # a tensor is what its rows are

    def _findings(
        self,
        shown: Shown,  # noqa: ARG002 - the others need it
        seen: Sequence[Any],
    ) -> Iterable[Finding]:
        """Yields the series' embedding: the mean over its key slices."""
        import torch

        slices = "1 key slice" if self.options.slices == 1 else f"mean over {self.options.slices} key slices"
        vector = np.asarray(torch.stack(list(seen)).mean(dim=0).cpu(), np.float32)
        model = Path(self.options.model).name
        yield Embedding(vector, model, self.version, f"{slices}, {self.options.precision}")
