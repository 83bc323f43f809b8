"""Who an instance is: the UIDs in its data set, read from the first elements of its file."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_node.spool.elements import DeflatedBytes, FileBytes, Form, walk

PRIVATE_GE = "1.2.840.113619.5.2"
"""GE's private transfer syntax: implicit VR little endian, but for the pixels."""
_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_EXPLICIT = Form()
_FORMS = {
    str(ImplicitVRLittleEndian): Form(implicit=True),
    str(ExplicitVRBigEndian): Form(big=True),
    PRIVATE_GE: Form(implicit=True),
}
_WANTED = frozenset((_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES))


@dataclass(frozen=True, slots=True)
class Identity:
    """The UIDs in a data set; empty where it holds none."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""


def identify(fd: int, offset: int, transfer_syntax_uid: str) -> Identity:
    """The UIDs of the data set that begins at `offset` of an open file.

    Args:
        fd: open for reading.
        offset: bytes before the data set.
        transfer_syntax_uid: how it is written; an unknown one is read as explicit VR little endian,
            as all but three are (PS3.5 A).

    Raises:
        Unreadable: what stands before Series Instance UID is no data set.
    """
    deflated = transfer_syntax_uid == DeflatedExplicitVRLittleEndian
    found, _end = walk(
        DeflatedBytes(fd, offset) if deflated else FileBytes(fd),
        0 if deflated else offset,
        _WANTED,
        last=_SERIES,
        form=_FORMS.get(transfer_syntax_uid, _EXPLICIT),
    )
    return Identity(*(found.get(tag, "") for tag in (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)))
