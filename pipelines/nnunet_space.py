"""Between the node's volumes and nnU-Net's arrays: turned as its training images lay, and the labels back."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_node.pipeline import Case
from pipelines.monai_space import channels_of, ras_affine

Spacing = tuple[float, float, float]
Labels = NDArray[np.integer[Any]]


class Turned:
    """The volumes of some roles with their axes along given patient directions.

    Attributes:
        image: (c, z, y, x) float32, nnU-Net's order.
        spacing: mm along (z, y, x).
    """

    def __init__(self, case: Case, roles: tuple[str, ...], orientation: str) -> None:
        """Turns them by whole axes, so that no voxel's value changes."""
        orientations = _nibabel()
        affine = ras_affine(case.inputs[roles[0]].volume.grid)
        lies, wanted = orientations.io_orientation(affine), orientations.axcodes2ornt(orientation)
        there = orientations.ornt_transform(lies, wanted)
        self._back = orientations.ornt_transform(wanted, lies)
        channels = [orientations.apply_orientation(each, there).T for each in channels_of(case, roles)]
        self.image: NDArray[np.float32] = np.ascontiguousarray(np.stack(channels))
        sizes = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(there[:, 0])]
        self.spacing: Spacing = (float(sizes[2]), float(sizes[1]), float(sizes[0]))

    def back(self, labels: Labels) -> Labels:
        """A (z, y, x) label map as (k, j, i) of the volumes."""
        turned: Labels = _nibabel().apply_orientation(labels.T, self._back).T
        return turned


def _nibabel() -> Any:
    """Its functions on orientations, which have no types."""
    return importlib.import_module("nibabel.orientations")


def predicted(predictor: Any, turned: Turned, folds: list[int], *, resample_first: bool) -> Labels:
    """The (k, j, i) label map that some of a predictor's folds give together.

    Args:
        predictor: nnU-Net's.
        turned: the image.
        folds: by their place in the predictor's list of parameters.
        resample_first: whether the image is brought to the model's spacing before, and the labels back by
            nearest neighbours.
    """
    image, spacing = turned.image, turned.spacing
    if resample_first:
        spacing = _model_spacing(predictor, turned.spacing)
        image = resampled(turned.image, turned.spacing, spacing)
    held = predictor.list_of_parameters
    predictor.list_of_parameters = [held[fold] for fold in folds]
    try:
        found = np.asarray(predictor.predict_single_npy_array(image, {"spacing": list(spacing)}))
    finally:
        predictor.list_of_parameters = held
    if resample_first:
        found = nearest(found, turned.image.shape[1:], spacing, turned.spacing)
    return turned.back(found)


def _model_spacing(predictor: Any, own: Spacing) -> Spacing:
    """The spacing (z, y, x) that a model was trained at; a model of slices keeps the slices' distance."""
    planned = [float(mm) for mm in predictor.configuration_manager.spacing]
    forward = list(predictor.plans_manager.transpose_forward)
    if len(planned) == 2:
        planned = [own[forward[0]], *planned]
    z, y, x = (planned[place] for place in predictor.plans_manager.transpose_backward)
    return z, y, x


def resampled(image: NDArray[np.float32], spacing: Spacing, wanted: Spacing) -> NDArray[np.float32]:
    """A (c, z, y, x) image at another spacing by cubic splines, the first voxel's centre where it was."""
    from scipy import ndimage

    steps = np.asarray(wanted) / spacing
    shape = tuple(max(1, round(n / step)) for n, step in zip(image.shape[1:], steps, strict=True))
    made = [
        ndimage.affine_transform(each, steps, output_shape=shape, order=3, mode="nearest") for each in image
    ]
    return np.stack(made)


def nearest(labels: Labels, shape: tuple[int, ...], spacing: Spacing, wanted: Spacing) -> Labels:
    """A (z, y, x) label map at another spacing and shape by nearest neighbours."""
    steps = np.asarray(wanted) / spacing
    places = [
        np.clip(np.rint(np.arange(n) * step).astype(int), 0, held - 1)
        for n, step, held in zip(shape, steps, labels.shape, strict=True)
    ]
    return labels[np.ix_(*places)]
