"""TotalSegmentator (Wasserthal et al., Radiol Artif Intell 2023): its nnU-Net folders, run as it does.

    pipelines:
      whole_body:
        use: pipelines.totalsegmentator:TotalSegmentator
        options: {model: totalsegmentator, parts: [Dataset291, Dataset292,
                         Dataset293, Dataset294, Dataset295]}

The weights are those that its package downloads, below `nnunet/results`; `dicom-node models pull … --convert`
brings them into the store. Its classes have SNOMED CT codes by their names.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from pipelines.nnunet import NnUNet, NnUNetOptions


class TotalSegmentatorOptions(NnUNetOptions):
    """An nnU-Net's, as TotalSegmentator sets them: turned to RAS, resampled before, in wide steps."""

    orientation: str | None = "RAS"
    resample_first: bool = True
    step: float = Field(default=0.8, gt=0, le=1)
    mirroring: bool = False


class TotalSegmentator(NnUNet):
    """One task: the result folders that make it."""

    name, version, title = "totalsegmentator", "0", "TotalSegmentator"
    options_type: ClassVar[type[NnUNetOptions]] = TotalSegmentatorOptions
    all_parts = True
