"""Promptable segmentation (the SAM family): masks of what lies at points or in boxes that a site gives."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import (
    MILLILITRE,
    VOLUME,
    Case,
    Finding,
    Measurement,
    NotApplicable,
    Options,
    Segment,
    Segmentation,
    key_slices,
    segment_for,
)
from pipelines.transformers_base import HubOptions, HubPipeline

Point = tuple[float, float, float]


class PromptedOptions(Options):
    """What to segment: a point within it, or a box around it, in LPS millimetres."""

    point: Point | None = None
    box: tuple[Point, Point] | None = None
    """Two opposite corners."""


class SegmentOptions(HubOptions):
    """The prompts, by the structure's name."""

    structures: dict[str, PromptedOptions] = Field(min_length=1)
    mask_threshold: float = 0.0
    """Mask logits above this count as inside."""


class PromptedSegmenter(HubPipeline):
    """Any model that transformers loads for mask generation from prompts.

    A point prompts the slice that it lies on, a box every slice that it crosses.
    """

    name, version, title = "prompted_segmenter", "0", "Prompted segmentation"
    auto = "AutoModelForMaskGeneration"
    processor = "AutoProcessor"
    options_type = SegmentOptions
    options: SegmentOptions

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields one Segmentation with a mask for each prompt, and the masks' volumes."""
        masks = {name: self._mask(case, prompt) for name, prompt in self.options.structures.items()}
        found = {name: mask for name, mask in masks.items() if mask.any()}
        if not found:
            yield NotApplicable("no prompt lies in the volume, or nothing was found at any")
            return
        segments: list[Segment] = [segment_for(name) for name in found]
        yield Segmentation(np.stack(list(found.values())), tuple(segments), title=self.title)
        for segment, mask in zip(segments, found.values(), strict=True):
            value = float(np.count_nonzero(mask)) * case.volume.grid.voxel_ml
            yield Measurement(VOLUME, value, MILLILITRE, segment.label)

    def _mask(self, case: Case, prompt: PromptedOptions) -> NDArray[np.bool_]:
        """(k, j, i) mask of one prompt; empty where the prompt lies outside of the volume."""
        grid = case.volume.grid
        mask = np.zeros(grid.shape, np.bool_)
        corners = np.asarray(prompt.box if prompt.box is not None else (prompt.point, prompt.point), float)
        lower, upper = np.sort(grid.to_index(corners), axis=0)
        if np.any(upper < -0.5) or np.any(lower > np.asarray(grid.shape) - 0.5):
            return mask
        first, last = (int(k) for k in np.clip(np.rint((lower[0], upper[0])), 0, grid.shape[0] - 1))
        for k in range(first, last + 1):
            where: dict[str, object] = {"input_boxes": [[[lower[2], lower[1], upper[2], upper[1]]]]}
            if prompt.box is None:
                where = {"input_points": [[[[lower[2], lower[1]]]]]}
            mask[k] = self._slice_mask(case, k, where)
        return mask

    def _slice_mask(self, case: Case, k: int, where: dict[str, object]) -> NDArray[np.bool_]:
        import torch

        [shown] = key_slices(case.volume, case.header, [k], self.options.window)
        inputs = self._inputs(images=[shown.picture], **where)
        with torch.no_grad():
            output = self._model(**inputs)
        # SAM's processor needs the sizes after resizing too; its successors' don't know them.
        sizes = {
            key: inputs[key].cpu() for key in ("original_sizes", "reshaped_input_sizes") if key in inputs
        }
        [masks] = self._processor.post_process_masks(
            output.pred_masks.float().cpu(), **sizes, mask_threshold=self.options.mask_threshold
        )
        best = int(output.iou_scores.float().flatten().argmax())
        return np.asarray(masks.flatten(0, 1)[best], dtype=bool)
