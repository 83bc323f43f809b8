"""Made-up series with a known truth: for the demonstration, and for tests of geometry and measurement."""

from dicom_node.phantom.chest import ChestTruth, chest, write_chest
from dicom_node.phantom.series import axial_grid, reoriented, write_series

__all__ = ["ChestTruth", "axial_grid", "chest", "reoriented", "write_chest", "write_series"]
