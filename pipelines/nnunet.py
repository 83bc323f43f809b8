"""Any model that nnU-Net v2 trained, from its result folder, fed from memory.

    pipelines:
      spleen:
        use: pipelines.nnunet:NnUNet
        options: {model: spleen, orientation: RAS, allow_pickle: true}

nnU-Net's own preprocessing, sliding window, mirroring and folds run as it was trained. It takes images as
they lie in their files, so `orientation` has to say how the training images lay, unless its plans do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import (
    Algorithm,
    Case,
    Finding,
    ModelUnavailable,
    Options,
    Pipeline,
    Requirements,
    find_folder,
    model_folder,
    model_revision,
)
from pipelines.masks import LabelMasks
from pipelines.nnunet_folder import How, TrainedFolder
from pipelines.nnunet_space import Turned, predicted
from pipelines.structures import StructureOptions, Structures, spreads_of


class NnUNetOptions(Options):
    """Which model, and how it is run."""

    model: str
    """A folder, or a name in the model store: the one that holds plans.json, or one above it."""
    parts: tuple[str, ...] = ()
    """Where several result folders lie below the model's, those whose structures are put together: the
    beginnings of their names below it, such as "Dataset291". What a later one finds overrides an earlier."""
    revision: str | None = None
    allow_pickle: bool = False
    """Whether checkpoints in a .pth file may be read (tensors alone, no code)."""
    checkpoint: str = "checkpoint_final"
    folds: tuple[str, ...] = ()
    """Such as ["0", "1"] or ["all"]; empty: all numbered ones. Their probabilities are averaged."""
    orientation: str | None = Field(default=None, pattern="^[RLAPSI]{3}$")
    """The patient directions that the axes x, y and z of the training images ran to, such as RAS or LPS;
    None: as the plans say, where they do."""
    inputs: tuple[str, ...] = Field(default=("image",), min_length=1)
    """Which role's series is each of the model's input images."""
    resample_first: bool = False
    """Whether the image is brought to the model's spacing before, and its labels back by nearest neighbours:
    less memory than nnU-Net's own way, which brings each structure's probabilities back."""
    step: float = Field(default=0.5, gt=0, le=1)
    mirroring: bool = True
    """Whether to average over mirrored images, where training allowed it."""
    spread: bool = False
    """Whether each fold runs alone too, and the volumes' standard deviation over them is measured."""
    title: str | None = None
    requires: Requirements | None = None
    """None: CT, where the model names its input so."""
    structures: dict[str, StructureOptions] = Field(default_factory=dict)
    """By the model's own name of the structure."""


