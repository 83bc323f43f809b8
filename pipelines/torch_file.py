"""A network in one file, TorchScript, torch.export or ONNX, with a small declaration of input and output.

    pipelines:
      liver:
        use: pipelines.torch_file:TorchFile
        options:
          model: liver            # a folder, or a name in the model store
          file: liver.onnx        # .ts (TorchScript), .pt2 (torch.export) or .onnx
          input: {orientation: RAS, spacing: [1.5, 1.5, 1.5], window: [40, 400], tile: [96, 96, 96]}
          output: {kind: labels, names: {1: liver}}

The volume is turned and resampled as declared, the network runs on tiles, and the result comes back to the
input's own grid. The network takes (1, 1, x, y, z) float32 and gives (1, c, x, y, z), or (1, c) for classes.
"""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import (
    ABSENT,
    PRESENT,
    Case,
    Classification,
    Finding,
    ModelFailed,
    ModelUnavailable,
    Options,
    Pipeline,
    Requirements,
    concept_for,
    model_folder,
    model_revision,
    shared,
)
from pipelines.masks import Masks, masks_of
from pipelines.monai_space import on_input_grid, tensor_of
from pipelines.structures import StructureOptions, Structures, spreads_of

READERS = (".ts", ".pt2", ".onnx")
KEYS = ("image", "prediction")
AXES = "xyz"


class InputDeclaration(Options):
    """What the network expects."""

    orientation: str = Field(default="RAS", pattern="^[RL][AP][SI]$|^[LR][IS][AP]$")
    """The patient directions that the axes x, y and z run to."""
    spacing: tuple[float, float, float] | None = None
    """mm along x, y and z; None: as it is."""
    window: tuple[float, float] | None = None
    """(centre, width): clipped and scaled to 0..1."""
    percentiles: tuple[float, float] | None = None
    """These percentiles of the volume become 0 and 1."""
    standardize: bool = False
    """To mean 0 and standard deviation 1."""
    tile: tuple[int, int, int] | None = None
    """The network sees tiles of this size, overlapping by a quarter; None: the whole volume."""


class OutputDeclaration(Options):
    """What the network gives."""

    kind: Literal["labels", "channels", "classes"]
    """Exclusive labels (softmax), channels that may overlap (sigmoid), or classes of the whole volume."""
    names: dict[int, str] = Field(min_length=1)
    """By channel; the background of labels is left out."""
    exclusive: bool = False
    """Whether classes exclude each other (softmax)."""
    threshold: float = Field(default=0.5, gt=0, lt=1)


class TorchFileOptions(Options):
    """Which file, and what it takes and gives."""

    model: str
    file: str
    revision: str | None = None
    title: str | None = None
    requires: Requirements = Requirements()
    input: InputDeclaration = InputDeclaration()
    output: OutputDeclaration
    contrasts: tuple[float, ...] = ()
    """Factors such as 0.95 and 1.05: the network runs again on the prepared image so changed."""
    mirrors: tuple[Literal["x", "y", "z"], ...] = ()
    """Axes of its input along which the network runs again on the mirrored image; none by which it tells
    left from right. What is found is that of the image as it is; of all runs, the standard deviation of each
    volume or probability is told."""
    structures: dict[str, StructureOptions] = Field(default_factory=dict)


