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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import (
    ABSENT,
    MILLILITRE,
    VOLUME,
    Algorithm,
    Case,
    Classification,
    Code,
    Finding,
    Grid,
    Measurement,
    ModelFailed,
    ModelUnavailable,
    Options,
    Pipeline,
    Requirements,
    Segment,
    Segmentation,
    check_weights,
    find_weights,
    load_weights,
    model_folder,
    segment_for,
    shared,
)

CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
FILE_TRANSFORMS = ("LoadImage", "SaveImage", "EnsureChannelFirst", "AsChannelFirst", "AddChannel")
"""Left out: the volume comes from memory, and with its channel first."""
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI and MONAI count x to the right's opposite, DICOM to the left: the first two axes change sign."""


class StructureOptions(Options):
    """How a site names one structure where the defaults don't fit."""

    label: str | None = None
    code: tuple[str, str, str] | None = None
    """Code value, scheme designator and meaning of the property type (CID 7151 and the like)."""
    color: tuple[int, int, int] | None = None
    plausible_ml: tuple[float, float] | None = None
    """Volumes outside of this range are shown with a doubt."""


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
        self.version = str(self._metadata.get("version", "0"))
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

        self._network = shared((weights.resolve(), device), network)

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
        result = self._infer(case)
        case.progress(0.9)
        channels = self._channels()
        masks = _masks(result, list(channels))
        if masks is None:
            raise ModelFailed(f"the bundle gave {result.shape[0]} channels, its metadata names {channels}")
        yield from self._findings(masks, channels, grid)

    def _infer(self, case: Case) -> NDArray[Any]:
        """Returns the postprocessed prediction on the input's grid, (c, k, j, i)."""
        import torch

        image, prediction = self._keys()
        given = {key: _tensor(case, roles) for key, roles in self.options.inputs.items()}
        with torch.no_grad():
            prepared = self._before(given)
            case.progress(0.1)
            batch = prepared[image][None].to(self._device)
            found = self._inferer(batch, self._network)[0]
            case.progress(0.8)
            prepared[prediction] = type(prepared[image])(found, meta=deepcopy(prepared[image].meta))
            result = self._after(prepared)[prediction]
            result = _on_input_grid(result, prepared, given[image], self._before, (image, prediction))
        return np.asarray(result.cpu()).transpose(0, 3, 2, 1)

    def _findings(
        self, masks: Mapping[int, NDArray[np.bool_]], channels: Mapping[int, str], grid: Grid
    ) -> Iterable[Finding]:
        found = {number: mask for number, mask in masks.items() if mask.any()}
        segments = {number: self._segment(channels[number]) for number in masks}
        role = self.roles[0]
        if found:
            array = _stack(list(found.values()))
            yield Segmentation(array, tuple(segments[number] for number in found), role, title=self.title)
        for number, mask in masks.items():
            if number in found:
                value = float(np.count_nonzero(mask)) * grid.voxel_ml
                yield self._measured(channels[number], segments[number], value)
            else:
                yield Classification(
                    segments[number].type, ABSENT, support="no voxel was labelled", role=role
                )

    def _measured(self, channel: str, segment: Segment, value: float) -> Measurement:
        site = self.options.structures.get(channel, StructureOptions())
        doubt = None
        if site.plausible_ml is not None and not site.plausible_ml[0] <= value <= site.plausible_ml[1]:
            doubt = f"outside of the plausible {site.plausible_ml[0]:g} to {site.plausible_ml[1]:g} ml"
        return Measurement(VOLUME, value, MILLILITRE, segment.label, doubt=doubt, role=self.roles[0])

    def _segment(self, channel: str) -> Segment:
        site = self.options.structures.get(channel, StructureOptions())
        usual = segment_for(channel, site.color)
        code = Code(*site.code) if site.code else usual.type
        return Segment(site.label or usual.label, usual.category, code, usual.laterality, site.color)

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
        file = model_folder(model) / "configs" / "metadata.json"
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


def _tensor(case: Case, roles: tuple[str, ...]) -> Any:
    """The volumes of some roles as one MetaTensor (c, i, j, k) with an affine to RAS, as MONAI reads them."""
    import torch
    from monai.data.meta_tensor import MetaTensor

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
    array = torch.from_numpy(np.stack(channels).astype(np.float32))
    return MetaTensor(
        array, affine=torch.from_numpy(ras_affine(first.grid)), meta={"original_channel_dim": 0}
    )


def ras_affine(grid: Grid) -> NDArray[np.float64]:
    """4x4 affine that maps (i, j, k, 1) to RAS millimetres, as NIfTI states it."""
    return np.asarray(LPS_TO_RAS @ grid.affine[:, [2, 1, 0, 3]])


def _on_input_grid(result: Any, prepared: Any, given: Any, before: Any, keys: tuple[str, str]) -> Any:
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


def _masks(result: NDArray[Any], channels: list[int]) -> dict[int, NDArray[np.bool_]] | None:
    """Bool masks (k, j, i) by channel number, of a label map or of one layer a channel; None if neither."""
    if result.shape[0] == 1 and (len(channels) > 1 or channels[0] != 0):
        labels = np.rint(result[0])
        return {number: labels == number for number in channels}
    if result.shape[0] > max(channels):
        return {number: result[number] >= 0.5 for number in channels}
    return None


def _stack(masks: list[NDArray[np.bool_]]) -> NDArray[np.generic]:
    """One label map where no masks overlap, else one bool layer a mask."""
    stacked = np.stack(masks)
    if np.count_nonzero(stacked, axis=0).max() > 1:
        return stacked
    numbers = np.arange(1, len(masks) + 1, dtype=np.min_scalar_type(len(masks)))
    return np.asarray(np.tensordot(numbers, stacked, axes=1), dtype=numbers.dtype)
