"""What deploy/ ships says the same as the node does, and its parts fit one another."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dicom_node.config import Config, load
from dicom_node.node.supervisor import GRACE_SECONDS
from tests.peers import Orthanc, free_port, need, running, storescu, wait_for_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = YAML(typ="safe").load(DEPLOY / "compose.yaml")
MANIFESTS = {one["kind"]: one for one in YAML(typ="safe").load_all(DEPLOY / "kubernetes.yaml")}
UNIT = (DEPLOY / "dicom-node.service").read_text()
STOPPING_SECONDS = sum(GRACE_SECONDS.values())


def kubernetes_conf(folder: Path) -> Path:
    """The configuration inside the manifest, as the pod sees it."""
    path = folder / "conf.yaml"
    path.write_text(MANIFESTS["ConfigMap"]["data"]["conf.yaml"])
    return path


@pytest.fixture(params=["files", "kubernetes"])
def conf(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    path = DEPLOY / "conf.yaml" if request.param == "files" else kubernetes_conf(tmp_path)
    return load(path, pipelines=True)


def test_the_configurations_are_sound_and_keep_data_where_the_volumes_are(conf: Config) -> None:
    pod = MANIFESTS["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    assert str(conf.node.data) in [mount["mountPath"] for mount in pod["volumeMounts"]]
    assert f"node-data:{conf.node.data}" in COMPOSE["services"]["node"]["volumes"]
    assert f"VOLUME {conf.node.data}" in (DEPLOY / "Dockerfile").read_text()
    assert "StateDirectory=" + conf.node.data.name in UNIT


def test_the_routes_choose_as_carefully_as_those_of_the_example(conf: Config) -> None:
    example = load(DEPLOY.parent / "conf.yaml")
    assert [(route.name, route.when) for route in conf.routes] == [
        (route.name, route.when) for route in example.routes
    ]


def test_ports_and_titles_are_those_of_the_configuration(conf: Config) -> None:
    port = str(conf.node.port)
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    probe = ["127.0.0.1", port, "-aec", conf.node.ae_title]
    assert f"EXPOSE {port}" in dockerfile
    assert json.dumps(probe)[1:-1] in dockerfile
    assert f"{port}:{port}" in COMPOSE["services"]["node"]["ports"]
    pod = MANIFESTS["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    assert pod["livenessProbe"]["exec"]["command"][-4:] == probe
    assert pod["readinessProbe"]["exec"]["command"][-4:] == probe
    assert pod["ports"][0]["containerPort"] == conf.node.port


def test_everything_waits_longer_than_the_node_needs_to_stop_in_order() -> None:
    pod = MANIFESTS["StatefulSet"]["spec"]["template"]["spec"]
    compose = COMPOSE["services"]["node"]["stop_grace_period"]
    unit = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert unit is not None
    for seconds in (pod["terminationGracePeriodSeconds"], int(compose.removesuffix("s")), int(unit[1])):
        assert seconds > STOPPING_SECONDS


def test_the_files_that_the_compose_file_mounts_are_there() -> None:
    mounts = [mount for service in COMPOSE["services"].values() for mount in service["volumes"]]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert [name for name in files if not (DEPLOY / name).is_file()] == []


def test_the_node_delivers_to_the_pacs_of_the_compose_file() -> None:
    (pacs,) = load(DEPLOY / "conf.yaml").destinations.values()
    orthanc = json.loads((DEPLOY / "compose/orthanc.json").read_text())
    assert (pacs.ae_title, pacs.port) == (orthanc["DicomAet"], orthanc["DicomPort"])
    assert pacs.host in COMPOSE["services"]
    assert (
        f"proxy_pass http://{pacs.host}:{orthanc['HttpPort']};" in (DEPLOY / "compose/nginx.conf").read_text()
    )


def test_the_image_holds_all_that_the_dockerfile_copies() -> None:
    kept = {
        line[1:] for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    lines = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    copied = {name.removeprefix("./") for line in lines for name in line.split()}
    assert copied == kept
    assert [name for name in copied if not (DEPLOY.parent / name).exists()] == []


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    """Its program lies where a site installs it, so one stands in for it here."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "dicom-node.service"
    unit.write_text(UNIT.replace("/opt/dicom-node/.venv/bin/dicom-node", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def compose_pacs(tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc with the compose file's settings, on ports and in a folder of the test's."""
    settings = json.loads((DEPLOY / "compose/orthanc.json").read_text())
    for key in ("StorageDirectory", "IndexDirectory", "DicomPort", "HttpPort"):
        del settings[key]
    with Orthanc(tmp_path / "pacs", ae_title=settings["DicomAet"], options=settings) as pacs:
        yield pacs


def nginx_conf(folder: Path, port: int, pacs: Orthanc) -> Path:
    """The compose file's server block in a whole nginx configuration, on the test's ports and pages."""
    (folder / "index.html").write_text("the viewer's page")
    server = (DEPLOY / "compose/nginx.conf").read_text()
    for shipped, here in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("root /usr/share/nginx/html;", f"root {folder};"),
        ("http://pacs:8042", f"http://127.0.0.1:{pacs.http_port}"),
    ):
        assert shipped in server
        server = server.replace(shipped, here)
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{server}\n}}\n"
    )
    folder.chmod(0o755)
    return conf


def answer(port: int, method: str, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.journey
def test_the_viewers_origin_shows_pages_and_studies_and_lets_nobody_store(
    tmp_path_factory: pytest.TempPathFactory, small_ct: list[Path], compose_pacs: Orthanc
) -> None:
    nginx, port = need("nginx"), free_port()
    assert storescu(small_ct, "127.0.0.1", compose_pacs.dicom_port, compose_pacs.ae_title).ok
    conf = nginx_conf(tmp_path_factory.mktemp("nginx"), port, compose_pacs)
    with running([nginx, "-c", conf, "-g", "master_process off;"]):
        wait_for_port(port, "nginx")
        page, body = answer(port, "GET", "/viewer?StudyInstanceUIDs=1.2.3")
        assert (page.status, body) == (200, b"the viewer's page")
        assert page.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        found, studies = answer(port, "GET", "/dicom-web/studies")
        assert found.status == 200
        (study,) = json.loads(studies)
        (uid,) = study["0020000D"]["Value"]
        assert compose_pacs.study_uids() == [uid]
        _, metadata = answer(port, "GET", f"/dicom-web/studies/{uid}/metadata")
        assert f"http://127.0.0.1:{port}/dicom-web/".encode() in metadata
        assert answer(port, "POST", "/dicom-web/studies")[0].status == 403
