"""Warm models: the node's own time around a network, beside a process for each case; precisions on a GPU."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import OURS, Case, Subject, main
from dicom_node.config import Config
from dicom_node.encode import PROFILES, Taker
from dicom_node.headers import plain, read_header
from dicom_node.infer.engine import Engine
from dicom_node.node.orders import Order
from dicom_node.node.running import run
from dicom_node.phantom import axial_grid, write_series
from dicom_node.pipeline import (
    MILLILITRE,
    VOLUME,
    Finding,
    Input,
    Measurement,
    Options,
    Pipeline,
    Segmentation,
    segment_for,
)
from dicom_node.pipeline import Case as PipelineCase
from dicom_node.volume import read_volume

CHANNELS = 8


class Network(Pipeline):
    """A small convolutional network with random weights, which keeps the time that it took itself."""

    name, version, title = "network", "1", "Network"

    def load(self, device: str) -> None:
        """Makes the network."""
        import torch

        torch.manual_seed(0)
        self._device = device
        self._network = torch.nn.Sequential(
            torch.nn.Conv3d(1, CHANNELS, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(CHANNELS, 2, 1)
        ).to(device)
        self.seconds = 0.0

    def run(self, case: PipelineCase) -> Iterable[Finding]:
        """Yields a mask and its volume."""
        import torch

        started = time.perf_counter()
        with torch.no_grad():
            image = torch.from_numpy(case.volume.array.astype(np.float32))[None, None].to(self._device)
            array = np.asarray(self._network(image)[0].argmax(dim=0).to(torch.uint8).cpu())
        array[0, 0, 0] = 1
        self.seconds = time.perf_counter() - started
        yield Segmentation(array, (segment_for("lung"),))
        volume = float(np.count_nonzero(array)) * case.volume.grid.voxel_ml
        yield Measurement(VOLUME, volume, MILLILITRE, "lung")


def read(folder: Path) -> PipelineCase:
    """A folder of DICOM files as a pipeline sees it."""
    files = sorted(folder.iterdir())
    return PipelineCase({"image": Input(read_volume(files), plain(read_header(files[0])))})


def order(folder: Path) -> Order:
    """What the coordinator asks of a worker for a folder."""
    return Order(
        job_id="bench",
        pipeline="network",
        paths={"image": sorted(folder.iterdir())},
        revision=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        takers=(Taker("pacs", ("seg", "sr"), PROFILES["generic"]),),
        algorithm=Network(Options()).algorithm,
        title=Network.title,
    )


def milliseconds(work: Callable[[], object], pipeline: Network) -> float:
    """Time of some work in ms, less what the network took itself."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started - pipeline.seconds)


def once(folder: str) -> None:
    """What a process for each case does: import, load, run, and tell the network's own seconds."""
    pipeline = Network()
    Engine({"network": pipeline}, "cpu").run("network", read(Path(folder)))
    print(pipeline.seconds)


def by_process(folder: Path) -> float:
    """Milliseconds of a case in a process of its own, less what the network took itself."""
    call = f"from bench.models import once; once({str(folder)!r})"
    started = time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", call], check=True, capture_output=True, text=True)
    return 1000 * (time.perf_counter() - started - float(ended.stdout.split()[-1]))


def warm_cases(folder: Path) -> Iterator[Case]:
    """The second case on a warm model: the engine alone, with reading, and the whole job with encoding."""
    pipeline, case, config = Network(Options()), read(folder), Config()
    engine = Engine({"network": pipeline}, "cpu")
    engine.run("network", case)
    alone: dict[str, Subject] = {
        OURS: lambda: milliseconds(lambda: engine.run("network", case), pipeline),
    }
    yield Case("ms own time warm, engine alone", "ms", alone, "less")
    from_files: dict[str, Subject] = {
        OURS: lambda: milliseconds(lambda: engine.run("network", read(folder)), pipeline),
        "a process for each case": lambda: by_process(folder),
    }
    yield Case("ms own time warm, from files", "ms", from_files, "less")

    def whole() -> object:
        return run(order(folder), engine, config, lambda _fraction: None)

    whole()
    yield Case(
        "ms own time warm, files to SEG and SR", "ms", {OURS: lambda: milliseconds(whole, pipeline)}, "less"
    )


