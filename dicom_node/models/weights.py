"""Weights from files: safetensors as they are, pickles only where the site allows them, and never code."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import scalar as _scalar

from dicom_node.errors import ModelUnavailable

NESTED = ("model", "state_dict", "network_weights", "net")
"""Keys under which checkpoints keep the network's weights beside an optimizer's and the like."""
NOTES = ("trainer_name", "init_args", "inference_allowed_mirroring_axes")
"""What nnU-Net keeps beside the weights, and needs; the metadata of a converted file keep it as JSON."""


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


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        weights: tensors by parameter name, on the CPU.
        notes: what its framework says of the model beside them, as plain values; of nnU-Net alone.
    """

    weights: Mapping[str, Any]
    notes: Mapping[str, Any]


def load_weights(path: Path, *, allow_pickle: bool = False) -> Mapping[str, Any]:
    """Loads a state dict onto the CPU: tensors by parameter name. See `load_checkpoint`."""
    return load_checkpoint(path, allow_pickle=allow_pickle).weights


def load_checkpoint(path: Path, *, allow_pickle: bool = False) -> Checkpoint:
    """Loads the tensors of a file of weights onto the CPU, and what stands beside them.

    Args:
        path: a .safetensors file, or a PyTorch checkpoint, of which tensors and plain values alone are read.
        allow_pickle: whether a checkpoint in the pickle format may be read; no code in it is run.

    Raises ModelUnavailable where the file is refused, damaged, or holds more than tensors.
    """
    check_weights(path, allow_pickle=allow_pickle)
    try:
        return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelUnavailable(f"the weights {path.name} can't be read: {type(error).__name__}") from error


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            stated: Mapping[str, str] = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no dict
    except SafetensorError as error:
        raise ModelUnavailable(f"the weights {path.name} can't be read: SafetensorError") from error
    return Checkpoint(weights, {key: json.loads(stated[key]) for key in NOTES if key in stated})


def _read_pickle(path: Path) -> Checkpoint:
    import torch

    # nnU-Net keeps its scores as NumPy's numbers; the rest of what a pickle can name stays refused.
    numbers: list[Any] = [(_scalar, "numpy.core.multiarray.scalar"), _scalar, np.dtype]
    numbers += [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")]
    with torch.serialization.safe_globals(numbers):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    held = loaded if isinstance(loaded, Mapping) else {}
    notes = {key: json.loads(json.dumps(held[key], default=str)) for key in NOTES if key in held}
    return Checkpoint(state_dict_of(loaded, path), notes)


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
