"""Devices: threads, measured memory, and what an out-of-memory error looks like."""

from __future__ import annotations

import gc
import os

from dicom_node.infer.limits import resident_mb


def limit_threads(count: int | None = None) -> int:
    """Sets how many CPU threads torch may use, so that reception never starves; returns the number.

    Args:
        count: threads; None: all cores but one, and at least one.
    """
    import torch

    count = count or max(1, (os.cpu_count() or 2) - 1)
    torch.set_num_threads(count)
    return count


def is_there(device: str) -> bool:
    """Whether torch can use a device: "cpu", "cuda:0"."""
    if not device.startswith("cuda"):
        return True
    import torch

    return int(device.partition(":")[2] or 0) < torch.cuda.device_count()


def used_mb(device: str) -> float:
    """Memory in use, in MB: what torch has allocated on a GPU, or this process's resident memory."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.memory_allocated(device)) / 1e6
    return resident_mb()


def release(device: str) -> None:
    """Gives memory of dropped models back to the device."""
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch's CPU allocator raises a plain RuntimeError."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
