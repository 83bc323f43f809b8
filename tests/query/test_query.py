"""Questions to a real PACS: counts, priors and images, and what is said when it will not answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.association.find import STUDY_ROOT
from dicom_node.config.models import DestinationConfig
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.query import count_instances, find_priors, retrieve
from dicom_node.query.priors import ANSWERS, Patient
from tests.peers import free_port, need, running, wait_for_port
from tests.peers.dcmtk import storescp, storescu
from tests.peers.orthanc import Orthanc

CURRENT, PRIOR, OLDER, OTHER = (generate_uid() for _ in range(4))


def image(
    folder: Path, study: str, series: str, number: int, modality: str, date: str, patient: Patient
) -> None:
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), study, series
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = (
        "Phantom^Square",
        patient.patient_id,
        patient.birth_date,
    )
    ds.Modality, ds.StudyDate, ds.SeriesDescription = modality, date, f"{modality} of {date}"
    ds.InstanceNumber, ds.SeriesNumber, ds.StudyTime, ds.StudyID, ds.AccessionNumber = number, 1, "", "", ""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(folder / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)


ANNA, TWIN, STRANGER = Patient("P-1", "19500101"), Patient("P-1", "19990909"), Patient("P-12", "19500101")
SERIES = {
    name: generate_uid() for name in ("now", "now mr", "prior", "prior mr", "older", "twin", "stranger")
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    held = [
        (CURRENT, "now", 5, "CT", "20260301", ANNA),
        (CURRENT, "now mr", 2, "MR", "20260301", ANNA),
        (PRIOR, "prior", 3, "CT", "20250301", ANNA),
        (PRIOR, "prior mr", 1, "MR", "20250301", ANNA),
        (OLDER, "older", 2, "CT", "20200301", ANNA),
        (OTHER, "twin", 1, "CT", "20190301", TWIN),
        (generate_uid(), "stranger", 1, "CT", "20190301", STRANGER),
    ]
    for study, series, images_of, modality, date, patient in held:
        for number in range(images_of):
            image(folder, study, SERIES[series], number + 1, modality, date, patient)
    return folder


@pytest.fixture(scope="module")
def pacs(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc(tmp_path_factory.mktemp("pacs")) as orthanc:
        assert storescu([images], "127.0.0.1", orthanc.dicom_port, orthanc.ae_title).ok
        yield orthanc


def peer(port: int, timeout: float = 10) -> DestinationConfig:
    return DestinationConfig(ae_title="ORTHANC", host="127.0.0.1", port=port, timeout=timeout)


@contextmanager
def archive(folder: Path, images: Path, receiver_port: int, *options: str) -> Iterator[int]:
    """DCMTK's dcmqrscp with the images, that may move them to NODE on this machine; gives its port."""
    storage, port = folder / "archive", free_port()
    storage.mkdir()
    settings = folder / "dcmqrscp.cfg"
    settings.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nnode = (NODE, 127.0.0.1, {receiver_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nORTHANC {storage} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with running([need("dcmqrscp"), "-c", settings, *options], environment={"TCP_NODELAY": "1"}):
        wait_for_port(port, "dcmqrscp")
        assert storescu([images], "127.0.0.1", port, "ORTHANC").ok
        yield port


@contextmanager
def answering(find: Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]]) -> Iterator[int]:
    """An archive that answers C-FIND as this handler does; gives its port."""
    ae = AE("ORTHANC")
    ae.add_supported_context(STUDY_ROOT)
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    assert isinstance(server, ThreadedAssociationServer)
    try:
        yield port
    finally:
        server.shutdown()


def match(level: str, **values: str) -> Dataset:
    """An answer about ANNA's prior study."""
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.PatientID, ds.PatientBirthDate = level, ANNA.patient_id, ANNA.birth_date
    ds.StudyDate, ds.Modality = "20250301", "SR"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def refuse_to_receive(_uid: str, _part10: bytes) -> None:
    raise AssertionError("nothing was to come this way")


def test_orthanc_says_how_many_images_each_series_has(pacs: Orthanc) -> None:
    counts = count_instances(peer(pacs.dicom_port), "NODE", CURRENT)
    assert counts == {SERIES["now"]: 5, SERIES["now mr"]: 2}


