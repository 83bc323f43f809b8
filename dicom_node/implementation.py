"""How the node names itself, to peers and in what it writes (PS3.7 D.3.3.2)."""

from pydicom.uid import UID

IMPLEMENTATION_CLASS_UID = UID("2.25.3285346893843097214727170761260572989")
IMPLEMENTATION_VERSION_NAME = "DICOM_NODE"
