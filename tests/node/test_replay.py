"""`dicom-node replay`: new rules over past traffic of a real spool and ledger, and what is queued of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.encode import EncodeContext, encode
from dicom_node.findings import Algorithm, Measurement
from dicom_node.geometry import Grid
from dicom_node.headers import read_header
from dicom_node.node.completing import complete
from dicom_node.node.finishing import Ran
from dicom_node.node.indexing import read_journals
from dicom_node.node.outcomes import keep
from dicom_node.node.site import Site, open_site
from dicom_node.phantom import write_series
from dicom_node.records import JobState, ReceiverEvent, Verdict
from dicom_node.spool import Journal
from dicom_node.volume import read_volume
from tests.encode.cases import ML, VOLUME
from tests.spool.test_spool import store

STUDY = "2.25.1"
CT, MR, FLAIR = "2.25.1.1", "2.25.1.2", "2.25.1.3"
BASE = """
web:
pipelines:
  lung: {use: "pipelines.ct_lung:CtLung"}
  brain: {use: "pipelines.mr_brain:MrBrain"}
destinations:
  pacs: {ae_title: PACS, host: 127.0.0.1, port: 4242}
  archive: {ae_title: ARCHIVE, host: 127.0.0.1, port: 4243}
"""
OLD = """
routes:
  - {name: chest, when: {Modality: CT}, run: lung, send: [pacs]}
  - {name: head, when: {Modality: MR, SeriesDescription: {contains: T2}}, run: brain, send: [pacs]}
"""


def rules(folder: Path, routes: str, name: str = "new.yaml") -> Path:
    path = folder / name
    path.write_text(BASE + routes)
    return path


@contextmanager
def opened(folder: Path) -> Iterator[Site]:
    with open_site(folder / "conf.yaml") as site:
        site.ledger.migrate()
        yield site


def bring(site: Site, journal: Journal, paths: list[Path]) -> None:
    """Stores files in the spool, and tells of them in a journal, as a receiver does."""
    for path in paths:
        ds, content = dcmread(path), BytesIO()
        out = DicomFileLike(content)
        out.is_little_endian, out.is_implicit_VR = True, False
        write_dataset(out, ds)
        kept = store(site.spool, journal, str(ds.SOPInstanceUID), content.getvalue())
        journal.append(ReceiverEvent("stored", instance=kept.instance))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site with three series of a study, complete under the old rules; the chest's job has run."""
    rules(tmp_path, OLD, "conf.yaml")
    with opened(tmp_path) as site:
        journal = site.spool.open_journal()
        grid = Grid((4, 16, 16), np.diag([3.0, 1.0, 1.0, 1.0]))
        for uid, modality, description in (
            (CT, "CT", "Lung"), (MR, "MR", "T1 MPRAGE"), (FLAIR, "MR", "FLAIR"),
        ):  # fmt: skip
            attributes = {
                "StudyInstanceUID": STUDY, "SeriesInstanceUID": uid, "SeriesDescription": description
            }  # fmt: skip
            array = np.zeros(grid.shape, np.int16)
            bring(site, journal, write_series(array, grid, tmp_path / uid, modality, attributes))
        journal.close()
        read_journals(site)
        for uid in (CT, MR, FLAIR):
            held = site.ledger.holdings.held(uid)
            assert held is not None
            complete(site, held, Verdict(True, "geometry", "released, whole"), datetime.now(UTC))
        run(site)
    return tmp_path


def run(site: Site) -> None:
    """Runs every queued job of the lung's pipeline: encodes what it found, keeps it, records it."""
    while (job := site.ledger.work.claim("w0", ["lung"], datetime.now(UTC))) is not None:
        paths = [site.spool.path(one) for one in site.ledger.holdings.paths(job.series["image"])]
        volume = read_volume(paths)
        context = EncodeContext(
            sources={"image": [read_header(path) for path in paths]},
            volumes={"image": volume},
            algorithm=Algorithm("ct-lung", "1"),
            title="Lung volumes",
            job_id=job.id,
            revision=1,
            created_at=job.created_at,
            outputs=frozenset({"sr", "sc"}),
        )
        findings = [Measurement(VOLUME, 12.0, ML)]
        ran = Ran(JobState.DONE, None, (), tuple(encode(findings, context)))
        outcome = keep(site.spool, job, ran)
        site.ledger.work.finish(job, outcome.state, None, outcome.results, datetime.now(UTC))


