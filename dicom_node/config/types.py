"""Types of single values in conf.yaml, each with what it says of a wrong one."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from dicom_node.config.faults import FaultyConfigError
from dicom_node.config.problems import EXPANDED
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


def _when(value: object) -> Condition:
    """Conditions as conf.yaml writes them, or as they were parsed before."""
    if isinstance(value, Term | AllOf | AnyOf | NotOf):
        return value
    try:
        return parse_when(value)
    except FaultyConfigError as error:
        raise PydanticCustomError(EXPANDED, "conditions can't be read", {EXPANDED: error.faults}) from error


AETitle = Annotated[str, AfterValidator(_ae_title)]
Network = Annotated[str, AfterValidator(_network)]
"""An address, or a network in CIDR form."""
Device = Annotated[str, AfterValidator(_device)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
"""Up to a year."""
When = Annotated[Condition, PlainValidator(_when)]
