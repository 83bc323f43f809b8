"""From the file conf.yaml to a Config, or to one error that lists every fault of it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dicom_node.config.document import Document, read_document
from dicom_node.config.faults import Fault, FaultyConfigError, KeyPath
from dicom_node.config.models import Config, PipelineConfig
from dicom_node.config.pipelines import resolve
from dicom_node.config.problems import faults_of
from dicom_node.config.references import reference_faults, role_faults
from dicom_node.errors import ModelUnavailable
from dicom_node.models import use_store
from dicom_node.pipeline import Pipeline

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def load(path: Path, *, pipelines: bool = False) -> Config:
    """Reads and checks conf.yaml.

    Paths are made absolute, from the file's folder; `${NAME}` in a URL is replaced by the environment's
    variable; the file's folder is put at the end of `sys.path`, for a site's own pipelines; models are
    looked for in the data folder.

    Args:
        path: the file.
        pipelines: also imports every pipeline, checks its options, and looks whether its model is there
            and sound; a process that runs none needn't.

    Raises:
        FaultyConfigError: with every fault that was found; it is a ConfigError.
    """
    document = read_document(path)
    folder = path.resolve().parent
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    if not isinstance(document.content, dict):
        raise FaultyConfigError([Fault((), "holds no sections", "see docs/configuration.md")], path)
    faults = list(document.faults)
    _insert_secrets(document.content, faults)
    config = _validated(document, faults)
    if config is not None:
        use_store(_anchored(config, folder).node.data)
    faults += reference_faults(document.content)
    if pipelines:
        made = _made_pipelines(document.content, faults)
        faults += role_faults(document.content, {name: one.roles for name, one in made.items()})
    if faults or config is None:
        raise FaultyConfigError(document.place(faults), path)
    return _anchored(config, folder)


def _anchored(config: Config, folder: Path) -> Config:
    """The same configuration with absolute paths."""
    node = config.node.model_copy(update={"data": folder / config.node.data.expanduser()})
    receive = config.receive
    if receive.tls is not None:
        given = {name: getattr(receive.tls, name) for name in ("certificate", "key", "authorities")}
        paths = {name: folder / path.expanduser() for name, path in given.items() if path is not None}
        receive = receive.model_copy(update={"tls": receive.tls.model_copy(update=paths)})
    return config.model_copy(update={"node": node, "receive": receive})


def _validated(document: Document, faults: list[Fault]) -> Config | None:
    try:
        return Config.model_validate(document.content)
    except ValidationError as error:
        faults += faults_of(error, Config)
        return None


def _insert_secrets(content: dict[str, Any], faults: list[Fault]) -> None:
    """Replaces `${NAME}` in URLs, which may hold a password: `node.database` and each destination's `url`."""
    destinations = content.get("destinations")
    named = destinations.items() if isinstance(destinations, dict) else ()
    sections: list[tuple[KeyPath, Any]] = [(("node", "database"), content.get("node"))]
    sections += [(("destinations", name, "url"), section) for name, section in named]
    for path, section in sections:
        key = str(path[-1])
        url = section.get(key) if isinstance(section, dict) else None
        if not isinstance(url, str):
            continue
        for name in _VARIABLE.findall(url):
            if name not in os.environ:
                missing = f"the environment has no variable {name}"
                faults.append(Fault(path, missing, "set it before the node starts"))
        section[key] = _VARIABLE.sub(lambda found: os.environ.get(found[1], ""), url)


def _made_pipelines(content: dict[str, Any], faults: list[Fault]) -> dict[str, Pipeline]:
    """The pipelines that can be made, by name; the faults of the others are added to `faults`."""
    made: dict[str, Pipeline] = {}
    sections = content.get("pipelines")
    for name, section in sections.items() if isinstance(sections, dict) else ():
        try:
            made[name] = resolve(PipelineConfig.model_validate(section))
            made[name].check()
        except ValidationError:
            continue  # told already, by the validation of the whole
        except ModelUnavailable as error:
            faults.append(Fault(("pipelines", name), str(error)))
        except FaultyConfigError as error:
            faults += [fault.below(("pipelines", name)) for fault in error.faults]
    return made
