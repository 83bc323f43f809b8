"""The model store: one folder for each model, with a manifest that pins its revision and its bytes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dicom_node.errors import ModelUnavailable

MANIFEST = "dicom-node-model.json"
STORE_VARIABLE = "DICOM_NODE_MODELS"
"""Environment variable that names the store's folder; the node sets it from its configuration."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PINNED = re.compile(r"[0-9a-f]{40}")
PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
"""Endings of files that usually hold pickles, which can run code when they are loaded."""


class Manifest(BaseModel):
    """What is known of a model since it was pulled.

    Attributes:
        source: where it came from: a hub's name, or the name of the folder it was copied from.
        revision: the hub's commit; for a folder the digest of its contents.
        sha256: hex digest by file, relative to the model's folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    revision: str
    licence: str = "not stated"
    sha256: dict[str, str] = Field(min_length=1)


class ModelStore:
    """A folder of models. Reading it never touches the network."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> tuple[str, ...]:
        """Names of the models held."""
        return tuple(sorted(path.parent.name for path in self.root.glob(f"*/{MANIFEST}")))

    def folder(self, name: str) -> Path:
        """The folder of a name, which need not exist. Raises ModelUnavailable for what is no name."""
        if not NAME.fullmatch(name):
            raise ModelUnavailable(f"{name!r} is no name of a model: letters, digits and '._-', at most 64")
        return self.root / name

    def add(self, name: str, source: Path, *, origin: str, revision: str | None = None) -> Manifest:
        """Copies a folder into the store and writes its manifest last, so that half a copy is no model.

        Args:
            name: what `model:` in conf.yaml will call it.
            source: the folder to copy; it needs no manifest.
            origin: where it came from, for people.
            revision: the hub's commit; None: the digest of the contents.

        Raises ModelUnavailable where the name is taken, or the source holds no file.
        """
        target = self.folder(name)
        if target.exists():
            raise ModelUnavailable(f"the store holds a model {name!r} already; remove {target} to replace it")
        if not source.is_dir() or not any(model_files(source)):
            raise ModelUnavailable(f"{source} is no folder that holds a model")
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST, ".cache", ".git"))
        digests = digests_of(target)
        manifest = Manifest(
            source=origin,
            revision=revision or digest_of(digests),
            licence=licence_of(target),
            sha256=digests,
        )
        (target / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        return manifest


def use_store(data: Path) -> None:
    """Makes this process and its children use the store in a node's data folder, unless one is named.

    Called before pipelines are made, since some read their model's metadata then.
    """
    os.environ.setdefault(STORE_VARIABLE, str(data / "models"))


def store_root() -> Path:
    """The store's folder: the environment variable's, or `var/models` in the working folder."""
    return Path(os.environ.get(STORE_VARIABLE) or "var/models")


def model_folder(model: str | Path, revision: str | None = None) -> Path:
    """The folder of a model, its bytes checked against its manifest where it has one.

    Args:
        model: a folder, or a name in the store.
        revision: what its manifest must state; None: whatever it states.

    Raises:
        ModelUnavailable: it is not there, has another revision, or a file is missing or changed.
    """
    folder = find_folder(model)
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        verify(folder, manifest)
        found = manifest.revision
    else:
        found = None
    if revision is not None and revision != found:
        raise ModelUnavailable(
            f"the model {folder.name!r} is of revision {found or 'unknown'}, and conf.yaml pins {revision}"
        )
    return folder


def find_folder(model: str | Path) -> Path:
    """The folder of a model, its bytes unchecked. Raises ModelUnavailable where there is none."""
    if Path(model).is_dir():
        return Path(model)
    root = store_root()
    if NAME.fullmatch(str(model)) and (root / str(model)).is_dir():
        return root / str(model)
    raise ModelUnavailable(
        f"there is no model {str(model)!r}: no such folder, and none in the store {str(root)!r}; "
        f"`dicom-node models pull` brings one"
    )


def model_revision(model: str | Path) -> str:
    """What tells a model's bytes from another's, in 12 characters: its manifest's revision, else a digest.

    A model in the store is known at once; a folder without a manifest is read whole. "unknown" where the
    model isn't there; `model_folder` says so.
    """
    try:
        folder = find_folder(model)
        if (folder / MANIFEST).exists():
            return read_manifest(folder).revision[:12]
    except ModelUnavailable:
        return "unknown"
    return digest_of(digests_of(folder))[:12]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a model's folder. Raises ModelUnavailable where it can't be read."""
    if not folder.is_dir():
        raise ModelUnavailable(f"there is no model {folder.name!r} in {folder.parent}")
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelUnavailable(f"the manifest of the model {folder.name!r} can't be read: {error}") from error


def verify(folder: Path, manifest: Manifest) -> None:
    """Raises ModelUnavailable that names every file that is missing, changed or not in the manifest."""
    held = {path.relative_to(folder).as_posix(): path for path in model_files(folder)}
    faults = [f"{name} is missing" for name in sorted(manifest.sha256.keys() - held.keys())]
    faults += [f"{name} is not in the manifest" for name in sorted(held.keys() - manifest.sha256.keys())]
    for name in sorted(held.keys() & manifest.sha256.keys()):
        if sha256(held[name]) != manifest.sha256[name]:
            faults.append(f"{name} was changed")
    if faults:
        raise ModelUnavailable(f"the model {folder.name!r} is not what was pulled: {'; '.join(faults)}")


def model_files(folder: Path) -> Iterator[Path]:
    """Yields the files that make a model, in order: all but the manifest and hidden or cached ones."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if path.is_file() and path.name != MANIFEST and not hidden:
            yield path


def pickles(folder: Path) -> tuple[str, ...]:
    """Files that may hold pickles, relative to the model's folder."""
    return tuple(
        path.relative_to(folder).as_posix() for path in model_files(folder) if path.suffix.lower() in PICKLES
    )


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(folder: Path) -> dict[str, str]:
    """Hex digest of each of a model's files, by its name relative to the folder."""
    return {path.relative_to(folder).as_posix(): sha256(path) for path in model_files(folder)}


def digest_of(digests: dict[str, str]) -> str:
    """One hex digest of a whole folder, of its files' names and digests."""
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()[:40]


def licence_of(folder: Path) -> str:
    """The licence that a model card states in its first lines, or the first line of a LICENSE file."""
    card = folder / "README.md"
    if card.exists() and (stated := re.search(r"^license:\s*(\S+)", card.read_text(), re.MULTILINE)):
        return stated[1]
    for path in sorted(folder.glob("LICEN[SC]E*")):
        first = path.read_text(errors="replace").strip().splitlines()
        return first[0].strip() if first else path.name
    return "not stated"
