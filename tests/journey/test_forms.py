"""One job, several destinations: each gets every output in the form that it takes, by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.deliver.contexts import sop_class_name
from dicom_node.encode.plan import SOP_CLASSES
from dicom_node.phantom import write_chest
from tests.encode.test_valid import OLDER_THAN_LABEL_MAPS
from tests.journey.node import AE_TITLE, RunningNode
from tests.peers import Orthanc, dcentvfy, dciodvfy, free_port, storescu
from tests.peers.dcmtk import Storescp, storescp

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
LABELS, SEG, RT, SR, SC = (SOP_CLASSES[form] for form in ("labelmap", "seg", "rtstruct", "sr", "sc"))
RESTRICTED = """
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Some]
{contexts}
[[Profiles]]
[Some]
PresentationContexts = Some
"""
ACCEPTED = {
    "no_label_maps": (SEG, RT, SR, SC),
    "no_segmentations": (RT, SR, SC),
    "pictures_alone": (SC,),
}
FORMS = {
    "no_label_maps": {
        "Segmentation Storage",
        "Comprehensive 3D SR Storage",
        "Secondary Capture Image Storage",
    },
    "no_segmentations": {
        "RT Structure Set Storage",
        "Comprehensive 3D SR Storage",
        "Secondary Capture Image Storage",
    },
    "pictures_alone": {"Secondary Capture Image Storage"},
    "everything": {
        "Label Map Segmentation Storage",
        "Comprehensive 3D SR Storage",
        "Secondary Capture Image Storage",
    },
}


@contextmanager
def restricted(folder: Path, accepted: tuple[str, ...]) -> Iterator[Storescp]:
    """DCMTK's receiver that accepts these SOP classes, uncompressed, and no others."""
    folder.mkdir()
    file = folder / "storescp.cfg"
    lines = (f"PresentationContext{n} = {uid}\\Plain" for n, uid in enumerate(accepted, start=1))
    file.write_text(RESTRICTED.format(contexts="\n".join(lines)))
    with storescp(folder, options=["-xf", str(file), "Some"], plain=True) as peer:
        yield peer


@dataclass
class Delivered:
    """What one job brought to each destination."""

    node: RunningNode
    sources: list[Path]
    held: dict[str, list[Path]]

    def of(self, name: str) -> list[Dataset]:
        return [pydicom.dcmread(path) for path in self.held[name]]


def conf(port: int, **more: Any) -> dict[str, Any]:
    return {"ae_title": "PEER", "host": "127.0.0.1", "port": port, "profile": "ohif", **more}


