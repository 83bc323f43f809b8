"""A-ASSOCIATE-RQ to what was agreed, and the A-ASSOCIATE-AC that says so (PS3.8 9.3.2, PS3.7 D.3).

pynetdicom's classes read the request and write the answer. A sender repeats its request byte for byte,
so what was agreed is remembered by those bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID
from pynetdicom import sop_class
from pynetdicom._globals import APPLICATION_CONTEXT_NAME
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
)
from pynetdicom.presentation import PresentationContext

from dicom_node.association.commitment import COMMITMENT
from dicom_node.errors import BadInput
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.receive.pdu import MAX_PDU

VERIFICATION = "1.2.840.10008.1.1"
MPPS = "1.2.840.10008.3.1.2.3.3"
SERVICES: Mapping[str, str] = {VERIFICATION: "echo", COMMITMENT: "commit", MPPS: "mpps"}
"""What a peer must be allowed, by abstract syntax; everything else that is accepted is storage."""

_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
_DICOM_ROOT = "1.2.840.10008."
_TRANSFER_SYNTAX_ROOT = "1.2.840.10008.1.2"
_STORAGE = frozenset(map(str, sop_class._STORAGE_CLASSES.values())) | frozenset(
    uid for uid, (name, kind, *_rest) in UID_dictionary.items() if kind == "SOP Class" and "Storage" in name
) - {COMMITMENT, "1.2.840.10008.1.20.2", "1.2.840.10008.1.3.10"}
_ACCEPTED, _USER_REJECTION, _NO_REASON, _NO_ABSTRACT_SYNTAX, _NO_TRANSFER_SYNTAX = range(5)
_STORAGE_INFORMATION = bytes((2, 0, 3, 0, 0, 0))
"""Level 2 (full) storage, signature level 3 (bits preserved), nothing coerced (PS3.4 B.3.1)."""
_OUTSTANDING = 16
"""Operations that a sender may have outstanding: they are served in order, but it need not wait."""
_NAMED = 5
"""Abstract syntaxes named in a refusal."""
_REMEMBERED, _REMEMBERED_SIZE = 256, 65_536
"""How many requests are remembered, and bytes of the largest."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Unintelligible(BadInput):
    """The bytes are no A-ASSOCIATE-RQ."""


