"""Object detectors: boxes on key slices, in the coordinates of the volume."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from dicom_node.pipeline import ABSENT, Case, Classification, Detection, Finding
from pipelines.transformers_base import ConceptOptions, HubOptions, HubPipeline


class DetectOptions(HubOptions):
    """What is reported of the boxes found."""

    labels: dict[str, ConceptOptions] = Field(default_factory=dict)
    """Which labels are reported, their codes and thresholds; empty: all, from one half."""
    most: int = Field(default=20, ge=1)
    """At most so many boxes, the surest first."""


class Detector(HubPipeline):
    """Any model that transformers loads for object detection (DETR, YOLOS, RT-DETR and their kin)."""

    name, version, title = "detector", "0", "Detection"
    auto = "AutoModelForObjectDetection"
    options_type = DetectOptions
    options: DetectOptions

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields a Detection for each box; a Classification "absent" for each label without one."""
        found = sorted(self._detections(case), key=lambda pair: -pair[1].score)[: self.options.most]
        yield from (detection for _, detection in found)
        seen = {label for label, _ in found}
        wanted = self.options.labels or dict.fromkeys(self._model.config.id2label.values(), ConceptOptions())
        for label, site in wanted.items():
            if label not in seen:
                concept = site.concept(label)
                yield Classification(concept, ABSENT, support=f"no box scored {site.threshold:g} or more")

    def _detections(self, case: Case) -> Iterable[tuple[str, Detection]]:
        import torch

        _, rows, columns = case.volume.grid.shape
        for each in self._key_slices(case):
            inputs = self._inputs(images=[each.picture])
            with torch.no_grad():
                output = self._model(**inputs)
            [boxes] = self._processor.post_process_object_detection(
                output, threshold=0.0, target_sizes=[(rows, columns)]
            )
            for score, number, box in zip(boxes["scores"], boxes["labels"], boxes["boxes"], strict=True):
                label = self._model.config.id2label[int(number)]
                site = self.options.labels.get(label, ConceptOptions())
                if (self.options.labels and label not in self.options.labels) or score < site.threshold:
                    continue
                # Boxes count pixel edges from 0, voxel coordinates their centres; edges stay in the image.
                left, top, right, bottom = (float(edge) - 0.5 for edge in box)
                lower = (float(each.k), max(top, -0.5), max(left, -0.5))
                upper = (float(each.k), min(bottom, rows - 0.5), min(right, columns - 0.5))
                if all(low < high for low, high in zip(lower[1:], upper[1:], strict=True)):
                    concept = site.concept(label)
                    yield label, Detection(concept, lower, upper, min(float(score), 1.0))
