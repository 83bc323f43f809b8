"""Masks by models of the SAM family: of what a site points at in millimetres, or of all that stands out."""

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
    KeySlice,
    Measurement,
    NotApplicable,
    Options,
    Segment,
    Segmentation,
    key_slices,
    segment_for,
)
from pipelines.masks import LabelMasks, stacked
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


class MaskModel(HubPipeline):
    """Any model that transformers loads for mask generation from prompts."""

    auto = "AutoModelForMaskGeneration"
    processor = "AutoProcessor"

    def _predicted(
        self, shown: KeySlice, where: dict[str, object], threshold: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """The best mask (prompts, rows, columns) of each prompt on one slice, and its own score of it."""
        import torch

        inputs = self._inputs(images=[shown.picture], **where)
        with torch.no_grad():
            output = self._model(**inputs)
        # SAM's processor needs the sizes after resizing too; its successors' don't know them.
        sizes = {
            key: inputs[key].cpu() for key in ("original_sizes", "reshaped_input_sizes") if key in inputs
        }
        [masks] = self._processor.post_process_masks(
            output.pred_masks.float().cpu(), **sizes, mask_threshold=threshold
        )
        scores = output.iou_scores.float().cpu()[0]
        best = scores.argmax(dim=-1)
        prompts = torch.arange(len(best))
        return np.asarray(masks[prompts, best], bool), np.asarray(scores[prompts, best], np.float32)


class PromptedSegmenter(MaskModel):
    """Masks of what a site points at: a point prompts the slice it lies on, a box all that it crosses."""

    name, version, title = "prompted_segmenter", "0", "Prompted segmentation"
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
            [shown] = key_slices(case.volume, case.header, [k], self.options.window)
            mask[k] = self._predicted(shown, where, self.options.mask_threshold)[0][0]
        return mask


class EverythingOptions(HubOptions):
    """How densely everything is asked for, and what counts."""

    points: int = Field(default=16, ge=1, le=64)
    """A grid of so many by so many points prompts each key slice."""
    at_once: int = Field(default=64, ge=1)
    """How many of them run together."""
    mask_threshold: float = 0.0
    least_score: float = Field(default=0.8, ge=0, le=1)
    """Masks that the model itself thinks less of are left out."""
    most_overlap: float = Field(default=0.7, gt=0, le=1)
    """Of two masks that overlap more (intersection over union), the one of the lower score is left out."""
    least_mm2: float = Field(default=20.0, ge=0)
    most_share: float = Field(default=0.5, gt=0, le=1)
    """Masks that cover more of the slice are left out, such as its background."""
    most: int = Field(default=20, ge=1, le=200)
    """How many a slice at most, those of the highest score."""


class EverythingSegmenter(MaskModel):
    """Masks of everything that stands out on the key slices, without names."""

    name, version, title = "everything_segmenter", "0", "Regions"
    options_type = EverythingOptions
    options: EverythingOptions

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields one Segmentation of numbered regions, and each region's volume; the smaller lie on top."""
        grid, number = case.volume.grid, 0
        labels = np.zeros(grid.shape, np.uint16)
        for shown in self._key_slices(case):
            for mask in sorted(self._regions(shown, grid.spacing), key=np.count_nonzero, reverse=True):
                number += 1
                labels[shown.k][mask] = number
            case.progress(0.9 * (shown.k + 1) / grid.shape[0])
        voxels = np.bincount(labels.ravel(), minlength=number + 1)
        seen = [int(n) for n in range(1, number + 1) if voxels[n]]
        if not seen:
            yield NotApplicable("nothing stood out on the slices that the model was shown")
            return
        segments = tuple(segment_for(f"region {place}") for place in range(1, len(seen) + 1))
        masks = LabelMasks(labels, {n: (n,) for n in seen})
        yield Segmentation(stacked(masks, seen), segments, title=self.title)
        for segment, n in zip(segments, seen, strict=True):
            value = float(voxels[n]) * grid.voxel_ml
            yield Measurement(VOLUME, value, MILLILITRE, segment.label, digits=2)

    def _regions(self, shown: KeySlice, spacing: tuple[float, float, float]) -> list[NDArray[np.bool_]]:
        """Masks (rows, columns) of one slice, the best first."""
        options, (rows, columns) = self.options, shown.picture.shape[:2]
        ys, xs = ((np.arange(options.points) + 0.5) * size / options.points - 0.5 for size in (rows, columns))
        points = [[[float(x), float(y)]] for y in ys for x in xs]
        candidates: list[tuple[float, NDArray[np.bool_]]] = []
        for first in range(0, len(points), options.at_once):
            where: dict[str, object] = {"input_points": [points[first : first + options.at_once]]}
            masks, scores = self._predicted(shown, where, options.mask_threshold)
            candidates += [
                (float(score), mask)
                for mask, score in zip(masks, scores, strict=True)
                if score >= options.least_score
                and np.count_nonzero(mask) * spacing[1] * spacing[2] >= options.least_mm2
                and mask.mean() <= options.most_share
            ]
        kept: list[NDArray[np.bool_]] = []
        for _, mask in sorted(candidates, key=lambda pair: -pair[0]):
            if len(kept) < options.most and all(_overlap(mask, one) <= options.most_overlap for one in kept):
                kept.append(mask)
        return kept


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks that aren't empty."""
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)
