"""Warm models: each pipeline loaded once, its memory measured, the least recently used put away."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from dicom_node.errors import ModelUnavailable
from dicom_node.infer.devices import release, used_mb
from dicom_node.pipeline import Pipeline

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline with its weights on a device, and the MB that loading it took there."""

    pipeline: Pipeline
    device: str
    size_mb: float


class WarmModels:
    """The pipelines of one process. A pipeline that is put away is replaced by a fresh, unloaded one."""

    def __init__(self, pipelines: Mapping[str, Pipeline], budget_mb: float | None) -> None:
        """Holds pipelines without loading any.

        Args:
            pipelines: by the name that conf.yaml gives them.
            budget_mb: how much memory loaded models may take together; None: no limit.
        """
        self._unloaded = dict(pipelines)
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._measured_mb: dict[str, float] = {}
        self._budget_mb = budget_mb

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the loaded pipelines, the least recently used first."""
        return tuple(self._loaded)

    def describe(self, name: str) -> Pipeline:
        """The pipeline of a name, loaded or not, for what it declares. Raises ModelUnavailable."""
        if name in self._loaded:
            return self._loaded[name].pipeline
        if name not in self._unloaded:
            known = ", ".join(sorted({*self._unloaded, *self._loaded}))
            raise ModelUnavailable(f"there is no pipeline {name!r}; conf.yaml names {known}")
        return self._unloaded[name]

    def get(self, name: str, device: str) -> Pipeline:
        """The pipeline of a name, loaded on a device, and from now on the most recently used."""
        if name in self._loaded and self._loaded[name].device != device:
            self.put_away(name)
        if name not in self._loaded:
            self._load(name, device)
        self._loaded.move_to_end(name)
        return self._loaded[name].pipeline

    def put_away(self, name: str) -> None:
        """Drops a loaded pipeline and its memory; the next `get` loads it again."""
        loaded = self._loaded.pop(name)
        self._unloaded[name] = type(loaded.pipeline)(loaded.pipeline.options)
        device = loaded.device
        del loaded
        release(device)
        log.info("model_put_away", pipeline=name, device=device)

    def put_away_others(self, name: str) -> None:
        """Drops every loaded pipeline but one."""
        for other in [other for other in self._loaded if other != name]:
            self.put_away(other)

    def _load(self, name: str, device: str) -> None:
        pipeline = self.describe(name)
        before, started = used_mb(device), time.monotonic()
        pipeline.load(device)
        # A second load may reuse memory that the process never gave back, and so measure too little.
        size_mb = max(self._measured_mb.get(name, 0.0), used_mb(device) - before)
        self._measured_mb[name] = size_mb
        self._loaded[name] = Loaded(pipeline, device, size_mb)
        del self._unloaded[name]
        log.info(
            "model_warm",
            pipeline=name,
            device=device,
            size_mb=round(size_mb),
            seconds=round(time.monotonic() - started, 2),
        )
        self._fit(name)

    def _fit(self, keep: str) -> None:
        """Puts the least recently used away until the loaded models fit the budget."""
        while self._budget_mb is not None and len(self._loaded) > 1:
            if sum(loaded.size_mb for loaded in self._loaded.values()) <= self._budget_mb:
                return
            self.put_away(next(name for name in self._loaded if name != keep))
