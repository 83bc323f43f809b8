"""Import strings to pipelines: `use: package.module:Class`, or the name of an installed entry point."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from dicom_node.config.models import PipelineConfig
from dicom_node.errors import ConfigError
from dicom_node.pipeline import Pipeline

GROUP = "dicom_node.pipelines"
"""Entry point group by which an installed package brings pipelines; `use` names one by its name."""


def make_pipelines(configured: Mapping[str, PipelineConfig]) -> dict[str, Pipeline]:
    """Makes every configured pipeline, without loading a model.

    Raises ConfigError with the fault of each pipeline that can't be made.
    """
    made: dict[str, Pipeline] = {}
    faults: list[str] = []
    for name, config in configured.items():
        try:
            made[name] = make_pipeline(config.use, config.options)
        except ConfigError as error:
            faults.append(f"pipelines.{name}: {error}")
    if faults:
        raise ConfigError("\n".join(faults))
    return made


def make_pipeline(use: str, options: Mapping[str, Any]) -> Pipeline:
    """Makes one pipeline of an import string and its options. Raises ConfigError."""
    kind = pipeline_class(use)
    try:
        return kind(kind.options_type.model_validate(dict(options)))
    except ValidationError as error:
        faults = "; ".join(
            f"options.{'.'.join(map(str, fault['loc'])) or '(all)'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigError(f"use {use!r}: {faults}") from error


def pipeline_class(use: str) -> type[Pipeline]:
    """The pipeline class that an import string or an entry point names. Raises ConfigError."""
    module_name, colon, class_name = use.partition(":")
    if not colon:
        return _installed_class(use)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            raise ConfigError(f"use {use!r}: there is no module {missing!r}") from error
        raise ConfigError(f"use {use!r}: its module needs {missing!r}, which is not installed") from error
    except ImportError as error:
        raise ConfigError(f"use {use!r}: its module can't be imported: {error}") from error
    found = getattr(module, class_name, None)
    if found is None:
        raise ConfigError(f"use {use!r}: the module {module_name!r} holds no {class_name!r}")
    return _checked(use, found)


def _installed_class(use: str) -> type[Pipeline]:
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    if use not in installed:
        known = ", ".join(sorted(installed)) or "none"
        raise ConfigError(f'use {use!r}: it is no "package.module:Class"; installed pipelines: {known}')
    return _checked(use, installed[use].load())


def _checked(use: str, found: object) -> type[Pipeline]:
    if not (isinstance(found, type) and issubclass(found, Pipeline)):
        raise ConfigError(f"use {use!r}: it is no subclass of dicom_node.pipeline.Pipeline")
    unset = [name for name in ("name", "version", "title") if not hasattr(found, name)]
    if unset:
        raise ConfigError(f"use {use!r}: the class does not set {', '.join(unset)}")
    return found
