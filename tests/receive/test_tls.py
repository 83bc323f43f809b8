"""TLS by BCP 195: the right certificate, the wrong one, none; and plain senders on a TLS port."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from dicom_node.config.models import TlsConfig
from dicom_node.errors import ConfigError
from dicom_node.receive.tls import context
from tests.peers import echoscu, storescu
from tests.peers.process import need
from tests.receive.scp import Scp, receiver
from tests.receive.upper_layer import CT, data_set

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")


@dataclass(frozen=True)
class Party:
    """Somebody with a certificate of their own authority."""

    key: Path
    certificate: Path


def party(folder: Path, name: str) -> Party:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", key, "-out", certificate]
    subprocess.run(
        [need("openssl"), *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"], *files, *subject],
        check=True,
        capture_output=True,
    )
    return Party(key, certificate)


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Party]:
    folder = tmp_path_factory.mktemp("certificates")
    return {name: party(folder, name) for name in ("node", "scanner", "stranger")}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.dcm"
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = "1.2.840.10008.1.2.1", CT
    meta.MediaStorageSOPInstanceUID, meta.ImplementationClassUID = "1.2.6", "1.2.3"
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        pydicom.filewriter.write_file_meta_info(file, meta)
        file.write(data_set("1.2.6"))
    return path


@pytest.fixture(params=["server only", "client certificates"])
def scp(request: pytest.FixtureRequest, tmp_path: Path, parties: dict[str, Party]) -> Iterator[Scp]:
    node = parties["node"]
    tls = {"certificate": str(node.certificate), "key": str(node.key)}
    if request.param == "client certificates":
        tls["authorities"] = str(parties["scanner"].certificate)
    with receiver(tmp_path, tls=tls, artim_timeout=10) as running:
        yield running


def wants_certificates(scp: Scp) -> bool:
    return scp.config.receive.tls is not None and scp.config.receive.tls.authorities is not None


def options(parties: dict[str, Party], who: str | None, trusts: str = "node") -> list[str]:
    identity = ["+tla"] if who is None else ["+tls", str(parties[who].key), str(parties[who].certificate)]
    return [*identity, "+cf", str(parties[trusts].certificate)]


def test_the_right_certificate(scp: Scp, parties: dict[str, Party], image: Path) -> None:
    sent = storescu([image], "127.0.0.1", scp.port, "DICOMNODE", options=options(parties, "scanner"))
    assert sent.ok, sent.output
    assert len(scp.stored()) == 1


@pytest.mark.parametrize("who", ["stranger", None])
def test_a_wrong_or_no_certificate(scp: Scp, parties: dict[str, Party], image: Path, who: str | None) -> None:
    sent = storescu([image], "127.0.0.1", scp.port, "DICOMNODE", options=options(parties, who))
    assert sent.ok is not wants_certificates(scp), sent.output
    assert len(scp.stored()) == (0 if wants_certificates(scp) else 1)


def test_a_sender_that_does_not_trust_the_node(scp: Scp, parties: dict[str, Party], image: Path) -> None:
    sent = storescu(
        [image], "127.0.0.1", scp.port, "DICOMNODE", options=options(parties, "scanner", trusts="stranger")
    )
    assert not sent.ok
    assert scp.stored() == []


def test_a_plain_sender_is_turned_away_and_shown(scp: Scp, image: Path) -> None:
    assert not storescu([image], "127.0.0.1", scp.port, "DICOMNODE", options=["-ta", "5"]).ok
    assert not echoscu("127.0.0.1", scp.port, "DICOMNODE")
    scp.wait_for("refused")
    refusal = next(event.refusal for event in scp.events() if event.refusal is not None)
    assert "TLS" in refusal.reason


def test_tls_on_a_plain_port(tmp_path: Path, parties: dict[str, Party], image: Path) -> None:
    with receiver(tmp_path) as scp:
        sent = storescu([image], "127.0.0.1", scp.port, "DICOMNODE", options=options(parties, "scanner"))
        assert not sent.ok
        assert echoscu("127.0.0.1", scp.port, "DICOMNODE")


@pytest.mark.parametrize(("version", "taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_versions(scp: Scp, parties: dict[str, Party], version: str, taken: bool) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(parties["node"].certificate)
    client.load_cert_chain(parties["scanner"].certificate, parties["scanner"].key)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection(("127.0.0.1", scp.port), timeout=60) as plain:
        if not taken:
            with pytest.raises((ssl.SSLError, OSError)):
                client.wrap_socket(plain, server_hostname="127.0.0.1")
            return
        with client.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
            cipher = secured.cipher()
            assert cipher is not None
            assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


def test_a_wrong_configuration_says_so(tmp_path: Path, parties: dict[str, Party]) -> None:
    with pytest.raises(ConfigError, match=r"receive\.tls"):
        context(TlsConfig(certificate=tmp_path / "none.pem", key=tmp_path / "none.key"))
    with pytest.raises(ConfigError, match=r"receive\.tls"):
        context(TlsConfig(certificate=parties["node"].certificate, key=parties["scanner"].key))
