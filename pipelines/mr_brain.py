"""Brain extraction from T1-weighted head MR, with the network and the weights of the deepbet package.

Fisch L, et al. "deepbet: Fast brain extraction of T1-weighted MRI using convolutional neural networks".
Computers in Biology and Medicine 2024;179:108845. Its mask holds brain, ventricles and the fluid around the
brain; its authors call its volume the total intracranial volume.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_node.pipeline import (
    Algorithm,
    Case,
    Code,
    Finding,
    Measurement,
    ModelUnavailable,
    NotApplicable,
    Options,
    Pipeline,
    Requirements,
    Segment,
    Segmentation,
    Volume,
)

BRAIN = Segment(
    "Intracranial contents",
    category=Code("91723000", "SCT", "Anatomical Structure"),
    type=Code("12738006", "SCT", "Brain"),
    color=(250, 250, 225),
)
VOLUME = Code("118565006", "SCT", "Volume")
ML = Code("ml", "UCUM", "ml")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

LONGEST_T1_ECHO_MS = 30.0
"""Echo times above weigh an image by T2 or T2*; T1-weighted sequences stay well below."""
CONTRASTS_NOT_T1 = frozenset(
    {"T2", "T2_STAR", "DIFFUSION", "FLUID_ATTENUATED", "PERFUSION", "STIR", "FLOW_ENCODED"}
)
"""Acquisition Contrast (0008,9209) that says that the image is not T1-weighted."""
DERIVED_MAPS = frozenset({"ADC", "FA", "TRACEW", "PHASE", "P", "PHASE MAP", "CBF", "CBV", "MTT"})
ADULT_ML = (900.0, 2100.0)
"""Intracranial volumes outside are implausible in adults, for whom the network was made."""
THIN_SLICES_MM = 2.0


class MrBrainOptions(Options):
    """What a site may set."""

    threshold: float = 0.5
    """Of the network's output, 0..1, from which a voxel counts as brain."""


class MrBrain(Pipeline):
    """Mask and volume of the brain."""

    name = "mr_brain"
    version = "1.0"
    title = "Intracranial volume"
    options_type = MrBrainOptions
    options: MrBrainOptions
    allow_resampling = True
    requires = Requirements(
        modality=("MR",),
        body_part=("BRAIN", "HEAD", "SKULL", "HEADNECK"),
        max_slice_spacing_mm=5.0,
        max_pixel_spacing_mm=2.5,
        min_coverage_mm=100.0,
        min_slices=20,
    )

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._network: Any = None

    @property
    def algorithm(self) -> Algorithm:
        """Cites the network and its authors."""
        return Algorithm(
            name="deepbet",
            version=self.version,
            parameters=super().algorithm.parameters,
            source="Fisch L, et al. Computers in Biology and Medicine 2024;179:108845",
        )

    def check(self) -> None:
        """Raises ModelUnavailable where deepbet is not installed."""
        if find_spec("deepbet") is None:
            raise ModelUnavailable("the package deepbet is missing: pip install 'dicom-node[brain]'")

    def load(self, device: str) -> None:
        """Loads the two networks, the one that finds the head's box and the one that finds the brain."""
        self.check()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                from deepbet import BrainExtraction

                network = BrainExtraction(no_gpu=True)
                network.model.to(device)
                network.bbox_model.to(device)
            except (ImportError, OSError, RuntimeError, ValueError) as error:
                raise ModelUnavailable(f"deepbet can't be loaded: {error}") from error
        self._network = network

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields the mask and its volume, or why the series is not one for this network."""
        if (reason := why_not_t1(case.header)) is not None:
            return [NotApplicable(reason)]
        case.progress(0.05)
        mask = self._mask(case.volume)
        case.progress(0.95)
        if mask is None:
            return [NotApplicable("no brain was found in the images")]
        ml = float(np.count_nonzero(mask)) * case.volume.grid.voxel_ml
        doubt = "; ".join(_doubts(case, mask, ml)) or None
        return [
            Segmentation(mask.astype(np.uint8), (BRAIN,), title=self.title),
            Measurement(VOLUME, ml, ML, segment=BRAIN.label, doubt=doubt, digits=0),
        ]

    def _mask(self, volume: Volume) -> NDArray[np.bool_] | None:
        """(k, j, i) bool, or None where the network sees no head."""
        import nibabel

        if self._network is None:
            self.load("cpu")
        # nibabel's axes are ours: index 0 is k; the affine says where each of them points
        affine = LPS_TO_RAS @ volume.grid.affine
        image = nibabel.Nifti1Image(volume.array.astype(np.float32), affine)  # type: ignore[no-untyped-call]  # nibabel has no types
        try:
            _, mask, _ = self._network.run(image, threshold=self.options.threshold)
        except (AssertionError, ValueError):  # how deepbet says that it found nothing
            return None
        found = np.asarray(mask.dataobj) > 0
        return found if found.any() else None


def why_not_t1(header: Mapping[str, Any]) -> str | None:
    """Says how a header shows that its image is not T1-weighted, or None where it doesn't show that."""
    contrast = str(header.get("AcquisitionContrast") or "")
    if contrast in CONTRASTS_NOT_T1:
        return f"the images are not T1-weighted: Acquisition Contrast is {contrast}"
    if DERIVED_MAPS & {str(value).upper() for value in header.get("ImageType") or ()}:
        return "the images are a map or a phase image, not T1-weighted"
    if (_number(header.get("DiffusionBValue")) or 0) > 0:
        return "the images are diffusion-weighted"
    echo = _number(header.get("EchoTime") or header.get("EffectiveEchoTime"))
    if echo is not None and echo > LONGEST_T1_ECHO_MS:
        return f"the images are not T1-weighted: the echo time is {echo:g} ms"
    return None


def _doubts(case: Case, mask: NDArray[np.bool_], ml: float) -> Iterator[str]:
    spacing = max(case.volume.grid.spacing)
    if spacing > THIN_SLICES_MM:
        yield f"voxels are {spacing:.1f} mm long, and the network was made for about 1 mm"
    if any(np.take(mask, end, axis).any() for axis in range(3) for end in (0, -1)):
        yield "the brain is cut by the border of the images"
    if not ADULT_ML[0] <= ml <= ADULT_ML[1]:
        yield f"the volume is implausible in an adult (usual: {ADULT_ML[0]:g} to {ADULT_ML[1]:g} ml)"
    if _number(case.header.get("EchoTime") or case.header.get("EffectiveEchoTime")) is None:
        yield "the header doesn't say whether the images are T1-weighted"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
