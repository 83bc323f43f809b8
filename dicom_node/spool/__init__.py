"""Files: temporary, fsync, link, fsync of the folder; the only code that turns a UID into a path.

See docs/reception.md for what is durable when, and why.
"""

from dicom_node.spool.durable import FULL, is_full, storing
from dicom_node.spool.elements import Unreadable
from dicom_node.spool.filemeta import encode_head
from dicom_node.spool.identity import Identity
from dicom_node.spool.incoming import Blank, Happened, Incoming, Stored
from dicom_node.spool.journal import Journal
from dicom_node.spool.spool import Spool

__all__ = [
    "FULL",
    "Blank",
    "Happened",
    "Identity",
    "Incoming",
    "Journal",
    "Spool",
    "Stored",
    "Unreadable",
    "encode_head",
    "is_full",
    "storing",
]
