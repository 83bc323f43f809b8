"""Any MONAI bundle that segments, from a local folder: its own inference configuration, fed from memory.

    pipelines:
      brain_structures:
        use: pipelines.monai_bundle:MonaiBundle
        options: {model: brain_structures, allow_pickle: true}

The bundle's preprocessing, network, inferer and postprocessing run as its authors wrote them; only the
transforms that read and write files are left out. A bundle's configuration is code (MONAI evaluates its
expressions), so use bundles that you trust, pinned in the model store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import (
    Algorithm,
    Case,
    Finding,
    ModelFailed,
    ModelUnavailable,
    Options,
    Pipeline,
    Requirements,
    check_weights,
    find_folder,
    find_weights,
    load_weights,
    model_folder,
    model_revision,
    shared,
    tuned,
)
from pipelines.masks import Masks, masks_of
from pipelines.monai_space import on_input_grid, tensor_of
from pipelines.structures import StructureOptions, Structures, spreads_of

CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
FILE_TRANSFORMS = ("LoadImage", "SaveImage", "EnsureChannelFirst", "AsChannelFirst", "AddChannel")
"""Left out: the volume comes from memory, and with its channel first."""


class BundleOptions(Options):
    """Which bundle, and what a site says about it."""

    model: str
    """A folder, or a name in the model store."""
    revision: str | None = None
    allow_pickle: bool = False
    """Whether weights in a .pt file may be read (tensors alone, no code)."""
    weights: str = "models/model"
    """Below the bundle's folder, without its ending."""
    title: str | None = None
    requires: Requirements | None = None
    """None: the modality that the bundle's metadata states."""
    inputs: dict[str, tuple[str, ...]] = Field(default={"image": ("image",)}, min_length=1)
    """Which roles' volumes, as channels, make each input of the bundle."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the network alone (autocast); `dicom-node models compare` tells whether the result is the same."""
    channels_last: bool = False
    compiled: bool = False
    """Its network in another memory layout, and by torch.compile: faster on some devices, with the result
    that it had, within what `dicom-node models compare` tells."""
    contrasts: tuple[float, ...] = ()
    """Factors such as 0.95 and 1.05: the network runs again on the image so changed, and the volumes'
    standard deviation over the runs is measured."""
    structures: dict[str, StructureOptions] = Field(default_factory=dict)
    """By the bundle's own name of the channel."""


