"""From `use: package.module:Class` and `options:` to a pipeline, with a message for each failure."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from pydantic import ValidationError

from dicom_node.config.faults import Fault, FaultyConfigError, KeyPath, one_of
from dicom_node.config.models import PipelineConfig
from dicom_node.config.problems import faults_of
from dicom_node.pipeline import Pipeline

GROUP = "dicom_node.pipelines"
"""Entry point group by which an installed package brings pipelines; `use` names one by its name."""
_FORM = 'a pipeline is named "package.module:Class"'


def resolve(config: PipelineConfig) -> Pipeline:
    """Makes the pipeline that a section of conf.yaml names, without loading its model.

    Raises:
        FaultyConfigError: it can't be imported, is no pipeline, or refuses its options; the faults' paths
            start in the section (`use`, `options.…`).
    """
    kind = pipeline_class(config.use)
    try:
        options = kind.options_type.model_validate(config.options)
    except ValidationError as error:
        raise FaultyConfigError(
            fault.below(("options",)) for fault in faults_of(error, kind.options_type)
        ) from error
    return kind(options)


def pipeline_class(use: str) -> type[Pipeline]:
    """The class that an import string or an installed entry point's name names. Raises FaultyConfigError."""
    module_name, colon, class_name = use.partition(":")
    if not colon:
        return _checked(use, _installed(use))
    if not module_name or not class_name:
        raise _faulty(f'"{use}" is incomplete', _FORM)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            hint = "packages are looked for where conf.yaml stands, and among those installed"
            raise _faulty(f'there is no module "{missing}"', hint) from error
        raise _faulty(
            f'its module needs "{missing}", which is not installed', f"install {missing}"
        ) from error
    except Exception as error:  # a site's own module may raise anything while it is imported
        said = f"{type(error).__name__}: {error}"
        raise _faulty(f'the module "{module_name}" fails when imported: {said}') from error
    found = getattr(module, class_name, None)
    if found is None:
        pipelines = [name for name, value in vars(module).items() if _is_pipeline(value)]
        raise _faulty(f'the module "{module_name}" holds no "{class_name}"', one_of(pipelines, class_name))
    return _checked(use, found)


def _installed(use: str) -> object:
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    if use not in installed:
        known = f"; installed pipelines: {', '.join(sorted(installed))}" if installed else ""
        raise _faulty(f'"{use}" has no colon', _FORM + known)
    return installed[use].load()


def _is_pipeline(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Pipeline) and found is not Pipeline


def _checked(use: str, found: object) -> type[Pipeline]:
    if not (isinstance(found, type) and issubclass(found, Pipeline)):
        raise _faulty(f'"{use}" is no pipeline', "it must be a subclass of dicom_node.pipeline.Pipeline")
    unset = [name for name in ("name", "version", "title") if not hasattr(found, name)]
    if unset or getattr(found, "__abstractmethods__", None):
        lacks = ", ".join([*unset, *sorted(getattr(found, "__abstractmethods__", ()))])
        raise _faulty(f'"{use}" is unfinished: it does not define {lacks}')
    return found


def _faulty(found: str, right: str = "", path: KeyPath = ("use",)) -> FaultyConfigError:
    return FaultyConfigError([Fault(path, found, right)])
