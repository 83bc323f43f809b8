"""Warm models: the node's own time around a network, beside a process for each case; precisions on a GPU."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from bench.architectures import precision_cases
from bench.harness import OURS, Case, Subject, main
from bench.network import Network, NetworkOptions
from bench.small import small_cases
from bench.working import busy_in_a_row, busy_in_worker, second_case, site, worker
from dicom_node.config import Config
from dicom_node.config.models import DestinationConfig
from dicom_node.encode import PROFILES, Taker
from dicom_node.headers import plain, read_header
from dicom_node.infer.engine import Engine
from dicom_node.node.orders import Order
from dicom_node.node.running import run
from dicom_node.phantom import axial_grid, write_series
from dicom_node.pipeline import Case as PipelineCase
from dicom_node.pipeline import Input
from dicom_node.volume import read_volume

LIGHT = NetworkOptions(passes=0)


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
        algorithm=Network(LIGHT).algorithm,
        title=Network.title,
    )


def milliseconds(work: Callable[[], object], pipeline: Network) -> float:
    """Time of some work in ms, less what the network took itself."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started - pipeline.seconds)


def once(folder: str) -> None:
    """What a process for each case does: import, load, run, and tell the network's own seconds."""
    pipeline = Network(LIGHT)
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
    pipeline, case = Network(LIGHT), read(folder)
    config = Config(destinations={"pacs": DestinationConfig(host="127.0.0.1")})
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


def working_cases(quick: bool) -> Iterator[Case]:
    """A running worker: what it adds to a network's own time, and how busy a queue keeps the device."""
    for slices in (20,) if quick else (100, 300):
        with site(passes=0) as made, worker(made):
            times = second_case(made, (slices, 512, 512))
            next(times)  # the first case also loads what encoding needs
            name = f"ms own time warm, in a worker, {slices} slices of 512 x 512"
            yield Case(name, "ms", {OURS: partial(next, times)}, "less")
    studies, passes = (4, 1) if quick else (20, 2)
    busy: dict[str, Subject] = {
        OURS: partial(busy_in_worker, studies, passes),
        "one stage after the other": partial(busy_in_a_row, studies, passes),
    }
    yield Case(f"device busy, queue of {studies} mixed studies", "%", busy, "more")


def cases(quick: bool) -> Iterator[Case]:
    """Yields each case while the series it reads is on disk."""
    shape = (20, 128, 128) if quick else (100, 192, 192)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "series"
        array = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.int16)
        write_series(array, axial_grid(shape, (2.0, 1.0, 1.0)), folder, "CT")
        yield from warm_cases(folder)
    yield from working_cases(quick)
    yield from small_cases(quick)
    yield from precision_cases(quick)


if __name__ == "__main__":
    main(cases)
