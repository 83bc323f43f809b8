"""Left and right lung in chest CT: volumes and densities, by a classical method without a network.

After Hu, Hoffman and Reinhardt, "Automatic lung segmentation for accurate quantitation of volumetric X-ray
CT images", IEEE Trans Med Imaging 2001;20:490-498: optimal threshold, removal of the air around the body,
trachea and main bronchi by region growing, separation of the lungs, smoothing by closing. The airways grow
under the rising threshold of Mori et al. (Proc ICPR 1996:528-532), stopped before they leak; the lungs are
separated by erosion and regrowth in place of the paper's dynamic programming.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from dicom_node.pipeline import (
    Algorithm,
    Case,
    Code,
    Finding,
    Grid,
    Measurement,
    NotApplicable,
    Options,
    Pipeline,
    Requirements,
    Segment,
    Segmentation,
)

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
LUNG = Code("39607008", "SCT", "Lung")
RIGHT = Code("24028007", "SCT", "Right")
LEFT = Code("7771000", "SCT", "Left")
VOLUME = Code("118565006", "SCT", "Volume")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
TOTAL_VOLUME = Code("TLV", "99DICOMNODE", "Volume of both lungs")
LOW_ATTENUATION = Code("LAA-950", "99DICOMNODE", "Lung voxels below -950 HU")
PERCENTILE_15 = Code("PERC15", "99DICOMNODE", "15th percentile of lung attenuation")
MEAN = Code("373098007", "SCT", "Mean")
ML = Code("ml", "UCUM", "ml")
HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = Code("%", "UCUM", "%")

SEGMENTS = (
    Segment("Right lung", ANATOMY, LUNG, RIGHT, (128, 174, 128)),
    Segment("Left lung", ANATOMY, LUNG, LEFT, (143, 188, 230)),
)
AIRWAY_THRESHOLDS_HU = (-990, -980, -970, -960, -950, -940, -930, -920, -910, -900, -890)
AIRWAY_ML = (3.0, 150.0)
"""Lumen of trachea and bronchi in an adult lies well within; a larger one has leaked into the lung."""
TRACHEA_MM2 = (80.0, 700.0)
TRACHEA_HU = -850
TRACHEA_MM = 15.0
"""Cross-section, median and straight length that tell the trachea from other air spaces."""
WALL_MM = 2.0
"""Partial volume around the airways' lumen."""
CLOSING_MM = 6.0
"""Vessels and nodules up to twice as wide belong to the lung that they lie in or indent."""
GAS_HU = -970
"""Spaces with a lower median hold gas alone, as the bowel does."""
TISSUE_HU = -200
WALL_THICKNESS_MM = 9.0
"""Tissue that a lung has before and behind it at least; the shell of a table is thinner."""
THICKEST_MM = 3.0
"""Thicker slices average small areas of low density away (Madani et al., Radiology 2007;243:250-257)."""
AIR_TOLERANCE_HU = 40.0
"""How far air in the trachea may measure from -1000 HU: partial volume of its wall, and calibration."""
WITHOUT_TRACHEA_ML = 1000.0
"""Air spaces of less than this in all, in images that show no trachea, may as well be bowel."""
SMALLEST_ML = 100.0
"""Smaller air spaces are no lung (one lung of a grown person holds a litre or more)."""
SHARP_KERNEL = re.compile(
    r"LUNG|BONE|EDGE|DETAIL|SHARP|^[BHJUDQ][A-Z]?(4[6-9]|[5-9]\d)|^FC[58]\d$|^(D|E|L|Y[A-D])$"
)
"""GE's names, Siemens' from B46 or Bl46, Canon's FC50 and FC80 families, Philips' letters."""


class CtLungOptions(Options):
    """What a site may set."""

    closing_mm: float = CLOSING_MM
    """Radius of the closing that takes vessels into the lungs."""


