"""The store: what is pulled is pinned by its bytes, and whatever changed is told in one clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dicom_node.errors import ModelUnavailable
from dicom_node.models import ModelStore, find_weights, load_weights, model_folder, model_revision
from dicom_node.models.pull import pull
from dicom_node.models.store import MANIFEST, pickles, read_manifest

WEIGHTS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.zeros(2)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "deep").mkdir(parents=True)
    torch.save({"model": WEIGHTS, "epoch": 7}, folder / "deep" / "model.pt")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.setenv("DICOM_NODE_MODELS", str(tmp_path / "store"))
    return ModelStore(tmp_path / "store")


def test_a_pulled_model_is_found_by_name_with_its_revision_and_licence(
    store: ModelStore, source: Path
) -> None:
    manifest = pull(store, str(source), "lungs")
    assert store.names() == ("lungs",)
    assert manifest.licence == "mit"
    assert manifest.source == "made"
    folder = model_folder("lungs", manifest.revision)
    assert read_manifest(folder) == manifest
    assert model_revision("lungs") == manifest.revision[:12]
    assert pickles(folder) == ("deep/model.pt",)
    again = pull(store, str(source), "twin")
    assert again.revision == manifest.revision


def test_converting_makes_safetensors_of_the_same_tensors(store: ModelStore, source: Path) -> None:
    pull(store, str(source), "lungs", convert=True)
    folder = model_folder("lungs")
    assert pickles(folder) == ()
    loaded = load_weights(find_weights(folder, "deep/model"))
    assert set(loaded) == set(WEIGHTS)
    assert all(torch.equal(loaded[name], WEIGHTS[name]) for name in WEIGHTS)
    assert (source / "deep" / "model.pt").exists()


def test_whatever_changed_is_named(store: ModelStore, source: Path) -> None:
    pull(store, str(source), "lungs", convert=True)
    folder = store.folder("lungs")
    (folder / "README.md").write_text("other")
    (folder / "extra.py").write_text("print()")
    (folder / "deep" / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable) as caught:
        model_folder("lungs")
    for said in ("README.md was changed", "extra.py is not in the manifest", "model.safetensors is missing"):
        assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"source": "x", "revision": "y", "sha256": {}}'])
def test_a_damaged_manifest_is_told(store: ModelStore, source: Path, text: str) -> None:
    pull(store, str(source), "lungs")
    (store.folder("lungs") / MANIFEST).write_text(text)
    with pytest.raises(ModelUnavailable, match="can't be read"):
        model_folder("lungs")


def test_names_and_pins_are_held_to(store: ModelStore, source: Path) -> None:
    pull(store, str(source), "lungs")
    with pytest.raises(ModelUnavailable, match="already"):
        pull(store, str(source), "lungs")
    with pytest.raises(ModelUnavailable, match="no name of a model"):
        pull(store, str(source), "../escape")
    with pytest.raises(ModelUnavailable, match="pins 123"):
        model_folder("lungs", "123")
    with pytest.raises(ModelUnavailable, match="is of revision unknown"):
        model_folder(source, "123")
    with pytest.raises(ModelUnavailable, match="there is no model"):
        model_folder("livers")
    assert model_revision("livers") == "unknown"


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "abc123"])
def test_a_hub_is_asked_for_a_commit_only(store: ModelStore, revision: str | None) -> None:
    with pytest.raises(ModelUnavailable, match="by its commit"):
        pull(store, "organisation/model", "hub", revision)
    assert store.names() == ()


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code ran",)


def test_pickles_are_refused_and_their_code_never_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(1), "b": Evil()}, file)
    with pytest.raises(ModelUnavailable, match="pickles are refused"):
        load_weights(file)
    with pytest.raises(ModelUnavailable, match="can't be read"):
        load_weights(file, allow_pickle=True)
    assert "code ran" not in capsys.readouterr().out


def test_what_holds_no_weights_is_told(tmp_path: Path) -> None:
    torch.save({"epoch": 7}, tmp_path / "none.pt")
    with pytest.raises(ModelUnavailable, match="hold no state dict"):
        load_weights(tmp_path / "none.pt", allow_pickle=True)
    (tmp_path / "torn.safetensors").write_bytes(b"\x10")
    with pytest.raises(ModelUnavailable, match="can't be read"):
        load_weights(tmp_path / "torn.safetensors")
    with pytest.raises(ModelUnavailable, match="holds no model"):
        find_weights(tmp_path, "model")


def test_safetensors_come_first(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "model.pt")
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    assert find_weights(tmp_path, "model").suffix == ".safetensors"
    assert set(load_file(tmp_path / "model.safetensors")) == set(WEIGHTS)


def test_the_manifest_is_plain_json(store: ModelStore, source: Path) -> None:
    pull(store, str(source), "lungs")
    assert set(json.loads((store.folder("lungs") / MANIFEST).read_text())) == {
        "source",
        "revision",
        "licence",
        "sha256",
    }