def networks(quick: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Architectures with random weights, each a callable that makes (network, inputs)."""
    import torch

    def swin() -> Any:
        from monai.networks.nets.swin_unetr import SwinUNETR

        size = 64 if quick else 96
        made = SwinUNETR(in_channels=1, out_channels=14, feature_size=12 if quick else 48)
        return made, {"x_in": torch.randn(1, 1, size, size, size)}

    def vision_language() -> Any:
        import transformers as hf

        wide, layers = (64, 2) if quick else (2048, 16)
        text = hf.LlamaConfig(
            hidden_size=wide,
            intermediate_size=4 * wide,
            num_hidden_layers=layers,
            num_attention_heads=wide // 32,
            vocab_size=32000,
        )
        vision = hf.CLIPVisionConfig(
            hidden_size=wide // 2,
            num_hidden_layers=layers,
            num_attention_heads=wide // 64,
            image_size=336,
            patch_size=14,
        )
        config = hf.LlavaConfig(vision_config=vision, text_config=text, image_token_index=31999)
        ids = torch.randint(0, 31000, (1, 700))
        ids[:, 10:586] = 31999
        return hf.LlavaForConditionalGeneration(config), {
            "input_ids": ids,
            "pixel_values": torch.randn(1, 3, 336, 336),
        }

    yield "SwinUNETR, one tile", swin
    yield "vision-language model, one prompt", vision_language


def precision_cases(quick: bool) -> Iterator[Case]:
    """Latency of one forward pass in each precision, and how far its output is from float32's."""
    import torch

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not quick:
        print("precisions left out: no GPU", file=sys.stderr)
        return
    for name, make in networks(quick):
        torch.manual_seed(0)
        network, inputs = make()
        network = network.eval().to(device)
        inputs = {key: value.to(device) for key, value in inputs.items()}
        truth = forward(network, inputs, torch.float32)

        kinds = [torch.float32, torch.bfloat16, *([torch.float16] if device != "cpu" else [])]
        names = {str(kind).removeprefix("torch."): kind for kind in kinds}
        latencies: dict[str, Subject] = {n: partial(latency, network, inputs, k) for n, k in names.items()}
        yield Case(f"{name}, {device}", "ms", latencies, "less")
        differences: dict[str, Subject] = {
            n: partial(apart, network, inputs, k, truth) for n, k in names.items()
        }
        yield Case(f"{name}, mean difference", "of float32", differences, "less")


def latency(network: Any, inputs: Any, dtype: Any) -> float:
    """Milliseconds of one forward pass, after one that warmed up."""
    forward(network, inputs, dtype)
    started = time.perf_counter()
    forward(network, inputs, dtype)
    return 1000 * (time.perf_counter() - started)


def apart(network: Any, inputs: Any, dtype: Any, truth: Any) -> float:
    """Mean absolute difference of the output from the full precision's, as a part of its mean size."""
    off = forward(network, inputs, dtype) - truth
    return float(off.abs().mean() / truth.abs().mean())


def forward(network: Any, inputs: Any, dtype: Any) -> Any:
    """The network's output in float32, computed under autocast to a precision; the device has finished."""
    import torch

    kind = next(network.parameters()).device.type
    with torch.no_grad(), torch.autocast(kind, dtype=dtype, enabled=dtype != torch.float32):
        output = network(**inputs)
    output = getattr(output, "logits", output).float()
    if kind == "cuda":
        torch.cuda.synchronize()
    return output


def cases(quick: bool) -> Iterator[Case]:
    """Yields each case while the series it reads is on disk."""
    shape = (20, 128, 128) if quick else (100, 192, 192)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "series"
        array = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.int16)
        write_series(array, axial_grid(shape, (2.0, 1.0, 1.0)), folder, "CT")
        yield from warm_cases(folder)
    yield from precision_cases(quick)


if __name__ == "__main__":
    main(cases)