class CtLung(Pipeline):
    """Volumes and densities of the lungs."""

    name = "ct_lung"
    version = "1.0"
    title = "Lung volumes"
    options_type = CtLungOptions
    options: CtLungOptions
    allow_resampling = True
    requires = Requirements(
        modality=("CT",), plane=("axial",), max_slice_spacing_mm=10.5, min_slices=10, min_coverage_mm=120
    )

    @property
    def algorithm(self) -> Algorithm:
        """Cites the method."""
        return Algorithm(
            name="Lung segmentation by region growing",
            version=self.version,
            family=Code("123104", "DCM", "Morphological Operations"),
            parameters=super().algorithm.parameters,
            source="Hu S, Hoffman EA, Reinhardt JM. IEEE Trans Med Imaging 2001;20:490-498",
        )

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields the two lungs and their measurements, or why there are none."""
        grid = case.volume.grid
        order, flips = _anatomical_axes(grid)
        hu = _turned(case.volume.array, order, flips)
        spacing = (grid.spacing[order[0]], grid.spacing[order[1]], grid.spacing[order[2]])
        found = segment_lungs(hu, spacing, self.options.closing_mm, case.progress)
        if isinstance(found, NotApplicable):
            return [found]
        labels = np.ascontiguousarray(_turned_back(found.labels, order, flips))
        shape_doubt = "; ".join(_shape_doubts(found)) or None
        density_doubt = "; ".join([*_shape_doubts(found), *_density_doubts(case.header, found)]) or None
        return [
            Segmentation(labels, SEGMENTS, title=self.title),
            *_measurements(case.volume.array, labels, grid.voxel_ml, shape_doubt, density_doubt),
        ]


@dataclass(frozen=True, slots=True)
class Lungs:
    """What was found; array axes run to the head, to the back and to the left.

    Attributes:
        labels: (z, y, x) uint8; 1 right lung, 2 left lung.
        air_hu: median inside the trachea, or None where none was found.
        cut: the field of view cuts through a lung at its side.
    """

    labels: NDArray[np.uint8]
    air_hu: float | None
    cut: bool


def segment_lungs(
    hu: NDArray[Any], spacing: Spacing, closing_mm: float, progress: Callable[[float], None]
) -> Lungs | NotApplicable:
    """Segments the lungs.

    Args:
        hu: (z, y, x) CT numbers; axes run to the head, to the back and to the left.
        spacing: mm along these.
        closing_mm: radius of the final closing.
        progress: called with 0..1.
    """
    air = hu < optimal_threshold(hu)
    inner = _air_in_body(air)
    progress(0.3)
    airways = _airways(hu, inner, spacing)
    air_hu = float(np.median(hu[airways])) if airways.any() else None
    near = _grown(airways, max(WALL_MM, 1.5 * max(spacing[1:])), spacing)
    progress(0.4)
    spaces = _large_spaces(inner & ~near, hu, spacing)
    if spaces is None:
        return NotApplicable("no lung was found in the images")
    progress(0.5)
    labels = _sides(spaces, spacing)
    if air_hu is None and np.count_nonzero(labels) * np.prod(spacing) / 1000 < WITHOUT_TRACHEA_ML:
        return NotApplicable("no lung was found: there is no trachea, and only small air spaces")
    progress(0.6)
    _close(labels, near, closing_mm, spacing, progress)
    if why := _why_partial(labels):
        return NotApplicable(why)
    return Lungs(labels, air_hu, _is_cut(labels, air & ~inner))


def optimal_threshold(hu: NDArray[Any]) -> float:
    """Iterates to the threshold midway between the means of body and of what is not body (Hu, II-A)."""
    counts, edges = np.histogram(hu[:: max(1, hu.shape[0] // 50), ::2, ::2], bins=400, range=(-1024, 600))
    centres = (edges[:-1] + edges[1:]) / 2
    threshold, before = -500.0, 0.0
    while abs(threshold - before) > 1:
        before, air = threshold, centres < threshold
        means = [np.average(centres[part], weights=counts[part] + 1e-9) for part in (air, ~air)]
        threshold = float(np.mean(means))
    return threshold


def _air_in_body(air: Mask) -> Mask:
    """Leaves out, slice by slice, the air that reaches the border of the slice."""
    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(air, in_plane)
    keep = np.ones(count + 1, bool)
    keep[0] = False
    for border in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        keep[np.unique(border)] = False
    return np.asarray(keep[labels])


def _airways(hu: NDArray[Any], inner: Mask, spacing: Spacing) -> Mask:
    """Grows trachea and main bronchi from a place in the trachea; empty where there is no trachea."""
    airways = np.zeros(hu.shape, bool)
    seed = _trachea_seed(hu, inner, spacing)
    if seed is None:
        return airways
    reach = [round(mm / size) for mm, size in zip((250.0, 90.0, 100.0), spacing, strict=True)]
    window = tuple(slice(max(0, at - span), at + span + 1) for at, span in zip(seed, reach, strict=True))
    local = tuple(at - part.start for at, part in zip(seed, window, strict=True))
    smooth = ndimage.gaussian_filter(hu[window].astype(np.float32), (0, 1, 1))  # noise, not shape
    voxel_ml, previous = float(np.prod(spacing)) / 1000, 0.0
    for threshold in AIRWAY_THRESHOLDS_HU:
        labels, _ = ndimage.label((smooth < threshold) & inner[window])
        if labels[local] == 0:
            continue
        grown = labels == labels[local]
        ml = np.count_nonzero(grown) * voxel_ml
        if ml > AIRWAY_ML[1] or (previous > AIRWAY_ML[0] and ml > 1.5 * previous + 5):
            break
        airways[window], previous = grown, ml
    return airways


def _trachea_seed(hu: NDArray[Any], inner: Mask, spacing: Spacing) -> tuple[int, int, int] | None:
    """Finds the highest place in an air space that is as wide, round and empty as the trachea is."""
    deep = max(1, round(TRACHEA_MM / spacing[0]))
    for k in range(inner.shape[0] - 1, inner.shape[0] // 3 + deep, -1):
        places = [(at, away) for at, away in _round_spaces(hu[k], inner[k], spacing) if away < 80]
        for (row, column), _ in sorted(places, key=lambda place: place[1]):
            if inner[k - deep : k, row, column].all():
                return k, row, column
    return None


def _round_spaces(
    plane: NDArray[Any], inner: Mask, spacing: Spacing
) -> Iterator[tuple[tuple[int, int], float]]:
    """Yields the middle of each round air space in a slice, and its mm from the slice's middle."""
    labels, _ = ndimage.label(inner)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == number
        area = part.sum() * spacing[1] * spacing[2]
        height, width = part.shape[0] * spacing[1], part.shape[1] * spacing[2]
        if not TRACHEA_MM2[0] < area < TRACHEA_MM2[1] or max(height, width) > 2.2 * min(height, width):
            continue
        if np.median(plane[box][part]) > TRACHEA_HU:
            continue
        depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(np.argmax(depth)), part.shape)
        at = int(row) + box[0].start, int(column) + box[1].start
        away = (np.asarray(at) - np.asarray(inner.shape) / 2) * spacing[1:]
        yield at, float(np.linalg.norm(away))


