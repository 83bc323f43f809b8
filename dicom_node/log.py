"""Logs of every process: named events, one line each, and the one place that keeps patient data out.

Our own events name UIDs and counts; what libraries log is let through from WARNING up. Both pass
`keep_patient_data_out`, which cuts what identifies a person: attributes by their keyword, data sets and
person names by their type or look, and, in what libraries say, whatever they quote.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from functools import cache
from typing import Any, TextIO

import structlog
from pydicom import DataElement, Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary
from pydicom.valuerep import PersonName
from structlog.typing import EventDict, ExcInfo, Processor

CUT = "[cut]"
OURS = ("dicom_node", "pipelines")
"""Packages whose events are logged from the configured level on."""

_TELLING_VRS = {"AE", "CS", "UI", "IS", "DS", "US", "UL", "UV", "SS", "SL", "SV", "FL", "FD", "AT"}
"""Value representations (PS3.5 6.2) that hold identifiers of things, codes and numbers: no text, no dates."""
_ANY_VR = r"(?:A[EST]|CS|D[AST]|F[LD]|IS|L[OT]|O[BDFLVW]|PN|S[HLQSTV]|TM|U[CILNRSTV])"
_DUMPED = re.compile(rf"(\([0-9A-Fa-f]{{4}}, ?[0-9A-Fa-f]{{4}}\))[^\n]*?\b{_ANY_VR}\b[^\n]*")
"""A line of a printed data set, as pydicom and DCMTK print them."""
_NAME = re.compile(r"[^\n:;,'\"=\[\](){}<>|]*\^[^\n:;,'\"=\[\](){}<>|]*")
"""A person name with its component delimiter (PS3.5 6.2, VR PN), and the words around it."""
_QUOTED = re.compile(r"(?<!\w)b?(?:'(?:.*?'(?!\w)|.*)|\"(?:.*?\"(?!\w)|.*)|\[[^\]\n]*\]?)")
"""A quoted value; an apostrophe in a word is no quote, and an open quote runs to the end of its line."""
_PLAIN = re.compile(r"[0-9.]{1,64}|0x[0-9A-Fa-f]+|[A-Z]{2}|Sta\d+|Evt\d+")
_UID_NAMES = frozenset(entry[0] for entry in UID_dictionary.values())


def configure(level: str = "info", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Sets up logging for this process; calling it again replaces the earlier set-up.

    Args:
        level: "debug", "info", "warning" or "error", for our own events.
        json: JSON lines, or lines to read; None: JSON unless the stream is a terminal.
        stream: where to; None: standard error.
    """
    out = sys.stderr if stream is None else stream
    as_json = not out.isatty() if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_exception_text),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Writer(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _cut_quotes],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                keep_patient_data_out,
                _renderer(as_json, colors=out.isatty()),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in OURS:
        logging.getLogger(package).setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # else a record that can't be written is printed as it was
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


class _Writer(logging.Handler):
    """Writes lines to a stream, or to what standard error is at that moment."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record; a stream that is gone ends no process."""
        try:
            out = sys.stderr if self._stream is None else self._stream
            out.write(self.format(record) + "\n")
            out.flush()
        except (OSError, ValueError):
            self.handleError(record)


def _renderer(as_json: bool, *, colors: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer(default=lambda _value: CUT)
    plain = structlog.dev.plain_traceback  # the default one prints local variables
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)


def keep_patient_data_out(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: the event without anything that identifies a person."""
    return {key: _clean(key, value) for key, value in event.items()}


def without_names(text: str) -> str:
    """A text without person names and without the values of printed data sets."""
    return _NAME.sub(CUT, _DUMPED.sub(rf"\1 {CUT}", text))


def without_quotes(text: str) -> str:
    """What a library says, without the values that it quotes; UIDs, names of SOP classes and VRs stay."""

    def cut(match: re.Match[str]) -> str:
        inner = match[0].strip("'\"[]")
        return match[0] if inner in _UID_NAMES or _PLAIN.fullmatch(inner) else CUT

    return _QUOTED.sub(cut, _DUMPED.sub(rf"\1 {CUT}", text))


def _clean(key: str, value: Any) -> Any:
    if _identifies(key) or isinstance(value, Dataset | DataElement | PersonName | bytes | bytearray):
        return CUT
    if isinstance(value, str):
        return without_names(value)
    if isinstance(value, Mapping):
        return {str(inner): _clean(str(inner), held) for inner, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(key, held) for held in value]
    return value


@cache
def _identifying() -> frozenset[str]:
    """Keywords, in lower case, of attributes that may say who somebody is."""
    return frozenset(
        keyword.lower()
        for vr, _vm, _name, _retired, keyword in DicomDictionary.values()
        if keyword and (keyword.startswith("Patient") or not set(vr.split(" or ")) <= _TELLING_VRS)
    )


def _identifies(key: str) -> bool:
    return key.replace("_", "").lower() in _identifying()


def _cut_quotes(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["event"] = without_quotes(str(event["event"]))
    return event


def _exception_text(exc_info: ExcInfo) -> str:
    """Type, text without quoted values, and places of an exception and its causes; no source, no locals."""
    lines: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        lines.append(f"{type(error).__qualname__}: {without_quotes(str(error))}")
        frames = traceback.extract_tb(error.__traceback__)
        lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(lines)


def _log_uncaught(kind: type[BaseException], error: BaseException, where: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, where)
        return
    structlog.get_logger("dicom_node").error("uncaught", exc_info=(kind, error, where))