def replay(folder: Path, *options: str, answer: str | None = None) -> tuple[int, str]:
    command = ["replay", "--config", str(folder / "conf.yaml"), *options]
    done = CliRunner().invoke(app, command, input=answer, env={"COLUMNS": "200"})
    return done.exit_code, done.output


def changes(folder: Path, *options: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What replay says in JSON, by series and route."""
    code, output = replay(folder, "--json", *options)
    assert code == 0, output
    return {(row["series_instance_uid"], row["route"]): row for row in json.loads(output)["routes"]}


def states(folder: Path) -> dict[str, int]:
    with opened(folder) as site:
        return site.ledger.work.counts()


def owed(folder: Path) -> list[tuple[str, str]]:
    with opened(folder) as site:
        return sorted((row["destination"], row["kind"]) for row in site.ledger.views.deliveries())


NEW = """
routes:
  - {name: chest, when: {Modality: CT, slices: {min: 10}}, run: lung, send: [pacs]}
  - {name: head, when: {Modality: MR, kind: t1w}, run: brain, send: [pacs]}
"""


def test_the_rules_in_force_change_nothing(folder: Path) -> None:
    found = changes(folder)
    assert {key: row["change"] for key, row in found.items()} == {
        (CT, "chest"): "stays", (CT, "head"): "neither",
        (MR, "chest"): "neither", (MR, "head"): "neither",
        (FLAIR, "chest"): "neither", (FLAIR, "head"): "neither",
    }  # fmt: skip
    code, output = replay(folder)
    assert code == 0
    assert output.strip() == "3 series; of their routes: 0 starts, 0 stops, 0 differs, 1 stays"


def test_new_rules_tell_what_starts_and_stops_and_why(folder: Path) -> None:
    new = str(rules(folder, NEW))
    found = changes(folder, "--rules", new)
    assert found[CT, "chest"]["change"] == "stops"
    assert found[CT, "chest"]["then"]["reason"] == "every condition holds"
    assert found[CT, "chest"]["now"]["reason"] == "slices is at least 10: 4"
    assert found[MR, "head"]["change"] == "starts"
    assert found[MR, "head"]["then"]["reason"] == 'SeriesDescription contains "T2": T1 MPRAGE'
    assert found[MR, "head"]["explanation"]["matched"] is True
    assert found[FLAIR, "head"]["change"] == "neither"
    code, output = replay(folder, "--rules", new)
    assert code == 0
    assert "1 starts, 1 stops, 0 differs, 0 stays" in output
    assert "does not run: slices is at least 10: 4" in output
    assert states(folder) == {"done": 1}, "looking changes nothing"


def test_a_route_that_is_gone_stops_and_a_new_one_starts(folder: Path) -> None:
    new = "routes:\n  - {name: thorax, when: {Modality: CT}, run: lung, send: [pacs]}\n"
    found = changes(folder, "--rules", str(rules(folder, new)))
    assert (found[CT, "chest"]["change"], found[CT, "chest"]["now"]["reason"]) == ("stops", "no such route")
    assert (found[CT, "thorax"]["change"], found[CT, "thorax"]["then"]["reason"]) == (
        "starts",
        "no such route",
    )


def test_time_span_and_conditions_choose_the_series(folder: Path) -> None:
    later = (datetime.now(UTC).astimezone() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    assert changes(folder, "--since", later) == {}
    assert changes(folder, "--until", later).keys() == changes(folder).keys()
    assert {uid for uid, _route in changes(folder, "--only", "Modality: MR")} == {MR, FLAIR}
    code, output = replay(folder, "--only", "Modalty: MR")
    assert (code, "no DICOM keyword" in output) == (2, True)


def test_routes_of_several_series_are_replayed_on_their_study(folder: Path) -> None:
    new = str(
        rules(
            folder,
            """
routes:
  - name: pair
    series: {t1: {when: {kind: t1w}}, flair: {when: {kind: flair}}}
    run: brain
    send: [pacs]
""",
        )
    )
    found = changes(folder, "--rules", new)
    assert found[MR, "pair"]["change"] == "starts"
    assert found[MR, "pair"]["now"]["reason"] == "all are there: t1, flair"
    assert found[MR, "pair"]["images"] == 8


def test_requeue_asks_first(folder: Path) -> None:
    rules(folder, NEW, "conf.yaml")
    code, output = replay(folder, "--requeue", answer="n\n")
    assert (code, "nothing queued" in output) == (0, True)
    assert states(folder) == {"done": 1}
    code, output = replay(folder, "--requeue", answer="y\n")
    assert (code, "jobs queued: 1" in output) == (0, True)
    assert states(folder) == {"done": 1, "queued": 1}


def test_a_second_requeue_queues_nothing_more(folder: Path) -> None:
    rules(folder, NEW, "conf.yaml")
    for _ in range(2):
        assert replay(folder, "--requeue", "--yes")[0] == 0
    assert states(folder) == {"done": 1, "queued": 1}


def test_replayed_jobs_run_behind_all_others(folder: Path) -> None:
    rules(folder, NEW, "conf.yaml")
    replay(folder, "--requeue", "--yes")
    with opened(folder) as site:
        (job,) = [row for row in site.ledger.views.recent_jobs() if row["state"] == "queued"]
    assert job["priority"] < -1000


def test_rules_that_are_not_in_force_yet_queue_nothing(folder: Path) -> None:
    new = rules(
        folder,
        """
routes:
  - {name: all, when: {}, run: other, send: [elsewhere]}
""",
    )
    new.write_text(new.read_text().replace("  pacs:", "  elsewhere:").replace("  brain:", "  other:"))
    code, output = replay(folder, "--rules", str(new), "--requeue", "--yes")
    assert code == 1
    assert "has no route all, no pipeline other, no destination elsewhere" in output
    assert states(folder) == {"done": 1}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("run: lung", "run: brain", "another route all"),
        ("when: {}", "when: {Modality: MR}", "another route all"),
        ('MrBrain"}', 'MrBrain", options: {threshold: 0.4}}', "another pipeline brain"),
    ],
)
def test_rules_that_differ_from_those_in_force_queue_nothing(
    folder: Path, old: str, new: str, said: str
) -> None:
    """A worker would run them as conf.yaml says, not as they were replayed."""
    force = "routes:\n  - {name: all, when: {}, run: lung, send: [archive]}\n"
    if "brain" in said:
        force = force.replace("run: lung", "run: brain")
    rules(folder, force, "conf.yaml")
    path = rules(folder, force)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    code, output = replay(folder, "--rules", str(path), "--requeue", "--yes")
    assert code == 1
    assert said in output
    assert states(folder) == {"done": 1}


def test_a_new_destination_gets_the_results_that_are_there(folder: Path) -> None:
    assert owed(folder) == [], "its run named no destination"
    rules(
        folder, "routes:\n  - {name: chest, when: {Modality: CT}, run: lung, send: [archive]}\n", "conf.yaml"
    )
    found = changes(folder)
    assert found[CT, "chest"]["change"] == "differs"
    assert replay(folder, "--requeue", "--yes")[0] == 0
    assert states(folder) == {"done": 1}, "nothing is computed twice"
    assert owed(folder) == [("archive", "sc"), ("archive", "sr")]
    assert replay(folder, "--requeue", "--yes")[0] == 0
    assert owed(folder) == [("archive", "sc"), ("archive", "sr")], "and nothing is sent twice"


def test_a_route_in_shadow_delivers_nothing_until_it_is_live(folder: Path) -> None:
    shadow = "routes:\n  - {name: trial, when: {Modality: CT}, run: lung, send: [pacs], shadow: true}\n"
    rules(folder, shadow, "conf.yaml")
    assert changes(folder)[CT, "trial"]["change"] == "starts"
    replay(folder, "--requeue", "--yes")
    with opened(folder) as site:
        run(site)
    assert replay(folder, "--requeue", "--yes")[0] == 0
    assert owed(folder) == []
    rules(folder, shadow.replace(", shadow: true", ""), "conf.yaml")
    assert changes(folder)[CT, "trial"]["change"] == "differs"
    code, output = replay(folder, "--requeue", "--yes")
    assert (code, "results of earlier runs owed to destinations: 2" in output) == (0, True), output
    assert owed(folder) == [("pacs", "sc"), ("pacs", "sr")]


def test_a_series_that_arrives_again_is_left_to_its_own_routing(folder: Path) -> None:
    with opened(folder) as site:
        held = site.ledger.holdings.held(MR)
        assert held is not None
        journal = site.spool.open_journal()
        grid = Grid((5, 16, 16), np.diag([3.0, 1.0, 1.0, 1.0]))
        attributes = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": MR}
        late = write_series(np.zeros(grid.shape, np.int16), grid, folder / "late", "MR", attributes)[-1:]
        bring(site, journal, late)
        journal.close()
        read_journals(site)
    rules(folder, NEW, "conf.yaml")
    assert (MR, "head") not in changes(folder)
