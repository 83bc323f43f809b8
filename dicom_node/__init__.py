"""A DICOM node that runs large imaging models and returns what they find to the PACS."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("dicom-node")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0.0.0"