def _large_spaces(air: Mask, hu: NDArray[Any], spacing: Spacing) -> NDArray[np.int32] | None:
    """Labels the one or two largest air spaces that can be lung, 1 and 2; None where there is none."""
    labels, _ = ndimage.label(air)
    ml = np.bincount(labels.ravel()) * float(np.prod(spacing)) / 1000
    ml[0] = 0
    few = np.s_[::2, :, ::4]  # enough to tell, and an eighth of the memory
    walled, lungs = _walled(hu[few], spacing), []
    for number in (int(n) for n in np.argsort(ml)[::-1][:6] if ml[n] >= SMALLEST_ML):
        space = labels[few] == number
        if space.any() and np.median(hu[few][space]) > GAS_HU and np.mean(walled[space]) > 0.5:
            lungs.append(number)
    if not lungs:
        return None
    if len(lungs) > 1 and ml[lungs[1]] < 0.1 * ml[lungs[0]]:
        lungs = lungs[:1]
    table = np.zeros(len(ml), np.int32)
    table[lungs[:2]] = range(1, len(lungs[:2]) + 1)
    return np.asarray(table[labels])


def _walled(hu: NDArray[Any], spacing: Spacing) -> Mask:
    """Marks what has tissue as thick as a chest wall before and behind it: not the hollow of a table."""
    tissue = (hu > TISSUE_HU).astype(np.uint16)
    before = np.cumsum(tissue, axis=1, dtype=np.uint16)
    behind = before[:, -1:] - before
    return np.asarray(np.minimum(before, behind) >= WALL_THICKNESS_MM / spacing[1])