@dataclass(frozen=True, slots=True)
class Request:
    """An A-ASSOCIATE-RQ."""

    calling_ae_title: str
    called_ae_title: str
    primitive: A_ASSOCIATE


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str

    @property
    def service(self) -> str:
        """What a peer must be allowed to use it: "store", "echo", "commit" or "mpps"."""
        return SERVICES.get(self.abstract_syntax, "store")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed on an association.

    Attributes:
        contexts: those accepted, by identifier.
        max_pdu: bytes of a P-DATA-TF's variable field that the peer takes; 0: any.
        answer: the A-ASSOCIATE-AC.
    """

    contexts: Mapping[int, Context]
    max_pdu: int
    answer: bytes
    refused: str
    """Why some abstract syntaxes were not; empty if all were."""


def read_request(body: bytes) -> Request:
    """Reads an A-ASSOCIATE-RQ, header included. Raises Unintelligible."""
    pdu = A_ASSOCIATE_RQ()
    try:
        pdu.decode(body)
        primitive = pdu.to_primitive()
        return Request(primitive.calling_ae_title.strip(), primitive.called_ae_title.strip(), primitive)
    except Exception as error:  # pynetdicom raises whatever the bytes provoke
        raise Unintelligible("not an A-ASSOCIATE-RQ") from error


class Negotiator:
    """Reads and answers requests; remembers both by their bytes. Safe for threads."""

    def __init__(self) -> None:
        self._requests: dict[bytes, Request] = {}
        self._agreements: dict[tuple[bytes, frozenset[str], bool], Agreement] = {}

    def read(self, body: bytes) -> Request:
        """The A-ASSOCIATE-RQ in these bytes, header included. Raises Unintelligible."""
        if (known := self._requests.get(body)) is None:
            known = read_request(body)
            _remember(self._requests, body, known, len(body))
        return known

    def agree(self, body: bytes, may: frozenset[str], private: bool) -> Agreement:
        """What is agreed with a peer.

        Args:
            body: its request.
            may: what it may do: "store", "echo", "commit", "mpps".
            private: private SOP classes and transfer syntaxes are taken from it.

        Raises:
            Unintelligible: the bytes are no request.
        """
        key = (body, may, private)
        if (known := self._agreements.get(key)) is None:
            request = self.read(body)
            try:
                known = negotiate(request, may, private)
            except Exception as error:  # as above
                raise Unintelligible("an A-ASSOCIATE-RQ that can't be answered") from error
            _remember(self._agreements, key, known, len(body))
        return known


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value, size: int) -> None:
    """Keeps what is small; forgets all when there is much of it: senders are few, attackers are not."""
    if size <= _REMEMBERED_SIZE:
        if len(memory) >= _REMEMBERED:
            memory.clear()
        memory[key] = value


def negotiate(request: Request, may: frozenset[str], private: bool) -> Agreement:
    """Answers a request's presentation contexts, roles and other user information."""
    asked = request.primitive
    roles = {
        str(item.sop_class_uid): item
        for item in asked.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
    }
    contexts: dict[int, Context] = {}
    results: list[PresentationContext] = []
    for proposed in asked.presentation_context_definition_list:
        role = roles.get(str(proposed.abstract_syntax))
        result, transfer_syntax = _judge(proposed, role, may, private)
        if result == _ACCEPTED and proposed.context_id is not None:
            contexts[proposed.context_id] = Context(str(proposed.abstract_syntax), transfer_syntax)
        results.append(_result(proposed, result, transfer_syntax))
    accepted = {context.abstract_syntax for context in contexts.values()}
    return Agreement(
        contexts=contexts,
        max_pdu=_max_pdu(asked),
        answer=_answer(asked, results, [role for uid, role in roles.items() if uid in accepted], accepted),
        refused=_why_refused(results, accepted),
    )


def _judge(
    proposed: PresentationContext,
    role: SCP_SCU_RoleSelectionNegotiation | None,
    may: frozenset[str],
    private: bool,
) -> tuple[int, str]:
    """Result (PS3.8 table 9-18) and transfer syntax for a proposed context.

    The sender's first choice is taken: it is how the object lies on its disk.
    """
    abstract_syntax = str(proposed.abstract_syntax)
    offered = [str(uid) for uid in proposed.transfer_syntax or ()] or [""]
    if not is_supported(abstract_syntax, private):
        return _NO_ABSTRACT_SYNTAX, offered[0]
    if SERVICES.get(abstract_syntax, "store") not in may:
        return _USER_REJECTION, offered[0]
    as_we_are = role is not None and not role.scu_role  # SCP alone
    if as_we_are and abstract_syntax != COMMITMENT:
        return _USER_REJECTION, offered[0]
    for uid in offered:
        if uid.startswith(_TRANSFER_SYNTAX_ROOT) or (private and uid and not uid.startswith(_DICOM_ROOT)):
            return _ACCEPTED, uid
    return _NO_TRANSFER_SYNTAX, offered[0]


def _why_refused(results: list[PresentationContext], accepted: set[str]) -> str:
    """The abstract syntaxes of which no context was accepted, in words."""
    refused = {str(one.abstract_syntax): one.result for one in results}
    kinds = {
        "may not be used by it": _USER_REJECTION,
        "not supported": _NO_ABSTRACT_SYNTAX,
        "supported in other transfer syntaxes only": _NO_TRANSFER_SYNTAX,
    }
    parts = []
    for words, result in kinds.items():
        uids = sorted(uid for uid, got in refused.items() if got == result and uid not in accepted)
        if uids:
            named = ", ".join(uid or "a context without SOP class" for uid in uids[:_NAMED])
            parts.append(f"{named}{' and others' if len(uids) > _NAMED else ''}: {words}")
    return "; ".join(parts)