class MonaiBundle(Pipeline):
    """One bundle: its segments, and the volume of each."""

    name, version, title = "monai_bundle", "0", "MONAI bundle"
    """Of the class; an instance has its bundle's own."""
    options_type = BundleOptions
    options: BundleOptions

    def __init__(self, options: BundleOptions) -> None:
        super().__init__(options)
        self.roles = tuple(role for roles in options.inputs.values() for role in roles)
        self.name = Path(options.model).name
        self._metadata = _metadata(options.model)
        # Other weights are another version, whatever the metadata say.
        self.version = f"{self._metadata.get('version', '0')}+{model_revision(options.model)}"
        self.title = options.title or str(self._metadata.get("name") or self.name).replace("_", " ")
        stated = str(_data_format(self._metadata, "inputs").get("modality") or "").upper()
        self.requires = options.requires or Requirements(modality=(stated,) if stated in ("CT", "MR") else ())

    @property
    def algorithm(self) -> Algorithm:
        """The bundle's name, version and authors, with the options of the run."""
        source = self._metadata.get("authors") or self._metadata.get("copyright")
        return Algorithm(
            name=self.name,
            version=self.version,
            parameters=super().algorithm.parameters,
            source=str(source) if source else None,
        )

    def check(self) -> None:
        """Verifies the bundle's files. Raises ModelUnavailable."""
        folder = model_folder(self.options.model, self.options.revision)
        _config_file(folder)
        check_weights(find_weights(folder, self.options.weights), allow_pickle=self.options.allow_pickle)
        if not self._channels():
            raise ModelUnavailable(f"the metadata of {self.name!r} names no output channels (channel_def)")

    def load(self, device: str) -> None:
        """Reads the bundle's configuration and loads its network onto a device."""
        self.check()
        import torch

        folder = model_folder(self.options.model, self.options.revision)
        parser = _parser(folder, device)
        self._before = parser.get_parsed_content("preprocessing")
        self._after = parser.get_parsed_content("postprocessing")
        self._inferer = parser.get_parsed_content("inferer")
        self._device = torch.device(device)
        weights = find_weights(folder, self.options.weights)

        def network() -> Any:
            made = parser.get_parsed_content("network" if "network" in parser else "network_def")
            try:
                made.load_state_dict(load_weights(weights, allow_pickle=self.options.allow_pickle))
            except RuntimeError as error:
                raise ModelUnavailable(f"the weights of {self.name!r} don't fit its network") from error
            return made.to(self._device).eval()

        layout = self.options.channels_last
        self._network = shared((weights.resolve(), device, layout), network)
        self._tuned = tuned(self._network, channels_last=layout, compiled=self.options.compiled)

    def shrink(self) -> bool:
        """Takes fewer sliding windows at once, then gathers the result on the CPU: neither changes it."""
        if getattr(self._inferer, "sw_batch_size", 1) > 1:
            self._inferer.sw_batch_size = 1
            return True
        if hasattr(self._inferer, "sw_device") and str(getattr(self._inferer, "device", "")) != "cpu":
            self._inferer.sw_device, self._inferer.device = self._device, "cpu"
            return True
        return False

    def run(self, case: Case) -> Iterable[Finding]:
        """Runs the bundle on the case; its structures on the grid of the first role, and their volumes."""
        grid = case.inputs[self.roles[0]].volume.grid
        channels = self._channels()
        runs = [self._masks(result) for result in self._infer(case)]
        case.progress(0.9)
        spreads, site = spreads_of(runs, grid), self.options.structures
        structures = Structures(channels, site, self.roles[0], self.title, grid, spreads)
        yield from structures.findings(runs[0])

    def _masks(self, result: NDArray[Any]) -> Masks:
        """Bool masks by channel of one (c, k, j, i) result."""
        channels = self._channels()
        masks = masks_of(result, list(channels))
        if masks is None:
            raise ModelFailed(f"the bundle gave {result.shape[0]} channels, its metadata names {channels}")
        return masks

    def _infer(self, case: Case) -> Iterable[NDArray[Any]]:
        """Yields the postprocessed prediction on the input's grid, (c, k, j, i): as it is, then perturbed."""
        import torch

        image, prediction = self._keys()
        given = {key: tensor_of(case, roles) for key, roles in self.options.inputs.items()}
        with torch.no_grad():
            prepared = self._before(given)
            batch = prepared[image][None].to(self._device)
            for number, factor in enumerate((1.0, *self.options.contrasts)):
                case.progress(0.1 + 0.8 * number / (1 + len(self.options.contrasts)))
                found = self._network_on(batch * factor if factor != 1 else batch)
                made = type(prepared[image])(found, meta=deepcopy(prepared[image].meta))
                result = self._after({**prepared, prediction: made})[prediction]
                result = on_input_grid(result, prepared, given[image], self._before, (image, prediction))
                yield np.asarray(result.cpu()).transpose(0, 3, 2, 1)

    def _network_on(self, batch: Any) -> Any:
        """The network's output (c, *space) for a batch of one, in float32 whatever the precision."""
        import torch

        reduced = self.options.precision != "float32"
        dtype = getattr(torch, self.options.precision) if reduced else torch.bfloat16
        with torch.autocast(self._device.type, dtype=dtype, enabled=reduced):
            return self._inferer(batch, self._tuned)[0].float()

    def _keys(self) -> tuple[str, str]:
        """The bundle's own keys of the image and of the prediction."""
        formats = self._metadata.get("network_data_format", {})
        prediction = next(iter(formats.get("outputs", {})), "pred")
        return next(iter(self.options.inputs)), prediction

    def _channels(self) -> dict[int, str]:
        """The output's channels or label values by number, the background left out."""
        stated = _data_format(self._metadata, "outputs").get("channel_def", {})
        named = {int(number): str(name) for number, name in stated.items()}
        return {number: name for number, name in sorted(named.items()) if name.lower() != "background"}


def _metadata(model: str) -> dict[str, Any]:
    """The bundle's metadata, or an empty dict where there is none yet: `check` says so."""
    try:
        file = find_folder(model) / "configs" / "metadata.json"
        found = json.loads(file.read_text())
    except (ModelUnavailable, OSError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _data_format(metadata: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    """The first of the metadata's declared inputs or outputs."""
    formats: Mapping[str, Mapping[str, Any]] = metadata.get("network_data_format", {}).get(side, {})
    return next(iter(formats.values()), {})


def _config_file(folder: Path) -> Path:
    for name in CONFIGS:
        if (file := folder / "configs" / name).is_file():
            return file
    raise ModelUnavailable(f"the bundle {folder.name!r} holds none of configs/{', configs/'.join(CONFIGS)}")


def _parser(folder: Path, device: str) -> Any:
    """MONAI's parser on the bundle's inference configuration, without the transforms that touch files."""
    try:
        from monai.bundle.config_parser import ConfigParser
    except ImportError as error:
        raise ModelUnavailable("MONAI bundles need the package monai; install dicom-node[models]") from error
    parser = ConfigParser()
    parser.read_config(str(_config_file(folder)))
    parser.read_meta(str(folder / "configs" / "metadata.json"))
    parser["bundle_root"] = str(folder)
    parser["device"] = f"$torch.device({device!r})"
    for part in ("preprocessing", "postprocessing"):
        if part not in parser:
            raise ModelUnavailable(f"the bundle {folder.name!r} declares no {part}")
        parser[part] = _without_files(parser[part])
    return parser


def _without_files(part: Any) -> Any:
    """A configuration without its file transforms."""
    if isinstance(part, list):
        return [_without_files(item) for item in part if not _is_file_transform(item)]
    if isinstance(part, dict):
        return {key: _without_files(value) for key, value in part.items()}
    return part


def _is_file_transform(item: Any) -> bool:
    name = str(item.get("_target_", "")).split(".")[-1] if isinstance(item, dict) else ""
    return name.removesuffix("Dict").rstrip("dD") in FILE_TRANSFORMS
