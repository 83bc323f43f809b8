"""Results out to peers: one outcome for each object, and when to try again."""

from dicom_node.deliver.commitment import Asker, commitments, outcomes_of
from dicom_node.deliver.confirm import confirmed
from dicom_node.deliver.retry import retry_delay
from dicom_node.deliver.sending import send

__all__ = ["Asker", "commitments", "confirmed", "outcomes_of", "retry_delay", "send"]