class TorchFile(Pipeline):
    """One network in one file."""

    name, version, title = "torch_file", "0", "Model"
    options_type = TorchFileOptions
    options: TorchFileOptions

    def __init__(self, options: TorchFileOptions) -> None:
        super().__init__(options)
        self.name = Path(options.file).stem
        self.version = model_revision(options.model)
        self.title = options.title or self.name.replace("_", " ")
        self.requires = options.requires

    def check(self) -> None:
        """Verifies the file. Raises ModelUnavailable."""
        file = model_folder(self.options.model, self.options.revision) / self.options.file
        if file.suffix not in READERS:
            raise ModelUnavailable(f"{file.name} is none of {', '.join(READERS)}")
        if not file.is_file():
            raise ModelUnavailable(f"the model {file.parent.name!r} holds no file {file.name}")

    def load(self, device: str) -> None:
        """Loads the network onto a device."""
        self.check()
        file = model_folder(self.options.model, self.options.revision) / self.options.file
        self._device = device
        # Exported graphs are often fixed to a batch of one.
        self._batch = 4 if file.suffix == ".ts" else 1
        self._before = _before(self.options.input)
        self._network = shared((file.resolve(), device), lambda: _network(file, device))

    def shrink(self) -> bool:
        """Takes fewer tiles at once."""
        if self.options.input.tile is None or self._batch == 1:
            return False
        self._batch = 1
        return True

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields structures and their volumes, or the classes and their probabilities."""
        import torch

        given = tensor_of(case, self.roles)
        with torch.no_grad():
            prepared = self._before({KEYS[0]: given})
            outputs = self._outputs(case, prepared[KEYS[0]][None].to(self._device).as_tensor())
            if self.options.output.kind == "classes":
                findings = self._classes([np.asarray(found.cpu()) for found in outputs])
            else:
                findings = self._structures(
                    case, [self._on_grid(given, prepared, found) for found in outputs]
                )
        yield from findings

    def _outputs(self, case: Case, batch: Any) -> Iterator[Any]:
        """Yields the network's output of the image as it is, then of each change, mirrored back."""
        axes = [2 + AXES.index(axis) for axis in self.options.mirrors]
        ways = [(1.0, ()), *((factor, ()) for factor in self.options.contrasts), *((1.0, (n,)) for n in axes)]
        for number, (factor, mirrored) in enumerate(ways, start=1):
            found = self._output((batch * factor).flip(mirrored))
            yield (found if self.options.output.kind == "classes" else found.flip(mirrored))[0].float()
            case.progress(0.9 * number / len(ways))

    def _output(self, batch: Any) -> Any:
        if self.options.input.tile is None:
            return self._network(batch)
        from monai.inferers.utils import sliding_window_inference

        tile = self.options.input.tile
        return sliding_window_inference(
            batch, tile, self._batch, self._network, overlap=0.25, mode="gaussian"
        )

    def _on_grid(self, given: Any, prepared: Mapping[str, Any], found: Any) -> Masks:
        """Masks by channel on the grid of the case's input."""
        result = type(given)(self._decided(found), meta=deepcopy(prepared[KEYS[0]].meta))
        result = on_input_grid(result, prepared, given, self._before, KEYS)
        array = np.asarray(result.cpu()).transpose(0, 3, 2, 1)
        names = self.options.output.names
        if (masks := masks_of(array, list(names))) is None:
            raise ModelFailed(f"the network gave {array.shape[0]} channels, declared are {sorted(names)}")
        return masks

    def _decided(self, found: Any) -> Any:
        """A label map (1, x, y, z) of exclusive channels, else masks (c, x, y, z), from logits."""
        if self.options.output.kind == "labels":
            return found.argmax(dim=0, keepdim=True).float()
        return (found.sigmoid() >= self.options.output.threshold).float()

    def _structures(self, case: Case, runs: Sequence[Masks]) -> Iterable[Finding]:
        names, site, grid = self.options.output.names, self.options.structures, case.volume.grid
        spreads = spreads_of(runs, grid)
        yield from Structures(names, site, "image", self.title, grid, spreads).findings(runs[0])

    def _classes(self, runs: Sequence[NDArray[np.float32]]) -> Iterable[Finding]:
        declared, shape = self.options.output, runs[0].shape
        if len(shape) != 1 or shape[0] <= max(declared.names):
            raise ModelFailed(f"the network gave {shape} classes, declared are {sorted(declared.names)}")
        logits = np.stack(runs)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        softmax = exponents / exponents.sum(axis=1, keepdims=True)
        scores = softmax if declared.exclusive else 1 / (1 + np.exp(-logits))
        for number, name in declared.names.items():
            value = PRESENT if scores[0, number] >= declared.threshold else ABSENT
            spread = f"standard deviation {scores[:, number].std():.3f} over {len(runs)} runs"
            support = spread if len(runs) > 1 else None
            yield Classification(concept_for(name)[0], value, float(scores[0, number]), support=support)


def _before(declared: InputDeclaration) -> Any:
    """The declared preparation as MONAI's transforms, so that it can be inverted."""
    try:
        from monai.transforms.compose import Compose
        from monai.transforms.intensity import dictionary as intensity
        from monai.transforms.spatial import dictionary as spatial
    except ImportError as error:
        raise ModelUnavailable("this adapter needs the package monai; install dicom-node[models]") from error
    steps: list[Any] = [spatial.Orientationd(KEYS[0], axcodes=declared.orientation, labels=None)]
    if declared.spacing is not None:
        steps.append(spatial.Spacingd(KEYS[0], pixdim=declared.spacing, mode="bilinear"))
    if declared.window is not None:
        centre, width = declared.window
        lower, upper = centre - width / 2, centre + width / 2
        steps.append(intensity.ScaleIntensityRanged(KEYS[0], lower, upper, 0.0, 1.0, clip=True))
    if declared.percentiles is not None:
        steps.append(
            intensity.ScaleIntensityRangePercentilesd(KEYS[0], *declared.percentiles, 0, 1, clip=True)
        )
    if declared.standardize:
        steps.append(intensity.NormalizeIntensityd(KEYS[0]))
    return Compose(steps)


def _network(file: Path, device: str) -> Callable[[Any], Any]:
    """The network of a file: a callable from tensor to tensor."""
    import torch

    try:
        if file.suffix == ".onnx":
            return _OnnxNetwork(file, device)
        if file.suffix == ".pt2":
            return torch.export.load(file).module().to(device)
        read: Any = torch.jit.load
        scripted: Callable[[Any], Any] = read(file, map_location=device).eval()
    except (RuntimeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ModelUnavailable(f"the network {file.name} can't be read: {type(error).__name__}") from error
    return scripted


class _OnnxNetwork:
    """An ONNX file as a callable from tensor to tensor."""

    def __init__(self, file: Path, device: str) -> None:
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise ModelUnavailable(
                "ONNX files need the package onnxruntime; install dicom-node[onnx]"
            ) from error
        providers = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), providers=[*providers, "CPUExecutionProvider"]
            )
        except Exception as error:  # the package's faults have no common parent but Exception
            raise ModelUnavailable(
                f"the network {file.name} can't be read: {type(error).__name__}"
            ) from error
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: Any) -> Any:
        import torch

        [output, *_] = self._session.run(None, {self._input: batch.cpu().numpy()})
        return torch.from_numpy(output).to(batch.device)
