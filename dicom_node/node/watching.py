"""The status page, and the checks that it shows: the node's processes, and the disk."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import structlog

from dicom_node.config import Config
from dicom_node.node.folders import processes_file, spool_folder, there, trouble_file
from dicom_node.node.site import Site
from dicom_node.node.trouble import trouble_in
from dicom_node.web import Check, make_app, serve

log = structlog.get_logger()
NODE = "node"
"""Name of the check that fails where no process lives."""
ROLES = "dicom_node.node"
"""The module that each process runs (see `supervisor.Child`)."""


def serve_status(site: Site, stop: threading.Event) -> None:
    """Serves the status page until `stop` is set; a port that is taken costs the page, and nothing else."""
    web = site.config.web
    if web is None:
        return
    try:
        serve(make_app(site.ledger.views, partial(checks, site.config)), web.address, web.port, stop)
    except OSError as fault:
        log.error("status_page_unavailable", address=web.address, port=web.port, error=str(fault))


def checks(config: Config) -> Iterator[Check]:
    """Yields how the processes are, as the supervisor last noted and as they themselves tell, and the disk.

    Where none of them lives, the node does not run.
    """
    noted = _noted(processes_file(config))
    living = [_lives(one) for one in noted]
    if not any(living):
        yield Check(name=NODE, ok=False, detail="it does not run")
    for one, alive in zip(noted, living, strict=True) if any(living) else ():
        trouble = trouble_in(trouble_file(config, one["role"], one["index"])) if alive else None
        detail = f"pid {one['pid']}, {one['lives']}. life" if alive else f"ended {one['lives']} times"
        yield Check(name=f"{one['role']} {one['index']}", ok=alive and not trouble, detail=trouble or detail)
    free_mb = shutil.disk_usage(there(spool_folder(config))).free >> 20
    mark = config.receive.free_disk_mb
    yield Check(
        name="disk", ok=free_mb >= mark, detail=f"{free_mb} MB free; images are refused below {mark} MB"
    )


def _noted(file: Path) -> list[dict[str, Any]]:
    """The processes, as the supervisor last noted them."""
    return list(json.loads(file.read_text())) if file.exists() else []


def _lives(one: Mapping[str, Any]) -> bool:
    """Whether a process lives; its number may be another's by now, where the machine was started again."""
    if one["pid"] is None:
        return False
    try:
        process = psutil.Process(one["pid"])
        return process.status() != psutil.STATUS_ZOMBIE and ROLES in process.cmdline()
    except psutil.AccessDenied:  # it is there, and another user asks
        return True
    except psutil.Error:
        return False
