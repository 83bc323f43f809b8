"""Bringing models into the store: from a folder, or from a hub at a pinned commit; nothing else downloads."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from dicom_node.errors import ModelUnavailable
from dicom_node.models.store import PINNED, Manifest, ModelStore, model_files
from dicom_node.models.weights import load_checkpoint

CHECKPOINTS = (".pt", ".pth", ".bin")
HUB_PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model", "*.md", "*.jinja", "*.gguf", "LICENSE*")
"""What is taken from a hub: no pickles, no code."""


def pull(
    store: ModelStore, source: str, name: str, revision: str | None = None, *, convert: bool = False
) -> Manifest:
    """Brings a model into the store and returns its manifest.

    Args:
        store: where to.
        source: a folder, or a hub's name "organisation/model".
        name: what `model:` in conf.yaml will call it.
        revision: the hub's commit, 40 hex digits; a branch's name would be another model tomorrow.
        convert: whether checkpoints in the pickle format become safetensors; their tensors alone are read.

    Raises ModelUnavailable where the source, the revision or a checkpoint can't be used.
    """
    if store.folder(name).exists():
        raise ModelUnavailable(f"the store holds a model {name!r} already; remove its folder to replace it")
    with tempfile.TemporaryDirectory() as staging:
        fetched = Path(staging) / "model"
        if Path(source).is_dir():
            shutil.copytree(source, fetched)
            origin, revision = Path(source).resolve().name, None
        else:
            _download(source, revision, fetched)
            origin = source
        if convert:
            convert_checkpoints(fetched)
        return store.add(name, fetched, origin=origin, revision=revision)


def convert_checkpoints(folder: Path) -> list[str]:
    """Replaces a folder's checkpoints by safetensors of the same name; returns what was replaced."""
    from safetensors.torch import save_file

    done = []
    for path in [path for path in model_files(folder) if path.suffix in CHECKPOINTS]:
        held = load_checkpoint(path, allow_pickle=True)
        save_file(
            {key: tensor.contiguous().clone() for key, tensor in held.weights.items()},
            path.with_suffix(".safetensors"),
            {key: json.dumps(note) for key, note in held.notes.items()},
        )
        path.unlink()
        done.append(path.relative_to(folder).as_posix())
    return done


def _download(source: str, revision: str | None, target: Path) -> None:
    if revision is None or not PINNED.fullmatch(revision):
        raise ModelUnavailable(
            f"{source!r} is no folder; a hub's model is pulled by its commit: --revision and 40 hex digits"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ModelUnavailable(
            "pulling from a hub needs the package huggingface_hub; install dicom-node[llm]"
        ) from error
    try:
        snapshot_download(source, revision=revision, local_dir=target, allow_patterns=list(HUB_PATTERNS))
    except (
        Exception
    ) as error:  # the package's faults, and its transport's, have no common parent but Exception
        raise ModelUnavailable(f"{source!r} can't be pulled: {type(error).__name__}: {error}") from error
