"""Associations that we request (PS3.8): how `deliver` and `query` speak to peers.

One thread, one exchange at a time, a time limit on every step, and every failure told in words: what may
work later raises PeerUnavailable, what will not raises PeerRefused. pynetdicom encodes and decodes what is
negotiated; its own requestor is not used, because its two threads race for an answer (a response that the
idle one takes is lost), wait for ever for a peer that stops reading, and queue a whole object in memory.
"""

from dicom_node.association.negotiation import (
    MAX_CONTEXTS,
    NothingAccepted,
)
from dicom_node.association.peer import Peer, name_of
from dicom_node.association.requestor import Association, Message, associate

__all__ = [
    "MAX_CONTEXTS",
    "Association",
    "Message",
    "NothingAccepted",
    "Peer",
    "associate",
    "name_of",
]
