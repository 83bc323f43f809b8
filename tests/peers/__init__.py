"""Real peers that nobody here wrote: DCMTK, Orthanc, and the validators of DICOM objects.

Every process listens on 127.0.0.1 only, and is ended however its test ends. A missing peer skips the
test with a reason, and fails it where `CI=true`.
"""

from tests.peers.dcmtk import Sent, Storescp, dsrdump, echoscu, storescp, storescu, storescu_command
from tests.peers.orthanc import Orthanc, StoredSeries
from tests.peers.process import free_port, missing, need, running, wait_for_port, wait_until
from tests.peers.validators import (
    ReadSegment,
    dcentvfy,
    dciodvfy,
    pixelmed_sr,
    segimage2itkimage,
    tid1500reader,
)

__all__ = [
    "Orthanc",
    "ReadSegment",
    "Sent",
    "StoredSeries",
    "Storescp",
    "dcentvfy",
    "dciodvfy",
    "dsrdump",
    "echoscu",
    "free_port",
    "missing",
    "need",
    "pixelmed_sr",
    "running",
    "segimage2itkimage",
    "storescp",
    "storescu",
    "storescu_command",
    "tid1500reader",
    "wait_for_port",
    "wait_until",
]