def node_for(folder: Path, destinations: dict[str, Any], **sections: Any) -> RunningNode:
    route = {"name": "chest", "when": {"Modality": "CT"}, "run": "lung", "send": list(destinations)}
    changes = {"routes": [route], "destinations": destinations, **sections}
    return RunningNode(folder, 1, changes=changes)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    write_chest(folder)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def delivered(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    folder = tmp_path_factory.mktemp("forms")
    study = str(pydicom.dcmread(sources[0], stop_before_pixels=True).StudyInstanceUID)
    with ExitStack() as stack:
        pacs = stack.enter_context(Orthanc(folder / "orthanc"))
        peers = {
            name: stack.enter_context(restricted(folder / name, uids)) for name, uids in ACCEPTED.items()
        }
        destinations = {name: conf(peer.port) for name, peer in peers.items()}
        destinations["everything"] = conf(pacs.dicom_port)
        node = stack.enter_context(node_for(folder / "node", destinations))
        node.wait_asked()
        assert storescu(sources, "127.0.0.1", node.port, AE_TITLE).ok
        (job,) = node.wait_done(1)
        assert (job["state"], job["reason"]) == ("done", None)
        held = {name: peer.files() for name, peer in peers.items()}
        uids = [uid for one in pacs.series(study) for uid in one.instances.values()]
        held["everything"] = [pacs.download(uid, folder) for uid in uids]
        yield Delivered(node, sources, held)


@pytest.mark.parametrize("name", FORMS)
def test_each_destination_has_what_it_takes(delivered: Delivered, name: str) -> None:
    objects = delivered.of(name)
    assert {sop_class_name(ds.SOPClassUID) for ds in objects} == FORMS[name]
    assert len(objects) == len(FORMS[name])
    for path in delivered.held[name]:
        assert [line for line in dciodvfy(path) if OLDER_THAN_LABEL_MAPS not in line] == [], path
    own = [str(path) for path in delivered.held[name]]
    study = str(objects[0].StudyInstanceUID)  # which a structure set must name as if it were an instance
    lines = [line for line in dcentvfy([*delivered.sources, *delivered.held[name]]) if study not in line]
    assert [line for line in lines if any(path in line for path in own)] == []


def test_a_report_refers_to_the_segmentation_that_lies_beside_it(delivered: Delivered) -> None:
    segmentations = {
        ds.SOPInstanceUID
        for objects in delivered.held.values()
        for ds in map(pydicom.dcmread, objects)
        if ds.Modality == "SEG"
    }
    assert len(segmentations) == 2
    for name in ("everything", "no_label_maps", "no_segmentations"):
        (report,) = [ds for ds in delivered.of(name) if ds.Modality == "SR"]
        beside = {ds.SOPInstanceUID for ds in delivered.of(name) if ds.Modality == "SEG"}
        assert {uid for uid in segmentations if uid in report.to_json()} == beside


def test_the_same_picture_goes_to_all(delivered: Delivered) -> None:
    pictures = [ds for name in FORMS for ds in delivered.of(name) if ds.SOPClassUID == SC]
    assert len(pictures) == 4
    assert len({ds.SOPInstanceUID for ds in pictures}) == 1
    assert len({ds.pixel_array.tobytes() for ds in pictures}) == 1


def test_each_choice_is_on_record_with_its_reason(delivered: Delivered) -> None:
    ledger = delivered.node.ledger
    (job,) = ledger.views.recent_jobs()
    ledger.close()
    chosen = {(one["destination"], one["output"]): (one["form"], one["reason"]) for one in job["choices"]}
    assert len(chosen) == 12
    assert chosen["everything", "seg"] == ("labelmap", "the best form, and it is accepted")
    assert chosen["no_label_maps", "seg"] == ("seg", "labelmap: not accepted by the destination")
    assert chosen["no_segmentations", "seg"][0] == "rtstruct"
    assert chosen["pictures_alone", "sr"][0] == "sc"
    study = str(delivered.of("everything")[0].StudyInstanceUID)
    for command in (["status", "--all"], ["explain", study]):
        arguments = [*command, "--config", str(delivered.node.config_path)]
        output = " ".join(CliRunner().invoke(app, arguments).output.split())
        assert "rtstruct" in output, command


def test_all_are_delivered_and_owed_nothing(delivered: Delivered) -> None:
    ledger = delivered.node.ledger
    rows = ledger.views.deliveries()
    ledger.close()
    assert {row["state"] for row in rows} == {"delivered"}
    assert len(rows) == sum(len(forms) for forms in FORMS.values())


def test_a_destination_that_is_away_blocks_nobody_and_gets_what_its_profile_shows(
    sources: list[Path], tmp_path: Path
) -> None:
    port = free_port()
    with Orthanc(tmp_path / "orthanc") as pacs:
        destinations = {"away": conf(port, timeout=2), "here": conf(pacs.dicom_port)}
        with node_for(tmp_path / "node", destinations) as node:
            node.wait_asked()
            assert storescu(sources, "127.0.0.1", node.port, AE_TITLE).ok
            pacs.wait_for_instances(3, seconds=120)
            ledger = node.ledger
            (job,) = ledger.views.recent_jobs()
            ledger.close()
            chosen = {(one["destination"], one["output"]): one for one in job["choices"]}
            assert chosen["here", "seg"]["form"] == "labelmap"
            assert chosen["away", "seg"]["form"] == "seg"
            assert "it has not told what it takes" in chosen["away", "seg"]["reason"]
            assert "connection refused" in chosen["away", "seg"]["reason"]


PIPELINES = """
from dicom_node.pipeline import Measurement, Code, Pipeline

class Broken(Pipeline):
    name, version, title = "broken", "1", "Broken"

    def run(self, case):
        raise ValueError("no")

class Odd(Pipeline):
    name, version, title = "odd", "1", "Odd"

    def run(self, case):
        return [Measurement(Code("118565006", "SCT", "Volume"), 1.0, Code("spoonful", "UCUM", "spoonful"))]
"""
ENDS = {
    "lung": ("not applicable", "Lung volumes"),
    "broken": ("failed", "Broken"),
    "odd": ("failed", "Odd"),
}
"""How a job of each ends on three slices, and its title: it declines, raises, is stopped by the gate."""


def test_what_has_no_result_says_so_everywhere(sources: list[Path], tmp_path: Path) -> None:
    """Also where a destination is to have segmentations alone, and where it takes pictures or PDF alone."""
    with ExitStack() as stack:
        accepted = {
            "segmentations": (SEG, SR, SC),
            "old": (SC,),
            "reports": (SOP_CLASSES["sr-comprehensive"], SOP_CLASSES["pdf"]),
        }
        peers = {
            name: stack.enter_context(restricted(tmp_path / name, uids)) for name, uids in accepted.items()
        }
        destinations = {name: conf(peer.port) for name, peer in peers.items()}
        destinations["segmentations"]["outputs"] = ["segmentation"]
        uses = {"lung": "pipelines.ct_lung:CtLung", "broken": "three:Broken", "odd": "three:Odd"}
        pipelines = {name: {"use": use} for name, use in uses.items()}
        routes = [
            {"name": name, "when": {"Modality": "CT"}, "run": name, "send": list(peers)} for name in pipelines
        ]
        folder = tmp_path / "node"
        folder.mkdir()
        (folder / "three.py").write_text(PIPELINES)
        changes = {"pipelines": pipelines, "routes": routes, "destinations": destinations}
        node = stack.enter_context(RunningNode(folder, 1, changes=changes))
        node.wait_asked()
        assert storescu(sources[:3], "127.0.0.1", node.port, AE_TITLE).ok
        jobs = {job["pipeline"]: job for job in node.wait_done(3)}
        held = {name: [pydicom.dcmread(path) for path in peer.files()] for name, peer in peers.items()}
    assert {name: job["state"] for name, job in jobs.items()} == {
        name: end for name, (end, _) in ENDS.items()
    }
    assert "spoonful" in jobs["odd"]["reason"]
    expected = {
        "segmentations": ["Secondary Capture Image Storage"],
        "old": ["Secondary Capture Image Storage"],
        "reports": ["Comprehensive SR Storage", "Encapsulated PDF Storage"],
    }
    for name, objects in held.items():
        for _end, title in ENDS.values():
            own = [ds for ds in objects if ds.SeriesDescription.startswith(f"{title}: no result")]
            assert sorted(sop_class_name(ds.SOPClassUID) for ds in own) == expected[name], (name, title)
