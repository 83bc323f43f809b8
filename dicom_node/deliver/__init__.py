"""Results out to peers: one association for a batch, one outcome for each object, and when to try again."""

from dicom_node.deliver.dimse import send
from dicom_node.deliver.retry import retry_delay

__all__ = ["retry_delay", "send"]
