"""C-FIND as SCU (PS3.4 C.4.1): an association on which identifiers are matched, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.status import code_to_category

from dicom_node.association.peer import Peer, intelligible, name_of
from dicom_node.association.requestor import Association, Message, associate
from dicom_node.errors import PeerRefused, PeerUnavailable

C_FIND_RQ = 0x0020
"""Command Field (0000,0100), PS3.7 9.3.2.1."""
MEDIUM = 0
"""Priority (0000,0700)."""
STUDY_ROOT, PATIENT_ROOT = UID("1.2.840.10008.5.1.4.1.2.2.1"), UID("1.2.840.10008.5.1.4.1.2.1.1")
MODELS = (STUDY_ROOT, PATIENT_ROOT)
"""Query/Retrieve Information Models - FIND (PS3.4 C.6), in the order that we prefer them: Study
Root needs no Patient ID below the study."""


@dataclass(frozen=True, slots=True)
class Finder:
    """An open association to ask on, and the information model that the peer chose to answer in."""

    assoc: Association
    context: PresentationContext
    most: int | None = None
    """Matches of a question, of which more are no answer; None: as many as there are."""

    @property
    def patient_root(self) -> bool:
        """Every question has to name the patient (PS3.4 C.6.1.1)."""
        return self.context.abstract_syntax == PATIENT_ROOT

    def find(self, level: str, **keys: str) -> list[Dataset]:
        """The identifiers that match; an empty key asks for its value.

        Raises:
            PeerUnavailable: the peer failed, or stopped answering.
            PeerRefused: it does not support what was asked, or gives more than `most`.
        """
        query, command = Dataset(), Dataset()
        query.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(query, keyword, value)
        command.CommandField, command.Priority = C_FIND_RQ, MEDIUM
        command.AffectedSOPClassUID = self.context.abstract_syntax
        self.assoc.send(self.context, command, query)
        found: list[Dataset] = []
        while code_to_category((answer := self.assoc.receive()).status) == "Pending":
            found.append(_identifier(answer, self.assoc.peer))
            if self.most is not None and len(found) > self.most:
                raise PeerRefused(
                    f"{name_of(self.assoc.peer)} answered a C-FIND with over {self.most} matches"
                )
        self._check(answer.status)
        return found

    def _check(self, status: int) -> None:
        if code_to_category(status) == "Success":
            return
        text = f"{name_of(self.assoc.peer)} answered a C-FIND with {status:04X}"
        if status >> 8 == 0xA9:  # PS3.4 C.4.1.1.4: the identifier does not match the SOP class
            raise PeerRefused(f"{text}: it does not support this query")
        raise PeerUnavailable(f"{text}; its log says more")


def _identifier(answer: Message, peer: Peer) -> Dataset:
    """An answer's identifier, every value of it decoded."""
    with intelligible(peer):
        identifier = answer.data_set()
        for element in identifier:
            _ = element.value
        return identifier


@contextmanager
def finder(
    peer: Peer, calling_ae_title: str, until: float | None = None, most: int | None = None
) -> Iterator[Finder]:
    """Opens an association for C-FIND. `until` and errors: see `associate`; `most`: see `Finder`."""
    models = [build_context(model) for model in MODELS]
    with associate(peer, calling_ae_title, models, until=until) as assoc:
        yield Finder(assoc, next(cx for model in MODELS if (cx := assoc.context(model)) is not None), most)
