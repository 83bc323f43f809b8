"""Between the node's volumes and MONAI's tensors: channels, affines, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_node.pipeline import Case, Grid, ModelFailed

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM's x and y run to the left and the back, NIfTI's and MONAI's to the right and the front."""


def tensor_of(case: Case, roles: tuple[str, ...]) -> Any:
    """The volumes of some roles as one MetaTensor (c, i, j, k) with an affine to RAS, as MONAI reads them."""
    import torch
    from monai.data.meta_tensor import MetaTensor

    array = torch.from_numpy(channels_of(case, roles))
    affine = torch.from_numpy(ras_affine(case.inputs[roles[0]].volume.grid))
    return MetaTensor(array, affine=affine, meta={"original_channel_dim": 0})


def channels_of(case: Case, roles: tuple[str, ...]) -> NDArray[np.float32]:
    """The volumes of some roles as (c, i, j, k). Raises ModelFailed where they don't lie on the same grid."""
    first = case.inputs[roles[0]].volume
    channels = []
    for role in roles:
        volume = case.inputs[role].volume
        same = volume.grid.shape == first.grid.shape and np.allclose(
            volume.grid.affine, first.grid.affine, atol=1e-2
        )
        if not same:
            raise ModelFailed(f"the inputs {roles[0]!r} and {role!r} don't lie on the same grid")
        channels.append(volume.array.transpose(2, 1, 0))
    return np.stack(channels).astype(np.float32)


def ras_affine(grid: Grid) -> NDArray[np.float64]:
    """4x4 affine that maps (i, j, k, 1) to RAS millimetres, as NIfTI states it."""
    return np.asarray(LPS_TO_RAS @ grid.affine[:, [2, 1, 0, 3]])


def on_input_grid(result: Any, prepared: Any, given: Any, before: Any, keys: tuple[str, str]) -> Any:
    """Brings a prediction back to the input's grid, unless the bundle's own postprocessing did so."""
    import torch
    from monai.transforms.post.dictionary import Invertd

    same = result.shape[1:] == given.shape[1:] and torch.allclose(
        result.affine.to(given.affine), given.affine, atol=1e-3
    )
    if same:
        return result
    image, prediction = keys
    invert = Invertd(prediction, before, orig_keys=image, nearest_interp=True, to_tensor=True)
    return invert({**prepared, prediction: result})[prediction]
