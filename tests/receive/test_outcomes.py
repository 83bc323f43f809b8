"""A destination tells on an association of its own what became of what it was sent (PS3.4 J.3.3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role
from pynetdicom.association import Association

from dicom_node.association.commitment import COMMITMENT, COMMITMENT_INSTANCE
from dicom_node.records import CommitmentOutcome
from tests.receive.scp import Scp, receiver
from tests.receive.test_services import commitment


def call(scp: Scp, *, scu: bool = False) -> Association:
    """An archive's association: as SCP, and as SCU too where it wants to be both."""
    ae = AE("ARCHIVE")
    ae.add_requested_context(COMMITMENT)
    role = build_role(COMMITMENT, scu_role=scu, scp_role=True)
    assoc = ae.associate("127.0.0.1", scp.port, ae_title="DICOMNODE", ext_neg=[role])
    assert assoc.is_established
    assert [(cx.as_scp, cx.as_scu) for cx in assoc.accepted_contexts] == [(True, scu)]
    return assoc


def tell(assoc: Association, ds: Dataset, event_type: int = 1) -> int:
    answer, _reply = assoc.send_n_event_report(ds, event_type, COMMITMENT, COMMITMENT_INSTANCE)
    return int(answer.Status)


@pytest.mark.parametrize("scu", [False, True])
def test_an_outcome_that_is_awaited_is_kept_and_others_are_not(tmp_path: Path, scu: bool) -> None:
    with receiver(tmp_path) as scp:
        told = commitment("1.2.6")
        told.FailedSOPSequence = commitment("1.2.7").ReferencedSOPSequence
        told.FailedSOPSequence[0].FailureReason = 0x0112
        uid = str(told.TransactionUID)
        assoc = call(scp, scu=scu)
        assert tell(assoc, told, 2) == 0x0115, "nobody asked"
        scp.spool.promises.expect(uid)
        assert tell(assoc, told, 2) == 0
        assert tell(assoc, told, 2) == 0, "told again, as where the answer was lost"
        assert scp.spool.promises.answer(uid) == CommitmentOutcome(uid, ("1.2.6",), {"1.2.7": 0x0112})
        scp.spool.promises.settle(uid)
        assert scp.spool.promises.answer(uid) is None
        assert tell(assoc, commitment("1.2.6")) == 0x0115
        assoc.release()
        assert scp.happenings() == [], "it has sent nothing"


def test_an_outcome_without_a_transaction_is_refused(tmp_path: Path) -> None:
    with receiver(tmp_path) as scp:
        ds = commitment("1.2.6")
        del ds.TransactionUID
        assoc = call(scp)
        assert tell(assoc, ds) == 0x0120
        assoc.release()


def test_an_outcome_of_an_odd_shape_is_refused_and_the_next_one_is_taken(tmp_path: Path) -> None:
    with receiver(tmp_path) as scp:
        ds = commitment("1.2.6")
        scp.spool.promises.expect(str(ds.TransactionUID))
        ds.FailedSOPSequence = commitment("1.2.7").ReferencedSOPSequence
        ds.FailedSOPSequence[0].FailureReason = [0x0110, 0x0112]
        assoc = call(scp)
        assert tell(assoc, ds, 2) == 0x0120
        ds.FailedSOPSequence[0].FailureReason = 0x0110
        assert tell(assoc, ds, 2) == 0
        assoc.release()


def test_an_archive_that_may_not_speak_of_commitments_is_not_heard(tmp_path: Path) -> None:
    peers = {"archive": {"ae_title": "ARCHIVE", "may": ["store"]}}
    with receiver(tmp_path, peers=peers) as scp:
        ae = AE("ARCHIVE")
        ae.add_requested_context(COMMITMENT)
        role = build_role(COMMITMENT, scp_role=True)
        assoc = ae.associate("127.0.0.1", scp.port, ae_title="DICOMNODE", ext_neg=[role])
        assert not assoc.accepted_contexts
        assoc.abort()