def test_every_answer_counts_every_time(images: Path, tmp_path: Path) -> None:
    with archive(tmp_path, images, free_port()) as port:
        for _time in range(40):
            counts = count_instances(peer(port), "NODE", CURRENT)
            assert counts == {SERIES["now"]: 5, SERIES["now mr"]: 2}


def test_a_study_that_the_source_does_not_hold_counts_nothing(pacs: Orthanc) -> None:
    assert count_instances(peer(pacs.dicom_port), "NODE", generate_uid()) == {}


def test_priors_are_earlier_studies_of_the_same_person_newest_first(pacs: Orthanc) -> None:
    priors = find_priors(peer(pacs.dicom_port), "NODE", ANNA, before="20260301", modalities={"CT"})
    assert [prior.series_instance_uid for prior in priors] == [SERIES["prior"], SERIES["older"]]
    assert priors[0].study_instance_uid == PRIOR
    assert priors[0].study_date == "20250301"
    assert priors[0].instances == 3
    assert priors[0].description == "CT of 20250301"


def test_priors_of_every_modality(pacs: Orthanc) -> None:
    priors = find_priors(peer(pacs.dicom_port), "NODE", ANNA, before="20260301")
    assert {prior.series_instance_uid for prior in priors} == {
        SERIES["prior"],
        SERIES["prior mr"],
        SERIES["older"],
    }


@pytest.mark.parametrize("patient_id", ["P-*", "P-?", "*", "p-1", "", "P-2"])
def test_no_priors_for_an_id_that_is_not_exactly_the_same(pacs: Orthanc, patient_id: str) -> None:
    assert find_priors(peer(pacs.dicom_port), "NODE", Patient(patient_id), before="20260301") == []


def test_a_series_is_fetched_by_c_get(pacs: Orthanc) -> None:
    got: dict[str, bytes] = {}
    result = retrieve(peer(pacs.dicom_port), "NODE", PRIOR, SERIES["prior"], got.__setitem__)
    assert (result.by, result.completed, result.failed) == ("get", 3, 0)
    for uid, part10 in got.items():
        ds = dcmread(BytesIO(part10))
        assert ds.SOPInstanceUID == uid
        assert ds.SeriesInstanceUID == SERIES["prior"]


