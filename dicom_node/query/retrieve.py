"""Fetching a series from a PACS: C-GET where it is offered, else C-MOVE to ourselves (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, AllTransferSyntaxes, ExplicitVRBigEndian
from pynetdicom import StoragePresentationContexts, build_role
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.status import code_to_category

from dicom_node.association import Association, Message, Peer, associate, name_of
from dicom_node.association.find import MEDIUM
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID

C_STORE_RQ, C_STORE_RSP, C_GET_RQ, C_MOVE_RQ = 0x0001, 0x8001, 0x0010, 0x0021
"""Command Fields (0000,0100), PS3.7 9.3."""
GET = (UID("1.2.840.10008.5.1.4.1.2.2.3"), UID("1.2.840.10008.5.1.4.1.2.1.3"))
MOVE = (UID("1.2.840.10008.5.1.4.1.2.2.2"), UID("1.2.840.10008.5.1.4.1.2.1.2"))
"""Query/Retrieve Information Models (PS3.4 C.6): Study Root, then Patient Root."""
PATIENCE = 300.0
"""Seconds without a word: some peers fetch from a tape, and tell nothing before they are done."""
_OUT_OF_RESOURCES, _MOVE_DESTINATION_UNKNOWN, _DOES_NOT_MATCH = 0xA700, 0xA801, 0xA9
_SYNTAXES: list[str | UID] = [uid for uid in AllTransferSyntaxes if uid != ExplicitVRBigEndian]

Receive = Callable[[str, bytes], None]
"""Takes the SOP Instance UID and the bytes of the DICOM file of an image that arrived by C-GET."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What came: by C-GET to `receive`, or by C-MOVE to the receiver; as the peer counted it."""

    by: Literal["get", "move"]
    completed: int
    failed: int


def retrieve(
    peer: Peer,
    calling_ae_title: str,
    study_instance_uid: str,
    series_instance_uid: str,
    receive: Receive,
    patient_id: str = "",
    patience: float = PATIENCE,
    until: float | None = None,
) -> Retrieved:
    """Fetches a series.

    Args:
        peer: the PACS that holds it.
        calling_ae_title: who we are; also where C-MOVE sends to, so the peer has to know our address.
        study_instance_uid: its study.
        series_instance_uid: the series.
        receive: durable when it returns; an OSError is answered as out of resources.
        patient_id: needed only where the peer answers in the Patient Root model alone.
        patience: seconds without a word.
        until: by time.monotonic(), when all has to be there; None: however long it takes.

    Raises:
        PeerUnavailable: no answer, or the transfer broke off. PeerRefused: not offered, or not allowed.
    """
    contexts, roles = _proposed()
    with associate(peer, calling_ae_title, contexts, roles, until) as assoc:
        context = next((cx for model in (*GET, *MOVE) if (cx := assoc.context(model)) is not None), None)
        if context is None:
            raise PeerRefused(f"{name_of(peer)} offers neither C-GET nor C-MOVE")
        series = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
        command, query = _request(context.abstract_syntax, calling_ae_title, patient_id, **series)
        assoc.send(context, command, query)
        final = _serve(assoc, receive, patience)
        if code_to_category(final.status) == "Failure":
            raise _failure(peer, final.status, calling_ae_title)
        numbers = final.command
        return Retrieved(
            by="get" if command.CommandField == C_GET_RQ else "move",
            completed=_number(numbers, "Completed") + _number(numbers, "Warning"),
            failed=_number(numbers, "Failed"),
        )


def _proposed() -> tuple[list[PresentationContext], list[SCP_SCU_RoleSelectionNegotiation]]:
    """Both operations in both models; and, as the receiver of what C-GET sends, every storage class."""
    storage = [build_context(str(cx.abstract_syntax), _SYNTAXES) for cx in StoragePresentationContexts]
    roles = [build_role(str(cx.abstract_syntax), scp_role=True) for cx in storage]
    return [*(build_context(model) for model in (*GET, *MOVE)), *storage], roles


def _request(
    model: UID | None, calling_ae_title: str, patient_id: str, **series: str
) -> tuple[Dataset, Dataset]:
    """Command and identifier of a C-GET-RQ or C-MOVE-RQ (PS3.7 9.3.3.1, 9.3.4.1)."""
    command, query = Dataset(), Dataset()
    command.AffectedSOPClassUID, command.Priority = model, MEDIUM
    command.CommandField = C_GET_RQ if model in GET else C_MOVE_RQ
    if command.CommandField == C_MOVE_RQ:
        command.MoveDestination = calling_ae_title
    query.QueryRetrieveLevel = "SERIES"
    if model in {GET[1], MOVE[1]}:
        query.PatientID = patient_id
    for keyword, uid in series.items():
        setattr(query, keyword, uid)
    return command, query


def _serve(assoc: Association, receive: Receive, patience: float) -> Message:
    """Takes what the peer sends until it says how the retrieval ended."""
    while True:
        message = assoc.receive(max(assoc.peer.timeout, patience))
        if message.command.CommandField == C_STORE_RQ:
            assoc.send(message.context, _stored(message, receive))
        elif code_to_category(message.status) != "Pending":
            return message


def _stored(message: Message, receive: Receive) -> Dataset:
    """Keeps an image, and gives the C-STORE response for it (PS3.7 9.3.1.2)."""
    request, answer = message.command, Dataset()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = request.AffectedSOPClassUID
    meta.MediaStorageSOPInstanceUID = request.AffectedSOPInstanceUID
    meta.TransferSyntaxUID = message.context.transfer_syntax[0]
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.FileMetaInformationVersion = b"\x00\x01"
    answer.CommandField, answer.MessageIDBeingRespondedTo = C_STORE_RSP, request.MessageID
    answer.AffectedSOPClassUID = request.AffectedSOPClassUID
    answer.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID
    try:
        part10 = bytes(128) + b"DICM" + encode_file_meta(meta) + message.data
        receive(str(request.AffectedSOPInstanceUID), part10)
        answer.Status = 0x0000
    except OSError:
        answer.Status = _OUT_OF_RESOURCES
    return answer


def _number(command: Dataset, how: str) -> int:
    return int(command.get(f"NumberOf{how}Suboperations", 0) or 0)


def _failure(peer: Peer, status: int, calling_ae_title: str) -> PeerRefused | PeerUnavailable:
    text = f"{name_of(peer)} answered a retrieval with {status:04X}"
    if status == _MOVE_DESTINATION_UNKNOWN:
        return PeerRefused(f"{text}: it does not know where {calling_ae_title} is; add our address there")
    if status >> 8 == _DOES_NOT_MATCH:
        return PeerRefused(f"{text}: it does not support this query")
    return PeerUnavailable(f"{text}; its log says more")
