"""Findings in, checked DICOM objects out.

`render` makes what each destination of a job is to have, in the form that it takes, and `render_no_result`
what tells it that there is none. `encode` and `encode_no_result` make given forms; `to_bytes` writes the same
object as the same bytes, always; `check` is the gate that all have passed when they return. Everything is a
pure function of its arguments: no clock, no random number, no file.
"""

from dicom_node.encode.context import EncodeContext, EncodedFile, EncodedObject, is_own_result
from dicom_node.encode.dispatch import encode, encode_no_result
from dicom_node.encode.earlier import measured, person_of
from dicom_node.encode.gate import check
from dicom_node.encode.part10 import to_bytes
from dicom_node.encode.plan import PROFILES, Taker, plan, plan_among, plan_every, plan_notice
from dicom_node.encode.rejection import rejection_note
from dicom_node.encode.rendering import Rendered, get_ahead, render, render_no_result
from dicom_node.encode.rereading import read_measured
from dicom_node.encode.wording import unit_text

__all__ = [
    "PROFILES",
    "EncodeContext",
    "EncodedFile",
    "EncodedObject",
    "Rendered",
    "Taker",
    "check",
    "encode",
    "encode_no_result",
    "get_ahead",
    "is_own_result",
    "measured",
    "person_of",
    "plan",
    "plan_among",
    "plan_every",
    "plan_notice",
    "read_measured",
    "rejection_note",
    "render",
    "render_no_result",
    "to_bytes",
    "unit_text",
]
