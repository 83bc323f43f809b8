"""Object detectors: boxes on key slices, in the coordinates of the volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from dicom_node.pipeline import ABSENT, Classification, Detection, Finding
from pipelines.transformers_base import ConceptOptions
from pipelines.transformers_pictures import PictureOptions, PicturePipeline, Shown


class DetectOptions(PictureOptions):
    """What is reported of the boxes found."""

    labels: dict[str, ConceptOptions] = Field(default_factory=dict)
    """Which labels are reported, their codes and thresholds; empty: all, from one half."""
    most: int = Field(default=20, ge=1)
    """At most so many boxes, the surest first."""


class Detector(PicturePipeline):
    """Any model that transformers loads for object detection (DETR, YOLOS, RT-DETR and their kin)."""

    name, version, title = "detector", "0", "Detection"
    auto = "AutoModelForObjectDetection"
    options_type = DetectOptions
    options: DetectOptions

    def _look(self, inputs: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """The scores, labels and boxes of each picture; boxes as shares of its width and height."""
        return self._processor.post_process_object_detection(  # type: ignore[no-any-return]  # no types there
            self._model(**inputs), threshold=0.0
        )

    def _most(self) -> int:
        """Detectors take large pictures: no more at once than cases."""
        return self.at_once

    def _findings(self, shown: Shown, seen: Sequence[Mapping[str, Any]]) -> Iterable[Finding]:
        """Yields a Detection for each box; a Classification "absent" for each label without one."""
        found = sorted(self._detections(shown, seen), key=lambda pair: -pair[1].score)[: self.options.most]
        yield from (detection for _, detection in found)
        there = {label for label, _ in found}
        wanted = self.options.labels or dict.fromkeys(self._model.config.id2label.values(), ConceptOptions())
        for label, site in wanted.items():
            if label not in there:
                concept = site.concept(label)
                yield Classification(concept, ABSENT, support=f"no box scored {site.threshold:g} or more")

    def _detections(self, shown: Shown, seen: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, Detection]]:
        _, rows, columns = shown.case.volume.grid.shape
        for k, boxes in zip(shown.ks, seen, strict=True):
            for score, number, box in zip(boxes["scores"], boxes["labels"], boxes["boxes"], strict=True):
                label = self._model.config.id2label[int(number)]
                site = self.options.labels.get(label, ConceptOptions())
                if (self.options.labels and label not in self.options.labels) or score < site.threshold:
                    continue
                # Boxes count pixel edges from 0, voxel coordinates their centres; edges stay in the image.
                sizes = (columns, rows, columns, rows)
                left, top, right, bottom = (
                    float(edge) * size - 0.5 for edge, size in zip(box, sizes, strict=True)
                )
                lower = (float(k), max(top, -0.5), max(left, -0.5))
                upper = (float(k), min(bottom, rows - 0.5), min(right, columns - 0.5))
                if all(low < high for low, high in zip(lower[1:], upper[1:], strict=True)):
                    concept = site.concept(label)
                    yield label, Detection(concept, lower, upper, min(float(score), 1.0))
