"""A folder that nnU-Net v2 wrote while it trained: what it declares, and its predictor.

nnU-Net itself reads checkpoints with `torch.load(weights_only=False)`, which runs whatever code they hold.
Here their tensors alone are read, and handed to nnU-Net's predictor.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dicom_node.pipeline import ModelUnavailable, check_weights, find_weights, load_checkpoint, shared

ARCHITECTURES = "dynamic_network_architectures."
"""nnU-Net's own package of networks; a network from elsewhere would be code that the model brings."""
REORIENTS = "NibabelIOWithReorient"
"""nnU-Net's reader that turns every image to RAS; the others take images as they lie in their files."""
NOT_INSTALLED = "nnU-Net models need the package nnunetv2; install dicom-node[nnunet]"


@dataclass(frozen=True)
class How:
    """How a predictor goes over an image.

    Attributes:
        step: how far the window moves, as a part of its size.
        mirroring: whether to average over mirrored images, along the axes that training allowed.
    """

    step: float
    mirroring: bool


@dataclass(frozen=True)
class TrainedFolder:
    """One folder with plans.json, dataset.json and fold_*.

    Attributes:
        checkpoint: the checkpoints' name without its ending.
        wanted: the folds by name ("0", "all"); empty: all numbered ones, or else "all".
    """

    path: Path
    checkpoint: str
    wanted: tuple[str, ...]
    allow_pickle: bool

    def check(self, inputs: int) -> None:
        """Raises ModelUnavailable where package or files lack, or the model needs other inputs."""
        if importlib.util.find_spec("nnunetv2") is None:
            raise ModelUnavailable(NOT_INSTALLED)
        for file in self._checkpoints:
            check_weights(file, allow_pickle=self.allow_pickle)
        if not self.structures:
            raise ModelUnavailable(f"dataset.json of {self.path.name!r} names no structures")
        if len(self.channels) != inputs:
            raise ModelUnavailable(
                f"the model {self.path.name!r} takes {len(self.channels)} images "
                f"({', '.join(self.channels)}), the options' inputs name {inputs}"
            )

    @property
    def channels(self) -> tuple[str, ...]:
        """The input images by name, such as ("CT",)."""
        named = self._dataset.get("channel_names") or self._dataset.get("modality") or {}
        return tuple(str(name) for name in named.values())

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """The labels that make each structure; several where it is a region (BraTS' whole tumour)."""
        named = self._dataset.get("labels", {})
        if "0" in named:  # the first nnU-Net's order
            named = {name: int(number) for number, name in named.items()}
        made = {
            str(name): tuple(labels) if isinstance(labels, list) else (int(labels),)
            for name, labels in named.items()
        }
        return {name: labels for name, labels in made.items() if name != "ignore" and labels != (0,)}

    @property
    def orientation(self) -> str | None:
        """How the model's images lie, where nnU-Net itself turns them; else None."""
        return "RAS" if self._plans.get("image_reader_writer") == REORIENTS else None

    @property
    def dataset(self) -> str:
        """The name of the data set that it was trained on."""
        return str(self._plans.get("dataset_name") or self.path.parent.name)

    def predictor(self, device: str, how: How) -> Any:
        """nnU-Net's predictor on a device, shared between pipelines. Raises ModelUnavailable."""
        key = ("nnU-Net", self.path.resolve(), self.checkpoint, self.wanted, device, how)
        # nnU-Net prints what it does.
        with redirect_stdout(io.StringIO()):
            return shared(key, lambda: self._made(device, how))

    def _made(self, device: str, how: How) -> Any:
        import torch

        # Read when the package is imported: else it takes eight threads, whatever the node gives a worker.
        os.environ.setdefault("nnUNet_def_n_proc", str(torch.get_num_threads()))
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        loaded = [load_checkpoint(file, allow_pickle=self.allow_pickle) for file in self._checkpoints]
        notes = loaded[0].notes
        plans = PlansManager(self._plans)
        configuration = plans.get_configuration(self._configuration(notes))
        predictor = nnUNetPredictor(
            how.step, True, how.mirroring, device=torch.device(device), allow_tqdm=False
        )
        axes = notes.get("inference_allowed_mirroring_axes")
        predictor.manual_initialization(
            self._network(plans, configuration, loaded[0].weights),
            plans,
            configuration,
            [each.weights for each in loaded],
            self._dataset,
            str(notes.get("trainer_name")),
            tuple(axes) if axes is not None else None,
        )
        return predictor

    def _configuration(self, notes: Mapping[str, Any]) -> str:
        name = notes.get("init_args", {}).get("configuration")
        described = self._plans.get("configurations", {}).get(name)
        if described is None:
            raise ModelUnavailable(
                f"the checkpoint of {self.path.name!r} names no configuration of its plans"
            )
        if described.get("previous_stage") is not None:
            raise ModelUnavailable(
                f"{self.path.name!r} is a cascade's second stage; a single stage is needed"
            )
        return str(name)

    def _network(self, plans: Any, configuration: Any, weights: Mapping[str, Any]) -> Any:
        """The network that the plans describe, with weights that fit it."""
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
        from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels

        kind = configuration.network_arch_class_name
        if not kind.startswith(ARCHITECTURES):
            raise ModelUnavailable(
                f"the plans of {self.path.name!r} name a network {kind}, not nnU-Net's own"
            )
        network = get_network_from_plans(
            kind,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            determine_num_input_channels(plans, configuration, self._dataset),
            plans.get_label_manager(self._dataset).num_segmentation_heads,
            deep_supervision=False,
        )
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelUnavailable(f"the weights of {self.path.name!r} don't fit its plans") from error
        return network

    @property
    def _checkpoints(self) -> list[Path]:
        """The checkpoint of every fold."""
        there = sorted(each.name.removeprefix("fold_") for each in self.path.glob("fold_*"))
        chosen = self.wanted or tuple(fold for fold in there if fold != "all") or tuple(there)
        if not chosen:
            raise ModelUnavailable(f"the model {self.path.name!r} holds no fold_*")
        return [find_weights(self.path, f"fold_{fold}/{self.checkpoint}") for fold in chosen]

    @cached_property
    def _dataset(self) -> dict[str, Any]:
        return self._described("dataset.json")

    @cached_property
    def _plans(self) -> dict[str, Any]:
        return self._described("plans.json")

    def _described(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self.path / name).read_text())
        except (OSError, ValueError) as error:
            raise ModelUnavailable(f"{name} of {self.path.name!r} can't be read") from error
        if not isinstance(found, dict):
            raise ModelUnavailable(f"{name} of {self.path.name!r} describes nothing")
        return found
