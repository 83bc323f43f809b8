"""A missing, wrong or tampered model: one clear error of `check` or at the start, of every adapter."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from dicom_node.config import FaultyConfigError, PipelineConfig, load, resolve
from dicom_node.errors import ModelUnavailable
from dicom_node.infer.engine import Engine
from dicom_node.models import ModelStore
from tests.adapters import hub
from tests.adapters.bundles import write_bundle

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")


@dataclass(frozen=True)
class Adapter:
    """One adapter: how a model for it is made, the file of its weights, and the options beside the model."""

    use: str
    make: Callable[[Path], object]
    weights: str = "*.safetensors"
    options: dict[str, Any] = field(default_factory=dict)


def torch_file(ending: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        network, example = torch.nn.Conv3d(1, 2, 1).eval(), torch.zeros(1, 1, 4, 4, 4)
        if ending == "ts":
            torch.jit.trace(network, example).save(folder / "net.ts")
        elif ending == "pt2":
            torch.export.save(torch.export.export(network, (example,)), folder / "net.pt2")
        else:
            import onnx
            from onnx import TensorProto, helper

            shape = [1, 1, 4, 4, 4]
            ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
            graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", ends[:1], ends[1:])
            onnx.save(helper.make_model(graph, ir_version=10), str(folder / "net.onnx"))

    return make


def trained(folder: Path) -> None:
    from tests.adapters.trained import write_folder

    write_folder(folder)


LABELS = {"output": {"kind": "labels", "names": {1: "tumor"}}}
HALVES = {"of": "tests.adapters.test_transformers_text:Halves", "max_new_tokens": 4}
PROMPTS = {"nodule": {"present": ["a nodule"], "absent": ["no nodule"]}}
TRANSFORMERS = "pipelines.transformers_"
ADAPTERS = {
    "bundle": Adapter(
        "pipelines.monai_bundle:MonaiBundle", write_bundle, "models/*.pt", {"allow_pickle": True}
    ),
    "nnunet": Adapter("pipelines.nnunet:NnUNet", trained, "**/*.pth", {"allow_pickle": True}),
    "total": Adapter(
        "pipelines.totalsegmentator:TotalSegmentator", trained, "**/*.pth", {"allow_pickle": True}
    ),
    **{
        ending: Adapter(
            "pipelines.torch_file:TorchFile",
            torch_file(ending),
            f"net.{ending}",
            LABELS | {"file": f"net.{ending}"},
        )
        for ending in ("ts", "pt2", "onnx")
    },
    "classifier": Adapter(f"{TRANSFORMERS}classify:ImageClassifier", hub.classifier),
    "zero-shot": Adapter(f"{TRANSFORMERS}zero_shot:ZeroShot", hub.clip, options={"prompts": PROMPTS}),
    "detector": Adapter(f"{TRANSFORMERS}detect:Detector", hub.detector),
    "prompted": Adapter(
        f"{TRANSFORMERS}segment:PromptedSegmenter",
        hub.sam,
        options={"structures": {"liver": {"point": [0, 0, 0]}}},
    ),
    "everything": Adapter(f"{TRANSFORMERS}segment:EverythingSegmenter", hub.sam),
    "embedder": Adapter(f"{TRANSFORMERS}embed:ImageEmbedder", hub.encoder),
    "text": Adapter(f"{TRANSFORMERS}draft:TextDrafter", hub.language_model, options=HALVES),
    "vision": Adapter(f"{TRANSFORMERS}draft:VisionDrafter", hub.vision_language_model, options=HALVES),
    "extractor": Adapter(
        f"{TRANSFORMERS}extract:ReportExtractor", hub.form_filler, options={"fields": {"side": {}}}
    ),
}


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    if request.param in ("nnunet", "total") and importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("nnU-Net, an option, is not installed: dicom-node[nnunet]")
    return ADAPTERS[request.param]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: Adapter) -> Path:
    """A conf.yaml that names the adapter and a model "it" of the store, which is not there yet."""
    monkeypatch.setenv("DICOM_NODE_MODELS", str(tmp_path / "store"))
    described = {"it": {"use": adapter.use, "options": {"model": "it"} | adapter.options}}
    conf = tmp_path / "conf.yaml"
    conf.write_text(json.dumps({"node": {"data": "var"}, "pipelines": described}))
    return conf


def stored(adapter: Adapter, tmp_path: Path) -> Path:
    adapter.make(tmp_path / "made")
    ModelStore(tmp_path / "store").add("it", tmp_path / "made", origin="made here")
    return tmp_path / "store" / "it"


def fault_of(conf: Path) -> str:
    """The one fault that `dicom-node check`, and the start of a node, tell."""
    with pytest.raises(FaultyConfigError) as caught:
        load(conf, pipelines=True)
    [fault] = caught.value.faults
    text = str(fault)
    assert "\n" not in text
    return text


def warm(adapter: Adapter, model: Path) -> None:
    options = {"model": str(model)} | adapter.options
    made = resolve(PipelineConfig.model_validate({"use": adapter.use, "options": options}))
    Engine({"it": made}, "cpu").warm("it")


def test_a_sound_model_is_checked_and_warmed(site: Path, adapter: Adapter, tmp_path: Path) -> None:
    folder = stored(adapter, tmp_path)
    load(site, pipelines=True)
    warm(adapter, folder)


def test_a_missing_model(site: Path) -> None:
    assert "there is no model 'it'" in fault_of(site)


def test_a_tampered_model(site: Path, adapter: Adapter, tmp_path: Path) -> None:
    [weights] = stored(adapter, tmp_path).glob(adapter.weights)
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert f"{weights.name} was changed" in fault_of(site)
    weights.unlink()
    assert f"{weights.name} is missing" in fault_of(site)


def test_another_revision(site: Path, adapter: Adapter, tmp_path: Path) -> None:
    stored(adapter, tmp_path)
    site.write_text(site.read_text().replace('"model": "it"', f'"model": "it", "revision": "{"0" * 40}"'))
    assert "conf.yaml pins 0000" in fault_of(site)


def test_damaged_weights(adapter: Adapter, tmp_path: Path) -> None:
    """Of a folder that has no checksums: it is told when the model is loaded, which the start does."""
    adapter.make(tmp_path / "it")
    [weights] = (tmp_path / "it").glob(adapter.weights)
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(ModelUnavailable) as caught:
        warm(adapter, tmp_path / "it")
    assert "\n" not in str(caught.value)


def test_a_model_of_another_kind(adapter: Adapter, tmp_path: Path) -> None:
    # Whatever gives an embedding of pictures is right for the embedder.
    pictures = adapter.make in (hub.classifier, hub.encoder)
    make = hub.language_model if pictures else hub.classifier
    make(tmp_path / "it")
    with pytest.raises(ModelUnavailable) as caught:
        warm(adapter, tmp_path / "it")
    assert "\n" not in str(caught.value)