class NnUNet(Pipeline):
    """One result folder, or several whose structures are put together."""

    name, version, title = "nnunet", "0", "nnU-Net"
    options_type: ClassVar[type[NnUNetOptions]] = NnUNetOptions
    options: NnUNetOptions
    all_parts: ClassVar[bool] = False
    """Whether all result folders are taken where the options name none."""

    def __init__(self, options: NnUNetOptions) -> None:
        super().__init__(options)
        self.roles = options.inputs
        self.name = Path(options.model).name
        self.version = model_revision(options.model)
        self.title = options.title or self.name.replace("_", " ")
        self.requires = options.requires or self._usual_requirements()

    @property
    def algorithm(self) -> Algorithm:
        """The model's name and revision, the options, and the data sets that it was trained on."""
        try:
            trained_on = ", ".join(part.dataset for part in self._parts(find_folder(self.options.model)))
        except ModelUnavailable:
            trained_on = ""
        source = f"nnU-Net (Isensee et al., Nat Methods 2021); {trained_on}"
        return Algorithm(self.name, self.version, parameters=super().algorithm.parameters, source=source)

    def check(self) -> None:
        """Verifies the model's files, and what they say of themselves. Raises ModelUnavailable."""
        parts = self._parts(model_folder(self.options.model, self.options.revision))
        for part in parts:
            part.check(len(self.options.inputs))
            self._orientation(part)
        if len(parts) > 1 and any(len(values) > 1 for part in parts for values in part.structures.values()):
            raise ModelUnavailable(
                f"the parts of {self.name!r} have regions that overlap, and can't be joined"
            )

    def load(self, device: str) -> None:
        """Loads every part's folds. Raises ModelUnavailable."""
        self.check()
        how = How(self.options.step, self.options.mirroring)
        self._loaded, above = [], 0
        for part in self._parts(find_folder(self.options.model)):
            self._loaded.append(_Loaded(part, part.predictor(device, how), above))
            above += max(max(values) for values in part.structures.values())

    def shrink(self) -> bool:
        """Gathers the windows' results on the CPU, which does not change them."""
        there = [each.predictor for each in self._loaded if each.predictor.perform_everything_on_device]
        for predictor in there:
            predictor.perform_everything_on_device = False
        return bool(there)

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields the structures on the grid of the first input, and their volumes."""
        grid = case.inputs[self.roles[0]].volume.grid
        values, names = self._numbered()
        folds = range(min(len(each.predictor.list_of_parameters) for each in self._loaded))
        ways = [None, *folds] if self.options.spread and len(folds) > 1 else [None]
        runs = []
        for number, fold in enumerate(ways):
            runs.append(LabelMasks(self._labels(case, fold), values))
            case.progress(0.9 * (number + 1) / len(ways))
        alone = spreads_of(runs[1:], grid)
        structures = Structures(names, self.options.structures, self.roles[0], self.title, grid, alone)
        yield from structures.findings(runs[0])

    def _labels(self, case: Case, fold: int | None) -> NDArray[np.integer[Any]]:
        """The (k, j, i) label map of one fold, or of all together; a later part's labels override."""
        combined: NDArray[np.integer[Any]] = np.zeros(case.inputs[self.roles[0]].volume.grid.shape, np.uint16)
        for part, predictor, above in self._loaded:
            turned = Turned(case, self.roles, self._orientation(part))
            folds = list(range(len(predictor.list_of_parameters))) if fold is None else [fold]
            found = predicted(predictor, turned, folds, resample_first=self.options.resample_first)
            np.copyto(combined, found + above, where=found > 0, casting="unsafe")
        return combined

    def _numbered(self) -> tuple[dict[int, tuple[int, ...]], dict[int, str]]:
        """The labels in the combined map, and the name, of every structure by a number of its own."""
        named = [
            (name, tuple(value + above for value in values))
            for part, _, above in self._loaded
            for name, values in part.structures.items()
        ]
        numbered = list(enumerate(named, start=1))
        return {n: values for n, (_, values) in numbered}, {n: name for n, (name, _) in numbered}

    def _parts(self, folder: Path) -> list[TrainedFolder]:
        """The result folders, in the order of the options. Raises ModelUnavailable."""
        held = {
            path.parent.relative_to(folder).as_posix(): path.parent for path in folder.rglob("plans.json")
        }
        names = sorted(held)
        if self.options.parts:
            names = [self._one(names, beginning) for beginning in self.options.parts]
        elif not names or (len(names) > 1 and not self.all_parts):
            found = f"{len(names)} folders with plans.json ({', '.join(names)}); name one in `parts`"
            raise ModelUnavailable(f"the model {folder.name!r} holds {found if names else 'no plans.json'}")
        return [
            TrainedFolder(held[n], self.options.checkpoint, self.options.folds, self.options.allow_pickle)
            for n in names
        ]

    def _one(self, names: list[str], beginning: str) -> str:
        found = [name for name in names if name.startswith(beginning)]
        if len(found) != 1:
            raise ModelUnavailable(
                f"the model {self.name!r} holds {len(found)} result folders named {beginning!r}…"
            )
        return found[0]

    def _orientation(self, part: TrainedFolder) -> str:
        stated = self.options.orientation or part.orientation
        if stated is None:
            raise ModelUnavailable(
                f"nnU-Net read the training images of {part.dataset} as they lay in their files; say in the "
                "option `orientation` where their axes x, y and z ran, such as RAS or LPS"
            )
        return stated

    def _usual_requirements(self) -> Requirements:
        try:
            channels = {
                name.upper()
                for part in self._parts(find_folder(self.options.model))
                for name in part.channels
            }
        except ModelUnavailable:
            return Requirements()
        return Requirements(modality=("CT",) if channels == {"CT"} else ())


class _Loaded(NamedTuple):
    """A part on a device; its labels count from above those of the parts before."""

    part: TrainedFolder
    predictor: Any
    above: int
