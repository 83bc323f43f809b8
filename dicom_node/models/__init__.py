"""Models on disk: found by path or name, pinned, checked against their checksums, shared when loaded."""

from dicom_node.models.shared import shared
from dicom_node.models.store import (
    STORE_VARIABLE,
    Manifest,
    ModelStore,
    find_folder,
    model_folder,
    model_revision,
    store_root,
    use_store,
)
from dicom_node.models.tuned import tuned
from dicom_node.models.weights import Checkpoint, check_weights, find_weights, load_checkpoint, load_weights

__all__ = [
    "STORE_VARIABLE",
    "Checkpoint",
    "Manifest",
    "ModelStore",
    "check_weights",
    "find_folder",
    "find_weights",
    "load_checkpoint",
    "load_weights",
    "model_folder",
    "model_revision",
    "shared",
    "store_root",
    "tuned",
    "use_store",
]
