"""The SCP: associations, access, TLS; C-STORE, C-ECHO, storage commitment, MPPS (docs/reception.md)."""

from dicom_node.receive.listening import listen
from dicom_node.receive.server import serve

__all__ = ["listen", "serve"]
