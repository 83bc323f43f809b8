"""What every adapter of a Hugging Face model has in common: its folder, its loading, its key slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from dicom_node.pipeline import (
    Algorithm,
    Case,
    Code,
    KeySlice,
    ModelUnavailable,
    Options,
    Pipeline,
    Requirements,
    concept_for,
    evenly,
    key_slices,
    model_folder,
    model_revision,
    shared,
)

NOT_INSTALLED = "models of this kind need the package transformers; install dicom-node[llm]"


class HubOptions(Options):
    """Which model, and how it is run."""

    model: str
    """A folder, or a name in the model store."""
    revision: str | None = None
    title: str | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    requires: Requirements = Requirements()
    slices: int = Field(default=1, ge=1, le=1000)
    """How many key slices a model of pictures is shown."""
    window: tuple[float, float] | None = None
    """(centre, width) in the modality's units; None: the header's, or percentiles."""


class HubPipeline(Pipeline):
    """A model in a folder that `from_pretrained` reads, from safetensors alone and without the network."""

    auto: ClassVar[str]
    """The class of transformers that loads it, such as "AutoModelForImageClassification"."""
    processor: ClassVar[str] = "AutoImageProcessor"
    options: HubOptions

    def __init__(self, options: HubOptions) -> None:
        super().__init__(options)
        self.version = model_revision(options.model)
        self.title = options.title or type(self).title
        self.requires = options.requires

    @property
    def algorithm(self) -> Algorithm:
        """This adapter, the model's name and revision, and the options of the run."""
        return Algorithm(
            name=f"{self.name}: {Path(self.options.model).name}"[:64],
            version=self.version,
            parameters=super().algorithm.parameters,
            source=Path(self.options.model).name,
        )

    def check(self) -> None:
        """Verifies the model's files. Raises ModelUnavailable."""
        folder = model_folder(self.options.model, self.options.revision)
        for pattern in self._needed():
            if not any(folder.glob(pattern)):
                raise ModelUnavailable(f"the model {folder.name!r} holds no {pattern}; pickles are refused")

    def load(self, device: str) -> None:
        """Loads the model and its processor onto a device. Raises ModelUnavailable."""
        self.check()
        folder = model_folder(self.options.model, self.options.revision)
        key = (type(self).auto, folder.resolve(), device, self.options.precision)
        self._model = shared(key, lambda: self._read_model(folder, device))
        self._processor = self._read_processor(folder)
        self._device = device

    def _needed(self) -> tuple[str, ...]:
        """Files that the model's folder must hold, as patterns."""
        return ("config.json", "*.safetensors")

    def _how(self) -> dict[str, Any]:
        """More arguments of `from_pretrained`. Code that a model brings is never run."""
        return {"use_safetensors": True, "trust_remote_code": False}

    def _read_processor(self, folder: Path) -> Any:
        with _told(folder, self.processor):
            return _transformers(self.processor).from_pretrained(folder, local_files_only=True, **self._how())

    def _read_model(self, folder: Path, device: str) -> Any:
        import torch

        with _told(folder, self.auto):
            model, info = _transformers(self.auto).from_pretrained(
                folder,
                local_files_only=True,
                **self._how(),
                dtype=getattr(torch, self.options.precision),
                output_loading_info=True,
            )
        # What the file lacks, transformers fills with random numbers.
        if lacking := [*info["missing_keys"], *info["mismatched_keys"]]:
            raise ModelUnavailable(
                f"the model {folder.name!r} lacks {len(lacking)} weights of {self.auto}, such as {lacking[0]}"
            )
        return model.to(device).eval()

    def _key_slices(self, case: Case) -> list[KeySlice]:
        ks = evenly(case.volume.grid.shape[0], self.options.slices)
        return key_slices(case.volume, case.header, ks, self.options.window)

    def _inputs(self, **given: Any) -> Mapping[str, Any]:
        """The processor's tensors on the device, floating ones in the model's precision."""
        made = self._processor(**given, return_tensors="pt")
        return made.to(self._device, dtype=self._model.dtype)  # type: ignore[no-any-return]  # no types there


@contextmanager
def _told(folder: Path, kind: str) -> Iterator[None]:
    """Whatever a damaged or wrong folder makes transformers raise becomes ModelUnavailable, in one line."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        [reason, *_] = str(error).splitlines() or [type(error).__name__]
        raise ModelUnavailable(f"the model {folder.name!r} can't be loaded as {kind}: {reason}") from error


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelUnavailable(NOT_INSTALLED) from error
    quiet: Any = transformers.utils.logging.disable_progress_bar  # it has no types
    quiet()
    return getattr(transformers, name)


class ConceptOptions(Options):
    """How one of a model's labels is reported."""

    code: tuple[str, str, str] | None = None
    """Code value, scheme designator and meaning; None: by the label's words."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """From this probability on it is present."""
    temperature: float = Field(default=1.0, gt=0)
    """Divides the logit; from a calibration on the site's own cases (Guo et al., ICML 2017)."""
    isotonic: tuple[tuple[float, float], ...] = ()
    """Pairs (score, probability), both ascending, of an isotonic calibration; applied last."""

    def concept(self, label: str) -> Code:
        """The code of a label: the site's, or the usual one for its words."""
        return Code(*self.code) if self.code else concept_for(label)[0]
