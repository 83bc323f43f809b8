"""Small MONAI bundles that the tests make themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

PREPROCESSING: list[dict[str, Any]] = [
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "EnsureChannelFirstd", "keys": "image"},
    {"_target_": "Orientationd", "keys": "image", "axcodes": "LIA", "labels": None},
    {"_target_": "Spacingd", "keys": "image", "pixdim": [2.0, 2.0, 2.0], "mode": "bilinear"},
    {
        "_target_": "CropForegroundd",
        "keys": "image",
        "source_key": "image",
        "margin": 2,
        "allow_smaller": True,
    },
    {
        "_target_": "ScaleIntensityRanged",
        "keys": "image",
        "a_min": 0,
        "a_max": 1000,
        "b_min": 0.0,
        "b_max": 1.0,
    },
]
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
INVERT = {
    "_target_": "Invertd",
    "keys": "pred",
    "transform": "@preprocessing",
    "orig_keys": "image",
    "nearest_interp": True,
}
SAVE = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "print_log": False}
CHANNELS = ("background", "brain", "tumor", "cyst")
LEVELS = (0.0, 0.5, 0.9, 0.1)
"""The scaled intensity that each channel stands for."""


def network(inputs: int, bias: float = 0.0) -> torch.nn.Module:
    """A network that gives each channel the nearness of the (mean) intensity to its level."""
    made = torch.nn.Sequential(torch.nn.Conv3d(inputs, len(LEVELS), 1))
    for number, level in enumerate(LEVELS):
        # The largest of 2 a x - a^2 over the levels a is that of the level nearest to x.
        torch.nn.init.constant_(made[0].weight[number], 2 * level / inputs)
        torch.nn.init.constant_(made[0].bias[number], -(level**2) + bias)
    return made


def write_bundle(
    folder: Path,
    *,
    postprocessing: list[dict[str, Any]] | None = None,
    inputs: int = 1,
    bias: float = 0.0,
    modality: str = "MR",
) -> Path:
    """Writes a bundle that labels intensities; its weights are a .pt file, as most bundles' are."""
    steps = [ARGMAX, INVERT, SAVE] if postprocessing is None else postprocessing
    config = {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "cpu",
        "network_def": f"$torch.nn.Sequential(torch.nn.Conv3d({inputs}, {len(CHANNELS)}, 1))",
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": PREPROCESSING},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "sw_batch_size": 4},
        "postprocessing": {"_target_": "Compose", "transforms": steps},
    }
    metadata = {
        "version": "0.3.1",
        "name": "Lumps",
        "authors": "the tests",
        "network_data_format": {
            "inputs": {"image": {"type": "image", "modality": modality, "num_channels": inputs}},
            "outputs": {"pred": {"type": "image", "channel_def": dict(enumerate(CHANNELS))}},
        },
    }
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.save(network(inputs, bias).state_dict(), folder / "models" / "model.pt")
    return folder
