"""Types of single values in conf.yaml, each with what it says of a wrong one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from datetime import time
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from dicom_node.config.facts import FACTS
from dicom_node.config.faults import Fault, FaultyConfigError, one_of, shown
from dicom_node.config.problems import EXPANDED
from dicom_node.config.values import Scalar, comparable
from dicom_node.config.when import AllOf, AnyOf, Condition, NotOf, Term, parse_when


def _ae_title(value: str) -> str:
    """PS3.5 6.2, VR AE: 1 to 16 characters of the default repertoire, no backslash or control character."""
    if not re.fullmatch(r"[ -\[\]-~]{1,16}", value.strip()):
        raise ValueError("an AE title has 1 to 16 ASCII characters, and no backslash")
    return value.strip()


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        try:
            wider = ipaddress.ip_network(value, strict=False)
        except ValueError:
            form = "a network is written like 192.168.10.0/24, one machine like 192.168.10.7"
            raise ValueError(form) from error
        raise ValueError(f'bits of the host are set; did you mean "{wider}"?') from error
    return value


def _device(value: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d+)?|mps", value):
        raise ValueError('a device is "cpu", "cuda:0", "cuda:1", …')
    return value


def _web_address(value: str) -> str:
    """An http or https URL; user and password may stand in it."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a url is written like https://pacs.example/dicom-web")
    return value.rstrip("/")


def _when(value: object) -> Condition:
    """Conditions as conf.yaml writes them, or as they were parsed before."""
    if isinstance(value, Term | AllOf | AnyOf | NotOf):
        return value
    try:
        return parse_when(value)
    except FaultyConfigError as error:
        raise PydanticCustomError(EXPANDED, "conditions can't be read", {EXPANDED: error.faults}) from error


def _facts(value: object) -> Mapping[str, Scalar]:
    """Values by the names of facts, each one that the fact can have."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("facts and their values, such as `kind: flair`")
    faults = [fault for name, one in value.items() for fault in _fact_faults(str(name), one)]
    if faults:
        raise PydanticCustomError(EXPANDED, "facts can't be read", {EXPANDED: faults})
    return {str(name): one for name, one in value.items()}


def _fact_faults(name: str, value: object) -> Iterator[Fault]:
    if name not in TAUGHT:
        yield Fault((name,), f'there is no fact "{name}" that can be taught', one_of(TAUGHT, name))
    elif FACTS[name].sort == "flag" and not isinstance(value, bool):
        yield Fault((name,), f"found {shown(value)}", "allowed: true, false")
    elif not isinstance(value, str | int | float) or (FACTS[name].values and value not in FACTS[name].values):
        yield Fault((name,), f"{name} is never {shown(value)}", one_of(FACTS[name].values, str(value)))


def _clock(value: object) -> time:
    found = comparable(value, "time")
    if isinstance(found, time):
        return found
    raise ValueError("a time of day is written 08:30, in quotes")


TAUGHT = tuple(name for name in FACTS if name not in ("images", "frames", "calling_ae_title"))
"""Facts that are worked out, and so may be taught; the others are counted."""
AETitle = Annotated[str, AfterValidator(_ae_title)]
Network = Annotated[str, AfterValidator(_network)]
"""An address, or a network in CIDR form."""
Device = Annotated[str, AfterValidator(_device)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
"""Up to a year."""
Clock = Annotated[time, PlainValidator(_clock)]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ALL_DAYS: tuple[Day, ...] = get_args(Day)
Facts = Annotated[Mapping[str, Scalar], PlainValidator(_facts)]
When = Annotated[Condition, PlainValidator(_when)]
