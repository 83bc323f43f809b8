"""pynetdicom's messages as bytes on an association."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu import P_DATA_TF

if TYPE_CHECKING:
    from dicom_node.receive.exchange import Exchange


def send_message(exchange: Exchange, message: DIMSEMessage, context_id: int) -> None:
    """Sends a whole message in one send, in PDUs that the peer takes. Raises Closed."""
    pdus = []
    for primitive in message.encode_msg(context_id, exchange.agreement.max_pdu):
        pdu = P_DATA_TF()
        pdu.from_primitive(primitive)
        pdus.append(pdu.encode())
    exchange.send(b"".join(pdus))