def test_an_image_that_cannot_be_kept_is_counted_as_failed(pacs: Orthanc) -> None:
    def full(_uid: str, _part10: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(PeerUnavailable, match="retrieval"):
        retrieve(peer(pacs.dicom_port), "NODE", PRIOR, SERIES["prior"], full)


def test_where_c_get_is_not_offered_the_peer_moves_it_to_our_receiver(images: Path, tmp_path: Path) -> None:
    with (
        storescp(tmp_path / "receiver", ae_title="NODE") as receiver,
        archive(tmp_path, images, receiver.port, "--disable-get") as port,
    ):
        result = retrieve(peer(port), "NODE", PRIOR, SERIES["prior"], refuse_to_receive)
        assert (result.by, result.completed, result.failed) == ("move", 3, 0)
        assert len(receiver.files()) == 3


def test_a_peer_that_does_not_know_where_we_are_says_so(images: Path, tmp_path: Path) -> None:
    with (
        archive(tmp_path, images, free_port(), "--disable-get") as port,
        pytest.raises(PeerRefused, match="add our"),
    ):
        retrieve(peer(port), "STRANGER", PRIOR, SERIES["prior"], refuse_to_receive)


@pytest.mark.parametrize("model", ["--no-patient-root", "--no-study-root"])
def test_an_archive_that_gives_no_numbers_lists_its_images(images: Path, tmp_path: Path, model: str) -> None:
    with archive(tmp_path, images, free_port(), model) as port:
        counts = count_instances(peer(port), "NODE", CURRENT, ANNA.patient_id)
        assert counts == {SERIES["now"]: 5, SERIES["now mr"]: 2}
        priors = find_priors(peer(port), "NODE", ANNA, before="20260301", modalities={"CT"})
        assert [prior.series_instance_uid for prior in priors] == [SERIES["prior"], SERIES["older"]]
        got: dict[str, bytes] = {}
        result = retrieve(peer(port), "NODE", PRIOR, SERIES["prior"], got.__setitem__, ANNA.patient_id)
        assert (result.by, result.completed, len(got)) == ("get", 3, 3)
        nothing = retrieve(peer(port), "NODE", PRIOR, generate_uid(), refuse_to_receive, ANNA.patient_id)
        assert nothing.completed == 0


@pytest.mark.parametrize(
    ("status", "fault"), [(0xA700, PeerUnavailable), (0xC001, PeerUnavailable), (0xA900, PeerRefused)]
)
def test_a_failed_question_is_never_an_answer(status: int, fault: type[Exception]) -> None:
    def answer(_event: evt.Event) -> Iterator[tuple[int, None]]:
        yield status, None

    with answering(answer) as port, pytest.raises(fault, match=f"{status:04X}"):
        count_instances(peer(port), "NODE", CURRENT)


def test_a_peer_that_is_away_and_one_that_only_stores(tmp_path: Path) -> None:
    with pytest.raises(PeerUnavailable, match="connection refused"):
        count_instances(peer(free_port()), "NODE", CURRENT)
    with storescp(tmp_path / "peer") as only_stores:
        with pytest.raises(PeerRefused):
            count_instances(peer(only_stores.port), "NODE", CURRENT)
        with pytest.raises(PeerRefused, match="neither C-GET nor C-MOVE"):
            retrieve(peer(only_stores.port), "NODE", PRIOR, SERIES["prior"], refuse_to_receive)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # pydicom's, of odd values
def test_where_a_number_is_none_the_images_are_counted() -> None:
    def answer(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        level = event.identifier.QueryRetrieveLevel
        for number in range(2 if level == "IMAGE" else 1):
            odd = Dataset()
            odd.QueryRetrieveLevel, odd.SeriesInstanceUID = level, SERIES["now"]
            odd.SOPInstanceUID = f"1.2.{number}"
            tag = Tag("NumberOfSeriesRelatedInstances")
            odd[tag] = RawDataElement(tag, "IS", 4, b"many", 0, True, True)
            yield 0xFF00, odd

    with answering(answer) as port:
        assert count_instances(peer(port), "NODE", CURRENT) == {SERIES["now"]: 2}


@pytest.mark.parametrize("lacking", ["STUDY", "SERIES"])
def test_answers_without_a_uid_are_left_out(lacking: str) -> None:
    def answer(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        level = event.identifier.QueryRetrieveLevel
        if level != lacking:
            yield 0xFF00, match(level, StudyInstanceUID=PRIOR, SeriesInstanceUID=SERIES["prior"])
        yield 0xFF00, match(level)

    with answering(answer) as port:
        assert find_priors(peer(port), "NODE", ANNA, before="20260301") == []


@pytest.mark.parametrize("patient_id", ["*", "P-?", "P-1\\P-2"])
def test_an_id_that_stands_for_others_is_not_asked_for(patient_id: str) -> None:
    asked = []

    def answer(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        asked.append(event.identifier)
        yield from ()

    with answering(answer) as port:
        assert find_priors(peer(port), "NODE", Patient(patient_id), before="20260301") == []
    assert asked == []


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # pynetdicom leaves a socket open that the other side ended
def test_a_peer_that_names_too_many_studies_is_not_listened_to() -> None:
    def answer(_event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for number in range(ANSWERS + 1):
            yield 0xFF00, match("STUDY", StudyInstanceUID=f"1.2.{number}", PatientID=f"P-{number}")

    with answering(answer) as port, pytest.raises(PeerRefused, match=f"over {ANSWERS} matches"):
        find_priors(peer(port), "NODE", ANNA, before="20260301")


def test_time_is_over_however_steadily_a_peer_answers() -> None:
    """A byte now and then is no silence, and still no answer in time."""
    ended = threading.Event()

    def drip() -> None:
        caller, _address = server.accept()
        with caller:
            caller.sendall(bytes((2, 0, 0, 0, 100, 0)))  # an A-ASSOCIATE-AC of 25,600 bytes
            try:
                while not ended.wait(0.05):
                    caller.sendall(b"\0")
            except OSError:
                ended.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip)
        dripping.start()
        until = time.monotonic() + 0.5
        with pytest.raises(PeerUnavailable, match=r"time for all|no answer within"):
            find_priors(peer(server.getsockname()[1]), "NODE", ANNA, before="20260301", until=until)
        with pytest.raises(PeerUnavailable, match="time for all"):
            retrieve(peer(free_port()), "NODE", PRIOR, SERIES["prior"], refuse_to_receive, until=until)
        assert ended.wait(60), "the connection was ended on our side"
        dripping.join()
