"""Results out to peers: one outcome for each object, and when to try again."""

from dicom_node.deliver.retry import retry_delay
from dicom_node.deliver.sending import send

__all__ = ["retry_delay", "send"]
