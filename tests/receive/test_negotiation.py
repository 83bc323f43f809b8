"""What is agreed with senders: every storage class and transfer syntax, roles, windows, extended items."""

from __future__ import annotations

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AllStoragePresentationContexts, build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import _STORAGE_CLASSES

from dicom_node.implementation import IMPLEMENTATION_CLASS_UID
from dicom_node.receive.negotiation import (
    Agreement,
    Negotiator,
    Unintelligible,
    is_supported,
    read_request,
)
from dicom_node.receive.pdu import MAX_PDU
from tests.receive.upper_layer import CT, VERIFICATION, associate_rq, read_accept

ALL = frozenset(("echo", "store", "commit", "mpps"))
PRIVATE = "1.2.840.113619.4.26"
COMMITMENT = "1.2.840.10008.1.20.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def agree(body: bytes, may: frozenset[str] = ALL, *, private: bool = False) -> Agreement:
    return Negotiator().agree(body, may, private)


@pytest.mark.parametrize("name", sorted(_STORAGE_CLASSES))
def test_every_storage_class_is_taken(name: str) -> None:
    assert is_supported(_STORAGE_CLASSES[name], private=False)


@pytest.mark.parametrize(
    ("uid", "taken"),
    [
        ("1.2.840.10008.5.1.4.1.1.77.1.1.1", True),
        ("1.2.840.10008.5.1.4.1.1.999.1", True),  # newer than the dictionaries
        ("1.2.840.10008.5.1.1.30", True),  # retired: Hardcopy Color Image Storage
        (VERIFICATION, True),
        (COMMITMENT, True),
        (FIND, False),
        ("1.2.840.10008.1.20.2", False),  # Storage Commitment Pull Model
        ("1.2.840.10008.5.1.1.9", False),  # print
        (PRIVATE, False),
    ],
)
def test_other_classes_are_taken_where_they_are_storage(uid: str, taken: bool) -> None:
    assert is_supported(uid, private=False) is taken


@pytest.mark.parametrize(
    "uid", [uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"]
)
def test_every_transfer_syntax_is_taken(uid: str) -> None:
    assert agree(associate_rq([(CT, [uid])])).contexts[1].transfer_syntax == uid


def test_the_senders_first_choice_is_taken() -> None:
    agreement = agree(associate_rq([(CT, [JPEG2000Lossless, ExplicitVRLittleEndian])]))
    assert agreement.contexts[1].transfer_syntax == JPEG2000Lossless


def test_private_classes_and_syntaxes_are_taken_where_they_are_allowed() -> None:
    body = associate_rq([(PRIVATE, [ExplicitVRLittleEndian]), (CT, ["1.2.840.113619.5.2"])])
    assert agree(body).contexts == {}
    assert set(agree(body, private=True).contexts) == {1, 3}


def test_each_context_gets_its_result() -> None:
    body = associate_rq(
        [
            (CT, [ExplicitVRLittleEndian]),
            (FIND, [ExplicitVRLittleEndian]),
            (CT, ["1.2.840.113619.5.2"]),
            (COMMITMENT, [ExplicitVRLittleEndian]),
        ]
    )
    agreement = agree(body, frozenset({"store"}))
    results = read_accept(agreement.answer).presentation_context_definition_results_list
    assert [one.result for one in results] == [0, 3, 4, 1]
    assert FIND in agreement.refused
    assert COMMITMENT in agreement.refused
    assert CT not in agreement.refused


def test_a_sender_may_be_storage_scu_and_no_more() -> None:
    roles = [build_role(CT, scu_role=True, scp_role=True)]
    answer = read_accept(agree(associate_rq([(CT, [ExplicitVRLittleEndian])], items=roles)).answer)
    (role,) = [i for i in answer.user_information if isinstance(i, SCP_SCU_RoleSelectionNegotiation)]
    assert (role.sop_class_uid, role.scu_role, role.scp_role) == (CT, True, False)


def test_a_sender_that_would_only_be_scp_is_refused_the_context() -> None:
    roles = [build_role(CT, scu_role=False, scp_role=True)]
    assert agree(associate_rq([(CT, [ExplicitVRLittleEndian])], items=roles)).contexts == {}


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (4, 4), (0, 16), (500, 16)])
def test_a_window_of_operations_is_given(asked: int, given: int) -> None:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = asked, 9
    answer = read_accept(agree(associate_rq(items=[window])).answer)
    (got,) = [i for i in answer.user_information if isinstance(i, AsynchronousOperationsWindowNegotiation)]
    assert got.maximum_number_operations_invoked == given
    assert got.maximum_number_operations_performed == 1


def test_extended_negotiation_of_storage_is_answered_with_full_support() -> None:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = CT, b"\3\0\3\0\2\0"
    answer = read_accept(agree(associate_rq([(CT, [ExplicitVRLittleEndian])], items=[item])).answer)
    (got,) = [i for i in answer.user_information if isinstance(i, SOPClassExtendedNegotiation)]
    assert (got.sop_class_uid, got.service_class_application_information) == (CT, b"\2\0\3\0\0\0")


def test_who_says_who_they_are_is_let_in_without_an_answer_to_that() -> None:
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    identity.positive_response_requested = True
    answer = read_accept(agree(associate_rq(items=[identity])).answer)
    assert not [i for i in answer.user_information if isinstance(i, UserIdentityNegotiation)]


def test_all_storage_contexts_at_once() -> None:
    contexts = [(str(cx.abstract_syntax), [ExplicitVRLittleEndian]) for cx in AllStoragePresentationContexts]
    assert len(agree(associate_rq(contexts[:128])).contexts) == 128


def test_what_we_say_of_ourselves() -> None:
    agreement = agree(associate_rq(max_pdu=30_000))
    answer = read_accept(agreement.answer)
    (length,) = [i for i in answer.user_information if isinstance(i, MaximumLengthNotification)]
    assert length.maximum_length_received == MAX_PDU
    assert agreement.max_pdu == 30_000
    assert answer.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert IMPLEMENTATION_CLASS_UID.is_valid


def test_a_request_is_remembered_with_what_its_sender_may_do() -> None:
    negotiator, body = Negotiator(), associate_rq([(CT, [ExplicitVRLittleEndian])])
    assert negotiator.agree(body, ALL, False) is negotiator.agree(bytes(body), ALL, False)
    assert negotiator.agree(body, frozenset({"echo"}), False).contexts == {}
    for number in range(1000):
        negotiator.agree(associate_rq(calling=f"S{number}"), ALL, False)
    assert len(negotiator._agreements) <= 256


@pytest.mark.parametrize("raw", [b"", b"\1", b"\1\0\0\0\0\x04abcd"])
def test_bytes_that_are_no_request(raw: bytes) -> None:
    with pytest.raises(Unintelligible):
        read_request(raw)


def test_a_context_without_a_class_is_named_as_such() -> None:
    body = bytearray(associate_rq([(CT, (ExplicitVRLittleEndian,))]))
    item = body.index(b"\x30\x00" + len(CT).to_bytes(2, "big") + CT.encode())
    del body[item + 4 : item + 4 + len(CT)]
    for at, size in ((item + 2, 2), (item - 6, 2), (2, 4)):  # the item, its context and the whole are shorter
        length = int.from_bytes(body[at : at + size], "big") - len(CT)
        body[at : at + size] = length.to_bytes(size, "big")
    assert agree(bytes(body)).refused == "a context without SOP class: not supported"
