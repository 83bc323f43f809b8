"""Small nnU-Net result folders that the tests make themselves, as nnU-Net's trainer writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

LEVELS = {"background": 0.0, "brain": 500.0, "tumor": 900.0, "cyst": 100.0}
"""The intensity that each label stands for."""
ARCHITECTURE: dict[str, Any] = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 2,
        "features_per_stage": [1, 1],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[1, 1, 1], [1, 1, 1]],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": None,
        "norm_op_kwargs": {},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": None,
        "nonlin_kwargs": None,
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
RESAMPLING = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}


def plans(spacing: Sequence[float], reader: str, name: str) -> dict[str, Any]:
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [16, 16, 16],
        "median_image_size_in_voxels": [30, 36, 40],
        "spacing": list(spacing),
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": RESAMPLING,
        "resampling_fn_seg_kwargs": RESAMPLING | {"is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": RESAMPLING | {"order": 1},
        "batch_dice": False,
        "architecture": ARCHITECTURE,
    }
    intensities = {"mean": 0.0, "std": 1000.0, "percentile_00_5": 0.0, "percentile_99_5": 1000.0}
    return {
        "dataset_name": name,
        "plans_name": "nnUNetPlans",
        "transpose_forward": [1, 0, 2],
        "transpose_backward": [1, 0, 2],
        "image_reader_writer": reader,
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": intensities},
        "configurations": {"3d_fullres": configuration},
    }


def weights(shift: float = 0.0) -> dict[str, torch.Tensor]:
    """A U-Net that passes the image through and gives each label the nearness to its level."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    network = get_network_from_plans(
        ARCHITECTURE["network_class_name"],
        ARCHITECTURE["arch_kwargs"],
        ARCHITECTURE["_kw_requires_import"],
        1,
        len(LEVELS),
        deep_supervision=False,
    )
    state = {key: torch.zeros_like(tensor) for key, tensor in network.state_dict().items()}
    for key, tensor in state.items():
        if "stages" in key and key.endswith("weight"):
            tensor[:, -1] = 1  # after the joining, the skipped way stands last
        if "seg_layers" in key:
            levels = torch.tensor(list(LEVELS.values())) / 1000 + shift
            # The largest of 2 a x - a^2 over the levels a is that of the level nearest to x.
            value = 2 * levels if key.endswith("weight") else -(levels**2)
            tensor.copy_(100 * value.reshape(tensor.shape))
    return state


def write_folder(
    folder: Path,
    *,
    spacing: Sequence[float] = (2.0, 2.0, 2.0),
    reader: str = "NibabelIOWithReorient",
    labels: dict[str, Any] | None = None,
    channel: str = "MRI",
    shifts: Sequence[float] = (0.0,),
    name: str = "Dataset901_Lumps",
) -> Path:
    """Writes plans, data set and one checkpoint a fold; returns the folder that holds them."""
    trained = folder / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    trained.mkdir(parents=True)
    described: dict[str, Any] = {
        "channel_names": {"0": channel},
        "labels": labels or {label: number for number, label in enumerate(LEVELS)},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    if any(isinstance(value, list) for value in described["labels"].values()):
        described["regions_class_order"] = [1, 2, 3]
    planned = plans(spacing, reader, name)
    (trained / "plans.json").write_text(json.dumps(planned))
    (trained / "dataset.json").write_text(json.dumps(described))
    arguments = {
        "plans": planned,
        "configuration": "3d_fullres",
        "fold": 0,
        "dataset_json": described,
        "device": torch.device("cpu"),
    }
    for fold, shift in enumerate(shifts):
        checkpoint = {
            "network_weights": weights(shift),
            "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01, "params": [0]}]},
            "grad_scaler_state": None,
            "logging": {"mean_fg_dice": [np.float64(0.9)], "train_losses": [np.float32(-0.8)]},
            "_best_ema": np.float64(0.9),
            "current_epoch": 1000,
            "init_args": arguments | {"fold": fold},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1, 2),
        }
        (trained / f"fold_{fold}").mkdir()
        torch.save(checkpoint, trained / f"fold_{fold}" / "checkpoint_final.pth")
    return trained
