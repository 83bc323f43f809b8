"""Where a site's things are, derived from its configuration."""

from __future__ import annotations

from pathlib import Path

from dicom_node.config import Config


def database_url(config: Config) -> str:
    """The ledger's URL: as configured, or SQLite in the data folder."""
    return config.node.database or f"sqlite:///{config.node.data / 'ledger.sqlite'}"


def spool_folder(config: Config) -> Path:
    """Where images and results are."""
    return config.node.data / "spool"


def processes_file(config: Config) -> Path:
    """What the supervisor notes of its processes, for the status page."""
    return run_folder(config) / "processes.json"


def run_folder(config: Config) -> Path:
    """Where locks and marks of running processes are."""
    return config.node.data / "run"


def trouble_file(config: Config, role: str, index: int) -> Path:
    """What keeps a process from its work, as long as it does."""
    return run_folder(config) / f"{role}-{index}.trouble"


def there(folder: Path) -> Path:
    """The folder, or what there is of the way to it: a node that never ran has not made it yet."""
    folder = folder.absolute()
    return next(one for one in (folder, *folder.parents) if one.exists())
