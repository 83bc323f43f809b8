"""Architectures with random weights in each precision: a forward pass's time, and how far it is off."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench.harness import Case, Subject


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
