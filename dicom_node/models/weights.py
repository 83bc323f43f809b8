"""Weights from files: safetensors as they are, pickles only where the site allows them, and never code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dicom_node.errors import ModelUnavailable

NESTED = ("model", "state_dict", "network_weights", "net")
"""Keys under which checkpoints keep the network's weights beside an optimizer's and the like."""


def find_weights(folder: Path, name: str) -> Path:
    """The weights of a name ("models/model"), whatever their ending; safetensors first.

    Raises ModelUnavailable where there are none.
    """
    for ending in (".safetensors", ".pt", ".pth"):
        if (path := folder / f"{name}{ending}").is_file():
            return path
    raise ModelUnavailable(f"the model {folder.name!r} holds no {name}.safetensors, .pt or .pth")


def check_weights(path: Path, *, allow_pickle: bool) -> None:
    """Raises ModelUnavailable where the file is missing, or is a pickle that the site does not allow."""
    if not path.is_file():
        raise ModelUnavailable(f"there is no file {path.name} in {path.parent.name}")
    if path.suffix != ".safetensors" and not allow_pickle:
        raise ModelUnavailable(
            f"{path.name} of the model {path.parent.name!r} is a pickle, and pickles are refused; convert it "
            f"with `dicom-node models pull --convert`, or set `allow_pickle: true` in the pipeline's options"
        )


def load_weights(path: Path, *, allow_pickle: bool = False) -> Mapping[str, Any]:
    """Loads a state dict onto the CPU: tensors by parameter name.

    Args:
        path: a .safetensors file, or a PyTorch checkpoint, of which tensors alone are loaded.
        allow_pickle: whether a checkpoint in the pickle format may be read; no code in it is run.

    Raises ModelUnavailable where the file is refused, damaged, or holds more than tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_weights(path, allow_pickle=allow_pickle)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ModelUnavailable(f"the weights {path.name} can't be read: {type(error).__name__}") from error
    return state_dict_of(loaded, path)


def state_dict_of(loaded: object, path: Path) -> Mapping[str, Any]:
    """The network's weights out of a checkpoint. Raises ModelUnavailable where it holds none."""
    import torch

    if isinstance(loaded, Mapping):
        for key in NESTED:
            if isinstance(loaded.get(key), Mapping):
                return state_dict_of(loaded[key], path)
        if loaded and all(isinstance(value, torch.Tensor) for value in loaded.values()):
            return loaded
    raise ModelUnavailable(f"the weights {path.name} hold no state dict")
