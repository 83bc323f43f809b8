"""DIMSE messages on an association that we requested (PS3.7): sent from files, received whole."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from pydicom import Dataset
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from dicom_node.association.negotiation import accepted, rejection, request
from dicom_node.association.operation import RESPONSE
from dicom_node.association.peer import Peer, intelligible, name_of
from dicom_node.association.transport import PDU, Connection
from dicom_node.errors import BadInput, PeerUnavailable

_NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800) of a message without a data set (PS3.7 E.1)."""
_DATA_SET = 0x0001
_COMMAND, _LAST = 1, 2
"""Bits of a PDV's message control header (PS3.8 E.2)."""
_DATA_HEADER = struct.Struct(">BxLLBB")
"""P-DATA-TF with a single PDV: type, length, PDV length, context ID, control header (PS3.8 9.3.5)."""
_PDV_HEADER = struct.Struct(">LBB")
_RELEASE_RQ = bytes((PDU.RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Message:
    """A received DIMSE message."""

    context: PresentationContext
    command: Dataset
    data: bytes
    """The encoded data set; empty where there is none."""

    @property
    def status(self) -> int:
        """Status (0000,0900) of a response; 0xFFFF, which no service defines, where it gives none."""
        status = self.command.get("Status")
        return status if isinstance(status, int) else 0xFFFF

    def data_set(self) -> Dataset:
        """The decoded data set; empty where there is none."""
        syntax = self.context.transfer_syntax[0]
        return decode(BytesIO(self.data), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)


class Association:
    """An established association. Every method raises PeerUnavailable where the peer is lost."""

    def __init__(
        self, connection: Connection, contexts: Sequence[PresentationContext], longest_pdu: int
    ) -> None:
        self.peer = connection.peer
        self.contexts = tuple(contexts)
        self._connection = connection
        self._longest_pdu = longest_pdu
        self._message_id = 0

    @property
    def ended(self) -> bool:
        """The connection is gone: nothing more can be asked."""
        return self._connection.ended

    def context(
        self, sop_class_uid: str, transfer_syntax_uid: str | None = None
    ) -> PresentationContext | None:
        """The accepted context for a SOP class, and a transfer syntax where it matters; None: none was."""
        for context in self.contexts:
            syntax = context.transfer_syntax[0]
            if context.abstract_syntax == sop_class_uid and transfer_syntax_uid in {None, syntax}:
                return context
        return None

    def ask(
        self, context: PresentationContext, command: Dataset, data: Dataset | BinaryIO | None = None
    ) -> Message:
        """Sends a request and returns its one response."""
        self.send(context, command, data)
        return self.receive()

    def send(
        self, context: PresentationContext, command: Dataset, data: Dataset | BinaryIO | None = None
    ) -> None:
        """Sends a message; numbers it where it is a request.

        Args:
            context: one of `contexts`.
            command: the command set without Message ID, lengths and Command Data Set Type.
            data: the data set, or a stream of it already encoded in the context's transfer syntax.

        Raises:
            BadInput: the data set cannot be encoded.
            OSError: the stream cannot be read; the association is aborted.
        """
        stream = _encoded(context, data) if isinstance(data, Dataset) else data
        if not command.CommandField & RESPONSE:
            self._message_id = self._message_id % 0xFFFF + 1
            command.MessageID = self._message_id
        command.CommandDataSetType = _NO_DATA_SET if stream is None else _DATA_SET
        command.CommandGroupLength = 0
        command.CommandGroupLength = len(_implicit(command)) - 12  # its own element has 12 bytes
        self._send_stream(context, BytesIO(_implicit(command)), _COMMAND)
        if stream is None:
            return
        try:
            self._send_stream(context, stream, 0)
        except OSError:  # the file: half a message leaves an association of no use
            self._connection.abort()
            raise

    def receive(self, patience: float | None = None) -> Message:
        """The next message from the peer, awaited for `patience` seconds (None: the peer's time limit)."""
        self._connection.patience(self.peer.timeout if patience is None else patience)
        try:
            return self._message()
        except PeerUnavailable:  # what is not understood leaves an association of no use
            self._connection.abort()
            raise
        finally:
            self._connection.patience(self.peer.timeout)

    def comes(self, seconds: float) -> bool:
        """Whether the peer sends something by itself within so many seconds: `receive` then takes it."""
        return self._connection.comes(seconds)

    def _message(self) -> Message:
        command_set, data = bytearray(), bytearray()
        command: Dataset | None = None
        while True:
            for context_id, control, fragment in self._fragments():
                (command_set if control & _COMMAND else data).extend(fragment)
                if not control & _LAST:
                    continue
                if control & _COMMAND:
                    command = self._command(bytes(command_set))
                if command is not None and (
                    not control & _COMMAND or command.CommandDataSetType == _NO_DATA_SET
                ):
                    return Message(self._by_id(context_id), command, bytes(data))

    def release(self) -> None:
        """Ends the association in order; a peer that does not answer has ended it too."""
        with suppress(PeerUnavailable):
            self._connection.send(_RELEASE_RQ)
            while self._connection.receive()[0] != PDU.RELEASE_RP:
                pass
        self._connection.close()

    def _send_stream(self, context: PresentationContext, stream: BinaryIO, control: int) -> None:
        room = self._longest_pdu - _PDV_HEADER.size
        fragment, ahead = stream.read(room), stream.read(room)
        while True:
            last = 0 if ahead else _LAST
            length = len(fragment)
            header = _DATA_HEADER.pack(PDU.DATA, length + 6, length + 2, context.context_id, control | last)
            self._connection.send(header + fragment)
            if last:
                return
            fragment, ahead = ahead, stream.read(room)

    def _fragments(self) -> Iterator[tuple[int, int, bytes]]:
        """Context ID, control header and bytes of each PDV in the next P-DATA-TF."""
        kind, pdu = self._connection.receive()
        if kind != PDU.DATA:
            raise PeerUnavailable(f"{name_of(self.peer)}: it ended the association")
        offset = 6
        while offset < len(pdu):
            with intelligible(self.peer):
                length, context_id, control = _PDV_HEADER.unpack_from(pdu, offset)
            yield context_id, control, pdu[offset + 6 : offset + 4 + length]
            offset += 4 + length

    def _command(self, encoded: bytes) -> Dataset:
        with intelligible(self.peer):
            command = decode(BytesIO(encoded), True, True)
            for element in command:  # decodes it
                _ = element.value
            if "CommandField" not in command or "CommandDataSetType" not in command:
                raise EOFError
            return command

    def _by_id(self, context_id: int) -> PresentationContext:
        for context in self.contexts:
            if context.context_id == context_id:
                return context
        raise PeerUnavailable(
            f"{name_of(self.peer)}: it answered in a presentation context that is not agreed"
        )


@contextmanager
def associate(
    peer: Peer,
    calling_ae_title: str,
    contexts: Iterable[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    until: float | None = None,
) -> Iterator[Association]:
    """An established association; released at the end, aborted where the body raises.

    Args:
        peer: whom to call.
        calling_ae_title: who we are.
        contexts: at most 128, proposed in this order.
        roles: SCP/SCU role selections (PS3.7 D.3.3.4).
        until: by time.monotonic(), when everything has to be over, however steadily the peer answers.

    Raises:
        PeerUnavailable: no connection, no answer in time, a transient rejection or an abort.
        NothingAccepted: the peer takes the association, but no presentation context.
        PeerRefused: rejected for good.
    """
    connection = Connection(peer, until)
    try:
        association = _open(connection, calling_ae_title, list(contexts), roles)
        yield association
        if not connection.ended:
            association.release()
    finally:
        connection.abort()


def _open(
    connection: Connection,
    calling_ae_title: str,
    contexts: list[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
) -> Association:
    peer = connection.peer
    connection.send(request(peer, calling_ae_title, contexts, roles))
    kind, answer = connection.receive()
    if kind == PDU.ASSOCIATE_RJ:
        raise rejection(answer, peer, calling_ae_title)
    if kind != PDU.ASSOCIATE_AC:
        raise PeerUnavailable(f"{name_of(peer)}: it answered our request with {kind.name}")
    return Association(connection, *accepted(answer, peer, contexts, roles))


def _implicit(command: Dataset) -> bytes:
    """A command set is always Implicit VR Little Endian (PS3.7 6.3.1)."""
    encoded = encode(command, True, True)
    if encoded is None:
        raise BadInput("a command set cannot be encoded")
    return encoded


def _encoded(context: PresentationContext, ds: Dataset) -> BytesIO:
    syntax = context.transfer_syntax[0]
    encoded = encode(ds, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    if encoded is None:
        raise BadInput(f"a data set cannot be written as {syntax.name}")
    return BytesIO(encoded)
