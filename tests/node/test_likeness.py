"""Embeddings of a real, tiny encoder: kept with their series, found by likeness, gone with their series."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from bench.queued import WHOLE, Queued
from dicom_node.cli.app import app
from dicom_node.ledger import NewJob
from dicom_node.models import model_revision
from dicom_node.node.housekeeping import keep_house
from dicom_node.node.site import open_site
from dicom_node.records import SeriesState
from dicom_node.similar import cosine, read_embedding
from tests.adapters import hub
from tests.node.conftest import WorkerAtWork

pytest.importorskip("transformers")
ROUTE = "all"
"""Of the queue's conf.yaml."""


@dataclass
class Kept:
    """A site with three series that a worker has run an encoder on, and one that it has not."""

    site: WorkerAtWork
    head: str
    nearly: str
    other: str
    unasked: str

    def run(self, *uids: str) -> None:
        """Queues a job on each series' present revision, and lets a worker end them all."""
        for uid in uids:
            self.site.queued.job(uid, "dino", route=ROUTE)
        self.site.start()
        self.site.wait_done()
        self.site.stop()

    def tell(self, *arguments: str, code: int = 0) -> str:
        """What the command says."""
        config = str(self.site.queued.config_path)
        ran = CliRunner().invoke(app, ["similar", *arguments, "--config", config])
        assert ran.exit_code == code, ran.output
        return ran.output

    def alike(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.tell(*arguments, "--json"))
        return found

    def vector(self, uid: str) -> NDArray[np.float32]:
        [one] = self.site.queued.ledger.embeddings.of(uid)
        return read_embedding(self.site.queued.spool.path(one.path)).vector

    @property
    def files(self) -> list[Path]:
        return sorted((self.site.queued.spool.root / "results").rglob("*"))


def pictures() -> Iterator[NDArray[np.int16]]:
    """A ball in the corner, nearly the same one, and stripes; all of one size, in HU."""
    k, j, i = np.mgrid[:6, :32, :32]
    ball = ((j - 10) ** 2 + (i - 10) ** 2 < 50) * 900 - 400
    yield ball.astype(np.int16)
    yield (ball + (i > 28) * 40).astype(np.int16)
    yield ((i // 4 % 2) * 900 - 400 + k * 10).astype(np.int16)
    yield np.zeros_like(ball).astype(np.int16)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    model = hub.encoder(folder / "tiny-dino")
    options = {"model": str(model), "slices": 3, "window": [0, 1000]}
    described = {"dino": {"use": "pipelines.transformers_embed:ImageEmbedder", "options": options}}
    site = WorkerAtWork(folder, Queued(folder / "site", described))
    made = Kept(site, *(site.queued.series(picture) for picture in pictures()))
    try:
        made.run(made.head, made.nearly, made.other)
        yield made
    finally:
        site.kill()
        site.queued.ledger.close()


def test_a_series_embedding_is_a_result_that_nobody_is_owed(kept: Kept) -> None:
    jobs = [job for job in kept.site.jobs().values() if job["series_instance_uid"] == kept.head]
    assert [job["state"] for job in jobs] == ["done"]
    [row] = kept.site.queued.ledger.views.results(jobs[0]["id"])
    assert (row["kind"], row["series_instance_uid"]) == ("embedding", kept.head)
    held = read_embedding(kept.site.queued.spool.path(row["path"]))
    assert held.vector.shape == (16,)
    assert held.vector.std() > 0
    assert held.model == "tiny-dino"
    assert held.version == model_revision(kept.site.folder / "tiny-dino")
    assert held.of == "mean over 3 key slices, float32"
    assert kept.site.queued.ledger.views.deliveries() == []


def test_the_most_alike_come_first_with_their_cosines(kept: Kept) -> None:
    [found] = kept.alike(kept.head)
    assert found["compared"] == 2
    assert [one["series_instance_uid"] for one in found["alike"]] == [kept.nearly, kept.other]
    near, far = (one["cosine"] for one in found["alike"])
    assert 1 > near > far
    assert near == pytest.approx(cosine(kept.vector(kept.head), kept.vector(kept.nearly)))
    [only] = kept.alike(kept.head, "--most", "1")
    assert len(only["alike"]) == 1


def test_a_study_is_asked_for_as_its_series_are(kept: Kept) -> None:
    [series] = kept.alike(kept.head)
    [study] = kept.alike(series["study_instance_uid"])
    assert study == series
    said = kept.tell(kept.head)
    assert kept.nearly in said
    assert "2 other series compared" in said


def test_it_says_so_where_there_is_nothing_to_compare(kept: Kept) -> None:
    assert "no series or study 1.2.3 is held" in kept.tell("1.2.3", code=1)
    said = " ".join(kept.tell(kept.unasked, code=1).split())
    assert f"no embedding is kept of {kept.unasked}" in said


def test_one_that_can_not_be_read_costs_no_other(kept: Kept) -> None:
    [one] = kept.site.queued.ledger.embeddings.of(kept.other)
    path = kept.site.queued.spool.path(one.path)
    content = path.read_bytes()
    try:
        path.write_bytes(content[:100])
        config = ["--config", str(kept.site.queued.config_path)]
        ran = CliRunner().invoke(app, ["similar", kept.head, "--json", *config])
        assert ran.exit_code == 0
        assert '"compared": 1' in ran.output
        assert "holds no embedding" in kept.tell(kept.other, code=1)
    finally:
        path.write_bytes(content)


def test_the_last_revisions_embedding_counts_and_all_go_with_the_series(kept: Kept) -> None:
    """Runs last: it forgets the series."""
    ledger = kept.site.queued.ledger
    [first] = ledger.embeddings.of(kept.head)
    kept.site.queued.late_image(kept.head)
    again = NewJob(ROUTE, "dino", {"image": kept.head}, (), 0, {"when": []})
    assert ledger.work.complete(kept.head, 2, WHOLE, [again], datetime.now(UTC))
    kept.run()
    [second] = ledger.embeddings.of(kept.head)
    assert second.path != first.path
    assert {first.path, second.path} <= {str(p.relative_to(kept.site.queued.spool.root)) for p in kept.files}
    [found] = kept.alike(kept.nearly)
    assert found["compared"] == 2, "the series counts once"
    with open_site(kept.site.queued.config_path) as site:
        at_once = site.config.keep.model_copy(update={"images_days": 0})
        object.__setattr__(site, "config", site.config.model_copy(update={"keep": at_once}))
        assert keep_house(site) == 3
    assert [row["state"] for row in ledger.views.recent_series()] == [SeriesState.ARRIVING], "never asked for"
    assert kept.files == [], "neither embeddings nor what the runs said"
    assert "is held" in kept.tell(kept.head, code=1)
