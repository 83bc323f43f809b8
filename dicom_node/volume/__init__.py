"""From the files of a series to a regular volume in patient millimetres, or a clear reason why not.

The only code that knows slice geometry. `k` of a volume's array ascends along the slices' normal, which is
the row direction times the column direction (PS3.3 C.7.6.2.1.1), whatever the order of the files.
"""

from dicom_node.volume.evidence import stack_evidence
from dicom_node.volume.pixels import Reading
from dicom_node.volume.read import read_straight, read_volume, read_volumes
from dicom_node.volume.resample import Straight

__all__ = ["Reading", "Straight", "read_straight", "read_volume", "read_volumes", "stack_evidence"]
