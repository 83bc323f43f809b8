"""What is agreed when an association opens (PS3.8 9.3.2 to 9.3.4), and why a peer says no."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_requestor

from dicom_node.association.peer import Peer, intelligible, name_of
from dicom_node.association.transport import MAX_PDU
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MAX_CONTEXTS = 128
"""Presentation contexts in one A-ASSOCIATE-RQ: their odd identifiers end at 255 (PS3.8 9.3.2.2)."""
_APPLICATION_CONTEXT = UID("1.2.840.10008.3.1.1.1")

_REJECTED_PERMANENT, _SERVICE_USER, _PRESENTATION = 1, 1, 3
_REJECTIONS = {
    (_SERVICE_USER, 2): "it does not support the DICOM application context",
    (_SERVICE_USER, 3): "it does not know our AE title; add {ours} to the nodes that it knows",
    (_SERVICE_USER, 7): "it is not called {theirs}; correct `ae_title` of this peer in conf.yaml",
    (_PRESENTATION, 1): "it is congested at the moment",
    (_PRESENTATION, 2): "its limit of associations is reached",
}
"""Why, by source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""


class NothingAccepted(PeerRefused):
    """The peer took the association, but none of the presentation contexts proposed."""


def request(
    peer: Peer,
    calling_ae_title: str,
    contexts: Sequence[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
) -> bytes:
    """An encoded A-ASSOCIATE-RQ; numbers the contexts 1, 3, 5, …"""
    for position, context in enumerate(contexts):
        context.context_id = 2 * position + 1
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    version = ImplementationVersionNameNotification()
    length.maximum_length_received = MAX_PDU
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    primitive = A_ASSOCIATE()
    primitive.application_context_name = _APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = calling_ae_title, peer.ae_title
    primitive.presentation_context_definition_list = list(contexts)
    primitive.user_information = [length, implementation, version, *roles]
    return A_ASSOCIATE_RQ(primitive).encode()


def accepted(
    answer: bytes,
    peer: Peer,
    contexts: Sequence[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
) -> tuple[list[PresentationContext], int]:
    """The contexts that an A-ASSOCIATE-AC accepts, and the longest P-DATA-TF that the peer takes, in bytes.

    Raises NothingAccepted where there is none.
    """
    pdu = A_ASSOCIATE_AC()
    with intelligible(peer):
        pdu.decode(answer)
        primitive = pdu.to_primitive()
    for context in contexts:
        role = next((role for role in roles if role.sop_class_uid == context.abstract_syntax), None)
        if role is not None:
            context.scu_role, context.scp_role = bool(role.scu_role), bool(role.scp_role)
    answered = {
        UID(item.sop_class_uid or ""): (item.scu_role, item.scp_role)
        for item in primitive.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
    }
    results = primitive.presentation_context_definition_results_list
    with intelligible(peer):
        negotiated = negotiate_as_requestor(list(contexts), results, answered)
    agreed = [cx for cx in negotiated if cx.result == 0 and cx.transfer_syntax]
    if not agreed:
        raise NothingAccepted(f"{name_of(peer)} accepts nothing of what we proposed")
    limit = next(
        (
            item.maximum_length_received
            for item in primitive.user_information
            if isinstance(item, MaximumLengthNotification)
        ),
        0,
    )
    return agreed, min(limit or MAX_PDU, MAX_PDU)  # 0 stands for no limit (PS3.8 D.1)


def rejection(answer: bytes, peer: Peer, calling_ae_title: str) -> PeerUnavailable | PeerRefused:
    """What an A-ASSOCIATE-RJ says, and whether it may say otherwise later."""
    pdu = A_ASSOCIATE_RJ()
    with intelligible(peer):
        pdu.decode(answer)
    why = _REJECTIONS.get(
        (pdu.source or 0, pdu.reason_diagnostic or 0), "it gave no reason; its log may say more"
    )
    why = why.format(ours=calling_ae_title, theirs=peer.ae_title)
    text = f"{name_of(peer)} rejected the association from {calling_ae_title}: {why}"
    # Congestion and limits pass, whatever the peer calls them.
    if pdu.result == _REJECTED_PERMANENT and pdu.source != _PRESENTATION:
        return PeerRefused(text)
    return PeerUnavailable(text)
