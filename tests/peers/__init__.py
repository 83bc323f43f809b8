"""Real peers that nobody here wrote: DCMTK, Orthanc, and the validators of DICOM objects.

Every process listens on 127.0.0.1 only, and is ended however its test ends. A missing peer skips the
test with a reason, and fails it where `CI=true`.
"""

from tests.peers.process import free_port, missing, need, running, wait_until

__all__ = ["free_port", "missing", "need", "running", "wait_until"]
