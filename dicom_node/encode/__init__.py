"""Findings in, checked DICOM objects out.

`encode` dispatches on the findings' types; `encode_no_result` makes the visible object of a job that has
no result; `to_bytes` writes the same object as the same bytes, always; `check` is the gate that both have
passed when they return. Everything is a pure function of its arguments: no clock, no random number, no file.
"""

from dicom_node.encode.context import EncodeContext, EncodedObject, is_own_result
from dicom_node.encode.dispatch import encode, encode_no_result
from dicom_node.encode.gate import check
from dicom_node.encode.part10 import to_bytes

__all__ = [
    "EncodeContext",
    "EncodedObject",
    "check",
    "encode",
    "encode_no_result",
    "is_own_result",
    "to_bytes",
]
