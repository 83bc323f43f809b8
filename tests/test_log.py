"""No patient data in the logs, whoever logs it and however deep it is hidden."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.valuerep import PersonName

from dicom_node import log

TELLING = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "StudyDescription",
    "InstitutionName",
    "AccessionNumber",
]
SPELLINGS = [*TELLING, "patient_name", "patient_id", "patient_birth_date", "study_description", "StudyDate"]
secrets = st.text(st.characters(categories=["L", "N"]), min_size=8, max_size=20).map(
    lambda text: f"zq{text}qz"
)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    raising = logging.raiseExceptions
    handlers, level = root.handlers[:], root.level
    pydicom = logging.getLogger("pydicom")
    said = pydicom.level
    pydicom.setLevel(logging.NOTSET)  # `explain` makes it quiet for its whole process
    yield
    pydicom.setLevel(said)
    logging.captureWarnings(False)
    logging.raiseExceptions = raising
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    out = io.StringIO()
    log.configure("info", stream=out)
    return out


def test_an_event_is_one_json_line_with_its_name_time_and_level(stream: io.StringIO) -> None:
    structlog.get_logger("dicom_node.deliver").info("delivered", sop_instance_uid="1.2.3", images=4)
    (line,) = lines_of(stream)
    assert line["event"] == "delivered"
    assert line["sop_instance_uid"] == "1.2.3"
    assert line["images"] == 4
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


def test_a_person_reads_words_instead_of_json() -> None:
    out = io.StringIO()
    log.configure("info", json=False, stream=out)
    structlog.get_logger("dicom_node").info("delivered", patient_name="Doe^Jane", images=4)
    assert "delivered" in out.getvalue()
    assert "images=4" in out.getvalue()
    assert "Doe" not in out.getvalue()


def test_setting_up_again_logs_no_line_twice(stream: io.StringIO) -> None:
    log.configure("info", stream=stream)
    structlog.get_logger("dicom_node").info("once")
    assert len(lines_of(stream)) == 1


def test_standard_error_may_be_another_one_later(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as first:
        log.configure("info", json=True)
        first.close()
    structlog.get_logger("dicom_node").info("later")
    assert json.loads(capsys.readouterr().err)["event"] == "later"


def test_a_stream_that_is_gone_ends_nothing_and_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    gone = io.StringIO()
    log.configure("info", stream=gone)
    gone.close()
    structlog.get_logger("dicom_node").info("odd", note="Doe")
    assert "Doe" not in capsys.readouterr().err


@given(
    key=st.sampled_from(SPELLINGS), secret=secrets, path=st.lists(st.sampled_from(["a", "peer"]), max_size=3)
)
def test_identifying_attributes_are_cut_at_any_depth(key: str, secret: str, path: list[str]) -> None:
    value: Any = {key: secret}
    for name in path:
        value = {name: [value]}
    cleaned = log.keep_patient_data_out(None, "info", {"event": "stored", "header": value, key: [secret]})
    assert secret not in repr(cleaned)
    assert cleaned["event"] == "stored"


@given(family=secrets, given_name=secrets, before=st.sampled_from(["", "value: ", "got '", "x="]))
def test_person_names_are_cut_from_texts(family: str, given_name: str, before: str) -> None:
    text = f"{before}{family} Anne^{given_name} Marie^^Dr"
    cleaned = log.keep_patient_data_out(None, "info", {"event": "odd", "error": text})["error"]
    assert family not in cleaned
    assert given_name not in cleaned


@given(secret=secrets, keyword=st.sampled_from(["PatientName", "PatientID", "StudyDescription"]))
def test_printed_data_sets_keep_their_tags_alone(secret: str, keyword: str) -> None:
    ds = Dataset()
    setattr(ds, keyword, secret)
    ds.SeriesInstanceUID = "1.2.3"
    cleaned = log.keep_patient_data_out(
        None, "info", {"event": f"received\n{ds}", "ds": ds, "element": ds[keyword]}
    )
    assert secret not in repr(cleaned)
    tag = tag_for_keyword(keyword)
    assert tag is not None
    assert f"({tag >> 16:04X},{tag & 0xFFFF:04x})" in cleaned["event"].replace(", ", ",")


def test_values_of_dicom_types_never_pass() -> None:
    event = {"event": "odd", "who": PersonName("Doe^Jane"), "raw": b"Doe^Jane", "uid": "1.2.840.10008.1.1"}
    cleaned = log.keep_patient_data_out(None, "info", event)
    assert "Doe" not in repr(cleaned)
    assert cleaned["uid"] == "1.2.840.10008.1.1"


@given(
    st.dictionaries(
        st.sampled_from(["series_instance_uid", "images", "destination", "seconds"]), st.integers()
    )
)
def test_what_tells_nothing_stays_as_it_is(event: dict[str, Any]) -> None:
    assert log.keep_patient_data_out(None, "info", dict(event)) == event


def test_libraries_are_heard_from_warning_up_without_what_they_quote(stream: io.StringIO) -> None:
    library = logging.getLogger("pynetdicom.assoc")
    library.info("(0010,0010) PN [Doe^Jane]")
    library.warning("Value 'Doe' is wrong for 'CT Image Storage' as 1.2.840.10008.1.2")
    (line,) = lines_of(stream)
    assert line["event"] == "Value [cut] is wrong for 'CT Image Storage' as 1.2.840.10008.1.2"


@given(
    secret=secrets,
    frame=st.sampled_from(["can't read '{}'", "the file's name \"{}\" isn't", "'{}", "['O'{}', 'b']"]),
)
def test_quoted_values_are_cut_however_english_is_written(secret: str, frame: str) -> None:
    assert secret not in log.without_quotes(frame.format(secret))


def test_warnings_of_libraries_are_logged_without_values(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log.configure("info", stream=stream)
        warnings.warn("Invalid value for VR DA: '1950Doe01'", stacklevel=1)
    assert "Invalid value for VR DA" in stream.getvalue()
    assert "1950Doe01" not in stream.getvalue()


def test_exceptions_keep_their_causes_and_places_and_lose_their_values(stream: io.StringIO) -> None:
    def parse() -> None:
        try:
            float("Doe")
        except ValueError as error:
            raise RuntimeError("could not parse 'Doe'") from error

    try:
        parse()
    except RuntimeError:
        structlog.get_logger("dicom_node").exception("index_failed")
    (line,) = lines_of(stream)
    assert "RuntimeError: could not parse [cut]" in line["exception"]
    assert "ValueError: could not convert string to float: [cut]" in line["exception"]
    assert f"{Path(__file__)}:" in line["exception"]
    assert "Doe" not in stream.getvalue()


def test_an_exception_that_ends_a_thread_is_logged(stream: io.StringIO) -> None:
    def fail() -> None:
        raise ValueError("'Doe'")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    (line,) = lines_of(stream)
    assert line["event"] == "uncaught"
    assert "ValueError: [cut]" in line["exception"]


def test_no_name_of_any_character_set_survives(shared_data: Path, stream: io.StringIO) -> None:
    files = sorted((shared_data / "malformed" / "charsets").glob("*.dcm"))
    assert files
    for file in files:
        ds = dcmread(file)
        structlog.get_logger("dicom_node").warning(
            "odd", ds=ds, text=str(ds), PatientName=str(ds.get("PatientName"))
        )
        logging.getLogger("pydicom").warning("Unknown value %r in %s", str(ds.get("PatientName")), ds)
    written = json.dumps(lines_of(stream), ensure_ascii=False)
    assert len(lines_of(stream)) == 2 * len(files)
    for file in files:
        name = str(dcmread(file).get("PatientName", ""))
        for part in name.replace("=", "^").split("^"):
            assert len(part) < 3 or part not in written
