"""What adapters of models that are shown pictures have in common: those of several cases go in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dicom_node.pipeline import Case, Finding, Options
from pipelines.transformers_base import HubOptions, HubPipeline


class PictureOptions(HubOptions):
    """Which model, and how many cases it is shown at once."""

    at_once: int = Field(default=1, ge=1, le=256)
    """So many small series that wait may share a pass of the model."""


@dataclass(frozen=True)
class Shown:
    """A case as a model is shown it: slices `ks`, and the processor's tensors with a row for each."""

    case: Case
    ks: list[int]
    inputs: Mapping[str, Any]


class PicturePipeline(HubPipeline):
    """A model that is shown key slices, and says something of each picture by itself."""

    options_type: ClassVar[type[Options]] = PictureOptions
    options: PictureOptions
    untold = HubPipeline.untold | {"at_once"}

    def __init__(self, options: PictureOptions) -> None:
        super().__init__(options)
        self.at_once = options.at_once

    def run(self, case: Case) -> Iterable[Finding]:
        """As `run_many`, of one case."""
        [findings] = self.run_many([case])
        return findings

    def run_many(self, cases: Sequence[Case]) -> Iterable[Iterable[Finding]]:
        """Yields the findings of each case; pictures of one size go through the model together."""
        shown = [self._shown(case) for case in cases]
        return [self._findings(one, seen) for one, seen in zip(shown, self._seen(shown), strict=True)]

    @abstractmethod
    def _look(self, inputs: Mapping[str, Any]) -> Iterable[Any]:
        """What the model says of each picture; without gradients."""

    @abstractmethod
    def _findings(self, shown: Shown, seen: Sequence[Any]) -> Iterable[Finding]:
        """Yields a case's findings from what was said of its pictures."""

    def _tensors(self, pictures: list[NDArray[np.uint8]]) -> Mapping[str, Any]:
        """The model's input for pictures of one case."""
        return self._inputs(images=pictures)

    def _common(self) -> Collection[str]:
        """Names of tensors that are the same for every case, and have no row for each picture."""
        return ()

    def _shown(self, case: Case) -> Shown:
        slices = self._key_slices(case)
        return Shown(case, [one.k for one in slices], self._tensors([one.picture for one in slices]))

    def _most(self) -> int | None:
        """How many pictures at once; None: all."""
        return None

    def _seen(self, shown: Sequence[Shown]) -> Iterator[Sequence[Any]]:
        """What the model says of the pictures of each case."""
        alike: defaultdict[object, list[int]] = defaultdict(list)
        for number, one in enumerate(shown):
            alike[tuple((name, each.shape[1:]) for name, each in one.inputs.items())].append(number)
        seen: dict[int, list[Any]] = {}
        for numbers in alike.values():
            said = self._said([shown[number].inputs for number in numbers])
            seen |= {number: list(islice(said, len(shown[number].ks))) for number in numbers}
        yield from (seen[number] for number in range(len(shown)))

    def _said(self, inputs: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        """What the model says of each picture of several cases, all of one size."""
        import torch

        common = {name: inputs[0][name] for name in self._common() if name in inputs[0]}
        joined = {name: torch.cat([one[name] for one in inputs]) for name in inputs[0] if name not in common}
        count = len(next(iter(joined.values())))
        most = self._most() or count
        for first in range(0, count, most):
            part = {name: each[first : first + most] for name, each in joined.items()}
            with torch.no_grad():
                said = self._look(common | part)
            yield from said