def speaks_dicom(request: Request) -> bool:
    """Whether the request's application context is DICOM's (PS3.7 A.2.1)."""
    return str(request.primitive.application_context_name) == APPLICATION_CONTEXT_NAME


def speaks_version(body: bytes) -> bool:
    """Whether the request's protocol versions include the first (PS3.8 table 9-11)."""
    return bool(body[7] & 1)


def is_supported(abstract_syntax: str, private: bool) -> bool:
    """Whether this is a service of the node, or a storage SOP class.

    A class newer than the dictionaries counts as storage where the standard's numbering says so.
    """
    if abstract_syntax in SERVICES or abstract_syntax in _STORAGE:
        return True
    if abstract_syntax.startswith(_DICOM_ROOT):
        return abstract_syntax.startswith(_STORAGE_ROOT) and abstract_syntax not in UID_dictionary
    return private


def _result(proposed: PresentationContext, result: int, transfer_syntax: str) -> PresentationContext:
    answer = PresentationContext()
    answer.context_id = proposed.context_id
    answer.abstract_syntax = proposed.abstract_syntax
    if transfer_syntax:
        answer.transfer_syntax = [transfer_syntax]
    answer.result = result
    return answer


def _max_pdu(asked: A_ASSOCIATE) -> int:
    for item in asked.user_information:
        if isinstance(item, MaximumLengthNotification):
            return int(item.maximum_length_received or 0)
    return 0


def _answer(
    asked: A_ASSOCIATE,
    results: list[PresentationContext],
    roles: list[SCP_SCU_RoleSelectionNegotiation],
    accepted: set[str],
) -> bytes:
    """The A-ASSOCIATE-AC: the request's titles are returned as they came (PS3.8 9.3.3)."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(APPLICATION_CONTEXT_NAME)
    primitive.calling_ae_title = asked.calling_ae_title
    primitive.called_ae_title = asked.called_ae_title
    primitive.result, primitive.result_source = 0, 1
    primitive.presentation_context_definition_results_list = results
    primitive.user_information = [*_own_information(), *_answered_information(asked, roles, accepted)]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def _own_information() -> list[Any]:
    """Maximum length and implementation (PS3.7 D.3.3.1, D.3.3.2)."""
    length = MaximumLengthNotification()
    length.maximum_length_received = MAX_PDU
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return [length, implementation, version]


def _answered_information(
    asked: A_ASSOCIATE, roles: list[SCP_SCU_RoleSelectionNegotiation], accepted: set[str]
) -> list[Any]:
    """Roles (D.3.3.4), operations window (D.3.3.3) and extended negotiation of storage (D.3.3.5).

    Common extended negotiation and user identity have no answer from one who doesn't use them.
    """
    items: list[Any] = []
    for role in roles:
        answer = SCP_SCU_RoleSelectionNegotiation()
        answer.sop_class_uid, answer.scu_role, answer.scp_role = role.sop_class_uid, True, False
        if str(role.sop_class_uid) == COMMITMENT:  # it may tell what became of what we sent (PS3.4 J.3.3)
            answer.scu_role, answer.scp_role = bool(role.scu_role), bool(role.scp_role)
        items.append(answer)
    for item in asked.user_information:
        if isinstance(item, AsynchronousOperationsWindowNegotiation):
            window = AsynchronousOperationsWindowNegotiation()
            window.maximum_number_operations_invoked = min(
                item.maximum_number_operations_invoked or _OUTSTANDING, _OUTSTANDING
            )
            window.maximum_number_operations_performed = 1
            items.append(window)
        elif isinstance(item, SOPClassExtendedNegotiation):
            uid = str(item.sop_class_uid)
            if uid in accepted and uid not in SERVICES:
                extended = SOPClassExtendedNegotiation()
                extended.sop_class_uid = item.sop_class_uid
                extended.service_class_application_information = _STORAGE_INFORMATION
                items.append(extended)
    return items
