"""What a destination accepts, by asking: negotiation alone, and one C-ECHO; nothing is sent or stored."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from pydicom import Dataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    KeyObjectSelectionDocumentStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    ParametricMapStorage,
    RLELossless,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.presentation import build_context

from dicom_node.association import MAX_CONTEXTS, NothingAccepted, Peer, associate
from dicom_node.association.commitment import COMMITMENT
from dicom_node.association.find import MODELS
from dicom_node.association.operation import Operation
from dicom_node.deliver.contexts import LABEL_MAP, Form
from dicom_node.deliver.status import meaning
from dicom_node.errors import PeerRefused

RESULT_CLASSES = (
    SegmentationStorage,
    LABEL_MAP,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    BasicTextSRStorage,
    SecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    RTStructureSetStorage,
    EncapsulatedPDFStorage,
)
"""The storage SOP classes that results may have."""
RESULT_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
)
"""The transfer syntaxes that results may have: all of them lossless."""
_SHORT = {
    ExplicitVRLittleEndian: "explicit",
    ImplicitVRLittleEndian: "implicit",
    DeflatedExplicitVRLittleEndian: "deflated",
    RLELossless: "RLE",
    JPEGLSLossless: "JPEG-LS",
    JPEG2000Lossless: "JPEG 2000",
}
VERIFICATION = UID("1.2.840.10008.1.1")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a destination can do for us."""

    forms: frozenset[Form]
    """SOP class and transfer syntax of each form that it takes."""
    storage_commitment: bool
    """It offers the Storage Commitment Push Model (PS3.4 annex J)."""
    lists: bool
    """It offers C-FIND, so that `confirm` can ask for what it holds."""
    echo_seconds: float | None
    """How long a C-ECHO took, the association included; None: it does not offer C-ECHO."""


def accepted_contexts(
    peer: Peer,
    calling_ae_title: str,
    sop_class_uids: Iterable[str] = RESULT_CLASSES,
    transfer_syntax_uids: Iterable[str] = RESULT_SYNTAXES,
) -> frozenset[Form]:
    """Which forms a peer takes, each asked for in a context by itself.

    Raises:
        PeerUnavailable: no association. PeerRefused: rejected for good.
    """
    forms = [Form(*form) for form in product(sop_class_uids, transfer_syntax_uids)]
    accepted: set[Form] = set()
    for start in range(0, len(forms), MAX_CONTEXTS):
        contexts = [build_context(*form) for form in forms[start : start + MAX_CONTEXTS]]
        try:
            with associate(peer, calling_ae_title, contexts) as assoc:
                accepted |= {Form(str(cx.abstract_syntax), cx.transfer_syntax[0]) for cx in assoc.contexts}
        except NothingAccepted:
            continue
    return frozenset(accepted)


def echo(peer: Peer, calling_ae_title: str) -> float:
    """Seconds that an association with a C-ECHO took (PS3.4 annex A).

    Raises:
        PeerUnavailable: no answer. PeerRefused: it does not offer C-ECHO, or answers with a failure.
    """
    began = time.monotonic()
    command = Dataset()
    command.CommandField, command.AffectedSOPClassUID = Operation.C_ECHO, VERIFICATION
    with associate(peer, calling_ae_title, [build_context(VERIFICATION)]) as assoc:
        status = assoc.ask(assoc.contexts[0], command).status
    if status != 0:
        raise PeerRefused(f"it answered a C-ECHO with {status:04X}: {meaning(status).text}")
    return time.monotonic() - began


def short_name(transfer_syntax_uid: str) -> str:
    """How a table names one of RESULT_SYNTAXES."""
    return _SHORT[UID(transfer_syntax_uid)]


def probe(peer: Peer, calling_ae_title: str) -> Abilities:
    """All that a destination can do for us. Raises what `accepted_contexts` raises."""
    forms = accepted_contexts(peer, calling_ae_title)
    services = [VERIFICATION, COMMITMENT, *MODELS]
    offered = {
        form.sop_class_uid
        for form in accepted_contexts(peer, calling_ae_title, services, [ImplicitVRLittleEndian])
    }
    return Abilities(
        forms=forms,
        storage_commitment=COMMITMENT in offered,
        lists=not offered.isdisjoint(MODELS),
        echo_seconds=echo(peer, calling_ae_title) if VERIFICATION in offered else None,
    )
