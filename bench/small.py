"""Many small jobs, such as radiographs: how many a worker carries, and what several at once would gain."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import OURS, Case, Subject, Unavailable
from bench.queued import Queued
from bench.working import Site, worker
from dicom_node.pipeline import PRESENT, Classification, Finding, Pipeline, concept_for
from dicom_node.pipeline import Case as Given

SIDE = 2048
AT_ONCE = 8


class Looked(Pipeline):
    """Says one thing of every image, at no cost."""

    name, version, title = "looked", "1", "Looked at"

    def run(self, case: Given) -> Iterable[Finding]:
        """Yields one classification."""
        yield Classification(concept_for("pneumothorax")[0], PRESENT, case.volume.grid.shape[0] / 2)


LOOKED = {"use": "bench.small:Looked"}


def jobs_a_second(jobs: int, side: int, pipeline: Mapping[str, Any] = LOOKED) -> float:
    """Jobs on one image each that a worker carries, all queued before, from the first one's claim on."""
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        queued = Queued(Path(folder) / "site", {"looked": pipeline})
        made = Site(queued, Path(folder) / "notes")
        for _ in range(jobs):
            queued.job(queued.series(draw.integers(0, 900, (1, side, side)).astype(np.int16)), "looked")
        with worker(made):
            made.wait()
        rows = queued.ledger.views.recent_jobs(jobs)
        queued.ledger.close()
    seconds = max(row["finished_at"] for row in rows) - min(row["started_at"] for row in rows)
    return jobs / float(seconds.total_seconds())


def classified_a_second(jobs: int, side: int, at_once: int) -> float:
    """The same with a small vision transformer (ViT-Ti/16, random weights) that takes so many at once."""
    try:
        from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor
    except ImportError as missing:
        raise Unavailable(f"{missing.name} is not installed") from None
    config: Any = ViTConfig(hidden_size=192, num_attention_heads=3, intermediate_size=768)
    with tempfile.TemporaryDirectory() as folder:
        parts: tuple[Any, ...] = (ViTForImageClassification(config), ViTImageProcessor())
        for part in parts:
            part.save_pretrained(folder)
        options = {"model": folder, "at_once": at_once}
        classifier = {"use": "pipelines.transformers_classify:ImageClassifier", "options": options}
        return jobs_a_second(jobs, side, classifier)


def milliseconds_a_picture(at_once: int) -> float:
    """What a ViT-B/16 of random weights takes for one of `at_once` pictures of 224 x 224, on the CPU.

    The best of five, on one thread: threads that wait for one another tell of whatever else runs.
    """
    try:
        import torch
        from transformers import ViTConfig, ViTModel
    except ImportError as missing:
        raise Unavailable(f"{missing.name} is not installed") from None
    network: Any = ViTModel(ViTConfig())
    network.eval()
    pictures = torch.zeros(at_once, 3, 224, 224)
    threads, took = torch.get_num_threads(), []
    torch.set_num_threads(1)
    with torch.no_grad():
        for _ in range(5):
            started = time.perf_counter()
            network(pixel_values=pictures)
            took.append(time.perf_counter() - started)
    torch.set_num_threads(threads)
    return 1000 * min(took) / at_once


def small_cases(quick: bool) -> Iterator[Case]:
    """A queue of single images, and a network on pictures one by one and together."""
    jobs, side = (4, 256) if quick else (64, SIDE)
    carried: dict[str, Subject] = {OURS: partial(jobs_a_second, jobs, side)}
    yield Case(
        f"a worker on a queue of {jobs} images of {side} x {side}, no network", "jobs/s", carried, "more"
    )
    classified: dict[str, Subject] = {
        "one at a time": partial(classified_a_second, jobs, side, 1),
        f"{AT_ONCE} at once": partial(classified_a_second, jobs, side, AT_ONCE),
    }
    yield Case(f"a worker on a queue of {jobs} such images, ViT-Ti/16", "jobs/s", classified, "more")
    network: dict[str, Subject] = {
        "one at a time": partial(milliseconds_a_picture, 1),
        f"{AT_ONCE} at once": partial(milliseconds_a_picture, AT_ONCE),
    }
    yield Case("ViT-B/16 on the CPU, a picture", "ms", network, "less")
