"""From the files of a CT series to one array: seconds and memory, against SimpleITK, highdicom and pydicom.

Every measurement runs in a fresh process on files that the system has cached; what the process holds before
reading (the interpreter and the imports) doesn't count.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from bench.harness import OURS, Case, Subject, Unavailable, main
from dicom_node.phantom import axial_grid, chest, write_series
from dicom_node.volume import read_volume

SPACING = (0.75, 0.72, 0.72)


def by_dicom_node(paths: list[Path]) -> int:
    return read_volume(paths).array.nbytes


def by_simpleitk(paths: list[Path]) -> int:
    try:
        sitk: Any = import_module("SimpleITK")
    except ImportError as error:
        raise Unavailable(str(error)) from error
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(paths[0].parent)))
    return int(reader.Execute().GetNumberOfPixels())


def by_highdicom(paths: list[Path]) -> int:
    import highdicom

    return int(highdicom.get_volume_from_series([dcmread(path) for path in paths]).array.nbytes)


def by_pydicom(paths: list[Path]) -> int:
    """The loop of most tutorials, in float32: slice by slice, sorted by position, rescaled, stacked."""
    slices = sorted((dcmread(path) for path in paths), key=lambda ds: float(ds.ImagePositionPatient[2]))
    planes = [
        ds.pixel_array.astype(np.float32) * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        for ds in slices
    ]
    return int(np.stack(planes).nbytes)


SUBJECTS: dict[str, Callable[[list[Path]], int]] = {
    OURS: by_dicom_node,
    "simpleitk": by_simpleitk,
    "highdicom": by_highdicom,
    "pydicom": by_pydicom,
}


def read(subject: str, folder: Path) -> tuple[float, float]:
    """Reads a folder once and returns seconds, and MB at the peak above what the process held before."""
    warnings.simplefilter("ignore")
    paths = sorted(folder.iterdir())
    SUBJECTS[subject](paths[:2])  # imports and tables that are made once in a process
    before = _memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here (proc(5))
    began = time.perf_counter()
    SUBJECTS[subject](paths)
    return time.perf_counter() - began, _memory_mb("VmHWM") - before


def _memory_mb(name: str) -> float:
    """A figure of Linux's process status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def in_fresh_process(subject: str, folder: Path, which: int) -> float:
    """Runs `read` in a process of its own and returns one of its two figures."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(read, (subject, folder))[which]


def cases(quick: bool) -> Iterator[Case]:
    """Yields the cases, each while its series lies on disk."""
    count = 40 if quick else 500
    drawn, _, _ = chest((20, 512, 512), (14.0, *SPACING[1:]))
    array = np.tile(drawn, (count // 20, 1, 1))
    with tempfile.TemporaryDirectory() as temporary:
        plain, packed = Path(temporary, "plain"), Path(temporary, "packed")
        write_series(array, axial_grid(array.shape, SPACING), plain, "CT")

        def subjects(folder: Path, which: int) -> dict[str, Subject]:
            return {name: partial(in_fresh_process, name, folder, which) for name in SUBJECTS}

        yield Case(f"seconds {count} slices", "s", subjects(plain, 0), "less")
        yield Case(f"peak memory {count} slices", "MB", subjects(plain, 1), "less")
        packed.mkdir()
        for path in sorted(plain.iterdir())[: count // 5]:
            ds = dcmread(path)
            ds.compress(JPEGLSLossless, generate_instance_uid=False)
            ds.save_as(packed / path.name)
        yield Case(f"seconds {count // 5} slices JPEG-LS", "s", subjects(packed, 0), "less")


if __name__ == "__main__":
    main(cases)