def _sides(spaces: NDArray[np.int32], spacing: Spacing) -> NDArray[np.uint8]:
    """Calls one space right (1) and one left (2) by where they lie in the patient; parts joined lungs."""
    middle = spaces.shape[2] / 2
    if spaces.max() == 1:
        parted = _parted(spaces > 0, spacing)
        if parted is None:
            side = 1 if ndimage.center_of_mass(spaces)[2] < middle else 2
            return (spaces * side).astype(np.uint8)
        spaces = parted
    x = [float(np.nonzero((spaces == n).any((0, 1)))[0].mean()) for n in (1, 2)]
    table = np.asarray([0, 1, 2] if x[0] < x[1] else [0, 2, 1], np.uint8)
    return np.asarray(table[spaces])


def _parted(lungs: Mask, spacing: Spacing) -> NDArray[np.int32] | None:
    """Parts lungs that touch: erodes until two large pieces remain, and gives each voxel to its own."""
    step = [max(1, round(3.0 / size)) for size in spacing]
    coarse = lungs[:: step[0], :: step[1], :: step[2]]
    size = [s * n for s, n in zip(spacing, step, strict=True)]
    depth = ndimage.distance_transform_edt(np.pad(coarse, 1), size)[1:-1, 1:-1, 1:-1]
    for radius in np.arange(2.0, 25.0, 1.5):
        labels, _ = ndimage.label(depth > radius)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        first, second = (int(n) for n in np.argsort(sizes)[::-1][:2]) if len(sizes) > 2 else (0, 0)
        if second and sizes[second] > 0.25 * sizes[first]:
            seeds = np.where(labels == first, 1, np.where(labels == second, 2, 0))
            parts: NDArray[Any] = watershed(-depth, seeds, mask=ndimage.binary_dilation(coarse, iterations=2))  # type: ignore[no-untyped-call]
            for axis, (n, count) in enumerate(zip(step, lungs.shape, strict=True)):
                parts = np.take(parts, np.minimum(np.arange(count) // n, parts.shape[axis] - 1), axis)
            return np.where(lungs, parts, 0).astype(np.int32)
    return None


def _close(
    labels: NDArray[np.uint8], airways: Mask, mm: float, spacing: Spacing, progress: Callable[[float], None]
) -> None:
    """Fills each lung's holes and closes its outline, slice by slice and in place, but for the airways."""
    margin = [int(np.ceil(mm / size)) + 1 for size in spacing[1:]]
    for n in (1, 2):
        for k, plane in enumerate(labels):
            if k % 10 == 0:
                progress(0.6 + 0.4 * (n - 1 + k / len(labels)) / 2)
            rows, columns = (np.nonzero((plane == n).any(axis))[0] for axis in (1, 0))
            if not len(rows):
                continue
            spans = zip((rows, columns), margin, strict=True)
            window = tuple(slice(max(0, s[0] - m), s[-1] + m + 1) for s, m in spans)
            part = np.pad(plane[window] == n, 1)
            wide = ndimage.distance_transform_edt(~part, spacing[1:]) <= mm
            closed = ndimage.distance_transform_edt(np.pad(wide, 1), spacing[1:])[1:-1, 1:-1] > mm
            whole = ndimage.binary_fill_holes(closed | part)[1:-1, 1:-1]
            plane[window][whole & (plane[window] == 0) & ~airways[k][window]] = n


def _grown(mask: Mask, mm: float, spacing: Spacing) -> Mask:
    """Dilates a small mask by a radius."""
    if not mask.any():
        return mask
    out = np.zeros_like(mask)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    reach = [int(np.ceil(mm / size)) for size in spacing]
    window = tuple(slice(max(0, part.start - n), part.stop + n) for part, n in zip(box, reach, strict=True))
    out[window] = ndimage.distance_transform_edt(~mask[window], spacing) <= mm
    return out


def _why_partial(labels: NDArray[np.uint8]) -> str | None:
    """Says that too little of the lungs was covered, where an end slice shows half their largest section."""
    areas = np.count_nonzero(labels, axis=(1, 2))
    for end, name in ((0, "below"), (-1, "above")):
        if areas[end] > 0.5 * areas.max():
            return f"the images cover too little of the lungs: they go on {name}"
    return None


def _is_cut(labels: NDArray[np.uint8], outside: Mask) -> bool:
    """Whether lung meets, from slice to slice, air that reaches the border: no chest wall between."""
    lung = labels > 0
    contact = np.count_nonzero(lung[1:] & outside[:-1]) + np.count_nonzero(lung[:-1] & outside[1:])
    return bool(contact > 0.002 * np.count_nonzero(lung))


def _shape_doubts(found: Lungs) -> Iterator[str]:
    labels = found.labels
    if found.cut:
        yield "the field of view cuts the lungs at their side"
    if labels[0].any() or labels[-1].any():
        yield "the images end within the lungs"
    present = [n for n in (1, 2) if (labels == n).any()]
    if len(present) == 1:
        yield f"only the {('right', 'left')[present[0] - 1]} lung was found"
    if found.air_hu is None:
        yield "the trachea was not found, and the lungs may hold airways"


def _density_doubts(header: Mapping[str, Any], found: Lungs) -> Iterator[str]:
    """What makes lung density depend on more than the lung (QIBA profile "CT Lung Density")."""
    if header.get("ContrastBolusAgent") or "IV" in str(header.get("ContrastBolusRoute") or "").upper():
        yield "contrast agent was given, which makes lung denser"
    kernels = header.get("ConvolutionKernel") or ""
    kernel = str(kernels[0] if isinstance(kernels, list) else kernels).upper()
    if SHARP_KERNEL.search(kernel):
        yield f"the kernel {kernel} is sharp, and its noise counts as emphysema"
    thickness = header.get("SliceThickness")
    if isinstance(thickness, int | float) and thickness > THICKEST_MM:
        yield f"slices are {thickness:g} mm thick, which hides small areas of low density"
    if found.air_hu is not None and abs(found.air_hu + 1000) > AIR_TOLERANCE_HU:
        yield f"air in the trachea measures {found.air_hu:.0f} HU in place of about -1000"


def _measurements(
    hu: NDArray[Any],
    labels: NDArray[np.uint8],
    voxel_ml: float,
    shape_doubt: str | None,
    density_doubt: str | None,
) -> Iterator[Measurement]:
    for number, segment in enumerate(SEGMENTS, start=1):
        values = hu[labels == number]
        if not values.size:
            continue
        name = segment.label
        low, perc15 = 100 * float((values < -950).mean()), float(np.percentile(values, 15))
        yield Measurement(VOLUME, values.size * voxel_ml, ML, name, doubt=shape_doubt, digits=0)
        yield Measurement(ATTENUATION, float(values.mean()), HU, name, MEAN, density_doubt, digits=0)
        yield Measurement(LOW_ATTENUATION, low, PERCENT, name, doubt=density_doubt)
        yield Measurement(PERCENTILE_15, perc15, HU, name, doubt=density_doubt, digits=0)
    total = np.count_nonzero(labels) * voxel_ml
    yield Measurement(TOTAL_VOLUME, total, ML, doubt=shape_doubt, digits=0)


def _anatomical_axes(grid: Grid) -> tuple[list[int], list[bool]]:
    """Which array axis runs nearest to z, y and x of LPS, and which of them run against it."""
    directions = grid.directions
    order = [int(np.argmax(np.abs(directions[row]))) for row in (2, 1, 0)]
    flips = [bool(directions[row, axis] < 0) for row, axis in zip((2, 1, 0), order, strict=True)]
    return order, flips


def _turned(array: NDArray[Any], order: list[int], flips: list[bool]) -> NDArray[Any]:
    """A view whose axes run to the head, to the back and to the left."""
    return np.transpose(array, order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]


def _turned_back(array: NDArray[Any], order: list[int], flips: list[bool]) -> NDArray[Any]:
    """The inverse of `_turned`."""
    flipped = array[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return np.transpose(flipped, np.argsort(order))
