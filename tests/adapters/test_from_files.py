"""Each adapter from DICOM files to objects in every form; none tells where on this machine a model lies."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.config import Config, PipelineConfig, resolve
from dicom_node.encode import PROFILES, Taker, to_bytes
from dicom_node.encode.dispatch import FORMS
from dicom_node.encode.plan import SOP_CLASSES
from dicom_node.infer.engine import Engine
from dicom_node.models import model_revision
from dicom_node.node.finishing import Ran
from dicom_node.node.orders import Order
from dicom_node.node.running import run
from dicom_node.phantom import write_series
from dicom_node.pipeline import Pipeline
from dicom_node.records import JobState
from tests.adapters.test_wrong_models import ADAPTERS, HALVES, Adapter
from tests.adapters.volumes import AXIAL, lopsided, seen

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")
FOLDER = "the site's own models"
"""With spaces, as a site may well have it."""
RAW = frozenset((uid, str(ExplicitVRLittleEndian)) for uid in SOP_CLASSES.values())
ALL = Taker("pacs", tuple(FORMS), PROFILES["any"], RAW)
PACS = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}
SITE = Config.model_validate({"destinations": {"pacs": PACS}})
TILED = {"input": {"tile": [4, 4, 4]}}
OF_A_RUN: dict[str, dict[str, Any]] = {
    "pt2": TILED,
    "onnx": TILED,
    "everything": {"least_score": 0, "least_mm2": 0, "most_share": 1, "mask_threshold": -100, "points": 2},
}
"""Files that take one size alone; random weights to which nothing would stand out."""
COMMENT = "Known nodule of 8 mm in the left lung."


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sequence[Path]]:
    """A series of each modality that the adapters want."""
    volume = seen(*lopsided(), *AXIAL)
    folder = tmp_path_factory.mktemp("images")
    return {
        modality: write_series(
            volume.array, volume.grid, folder / modality, modality, {"ImageComments": COMMENT}
        )
        for modality in ("CT", "MR")
    }


def order_for(pipeline: Pipeline, images: dict[str, Sequence[Path]]) -> Order:
    wanted = next(iter(pipeline.requirements.values())).modality or ("MR",)
    return Order(
        job_id="job",
        pipeline="it",
        paths=dict.fromkeys(pipeline.roles, images[wanted[0]]),
        revision=1,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        takers=(ALL,),
        algorithm=pipeline.algorithm,
        title=pipeline.title,
    )


def made_by(adapter: Adapter, model: Path, **options: Any) -> Pipeline:
    described = {"use": adapter.use, "options": {"model": str(model)} | adapter.options | options}
    return resolve(PipelineConfig.model_validate(described))


def contents(ran: Ran) -> list[bytes]:
    return [*(to_bytes(one) for one in ran.objects), *(one.content for one in ran.files)]


def strings(ds: Dataset) -> list[str]:
    """Every text anywhere in a data set."""
    return [str(element.value) for element in ds.iterall() if isinstance(element.value, str)]


def assert_no_folder(ran: Ran, model: Path) -> None:
    assert contents(ran), ran.reason
    for content in contents(ran):
        for part in (str(model.parent), FOLDER, "/tmp/"):  # noqa: S108 - where pytest puts folders
            assert part.encode() not in content
    for text in (text for one in ran.objects for text in strings(one.ds)):
        assert not re.search(r"(?<![\w.:/])/\w+/", text), text


@pytest.mark.parametrize("name", ADAPTERS)
def test_from_files_to_every_form_of_object(
    name: str, tmp_path: Path, images: dict[str, Sequence[Path]]
) -> None:
    if name in ("nnunet", "total") and importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("nnU-Net, an option, is not installed: dicom-node[nnunet]")
    adapter, model = ADAPTERS[name], tmp_path / FOLDER / "lumps"
    model.parent.mkdir()
    adapter.make(model)
    pipeline = made_by(adapter, model, title="Lumps", **OF_A_RUN.get(name, {}))
    ran = run(order_for(pipeline, images), Engine({"it": pipeline}, "cpu"), SITE, lambda _fraction: None)
    assert_no_folder(ran, model)
    assert ran.state is JobState.DONE, ran.reason
    if name == "embedder":  # what it finds is kept, and sent to nobody
        assert ran.objects == ()
        assert len(ran.files) == 1
    else:
        [report] = [one.ds for one in ran.objects if one.kind == "sr"]
        told = strings(report)
        assert any("model=lumps" in text for text in told)
        assert not any(text.startswith(("title=", "allow_pickle=", "requires")) for text in told)
        assert any(model_revision(model) in text for text in told), "which weights, by their digest"
    if name == "extractor":
        assert "DRAFT, not verified: side: left" in told
        assert f"Support: {COMMENT}" in told


@pytest.mark.parametrize("name", ["bundle", "ts", "classifier", "text"])
def test_where_a_model_goes_while_the_node_runs(
    name: str, tmp_path: Path, images: dict[str, Sequence[Path]]
) -> None:
    """Its reason, which names the folder for the administrator, is told without it."""
    adapter, model = ADAPTERS[name], tmp_path / FOLDER / "lumps"
    model.parent.mkdir()
    adapter.make(model)
    pipeline = made_by(adapter, model)
    shutil.rmtree(model)
    ran = run(order_for(pipeline, images), Engine({"it": pipeline}, "cpu"), SITE, lambda _fraction: None)
    assert ran.state is JobState.FAILED
    assert str(model) in (ran.reason or "")
    assert_no_folder(ran, model)
    told = [text for one in ran.objects for text in strings(one.ds)]
    assert any('there is no model "lumps"' in text for text in told)


def test_what_the_draft_was_made_with_is_told(tmp_path: Path) -> None:
    adapter, model = ADAPTERS["text"], tmp_path / FOLDER / "lumps"
    adapter.make(model)
    options = {"of_options": {"applies": True}, "system": "Be brief.", "prompt": "{findings}"}
    told = dict(made_by(adapter, model, **options).algorithm.parameters)
    assert told["draft"] == f"text_drafter: lumps 2+{model_revision(model)}"
    assert told["draft.model"] == "lumps"
    assert told["draft.of"] == HALVES["of"]
    assert (told["draft.system"], told["draft.prompt"]) == ("Be brief.", "{findings}")
    assert told["applies"] == "True"
    assert not any("of_options" in name for name in told)
