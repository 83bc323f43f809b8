"""Private coding schemes are declared in the objects that use them (PS3.3 C.12.1.1.1, PS3.16 8.2)."""

from __future__ import annotations

from pydicom import Dataset

from dicom_node.encode.gate.codes import walk


def declare_schemes(ds: Dataset) -> None:
    """Adds Coding Scheme Identification (0008,0110) for each private scheme that the object uses."""
    used = {str(item.get("CodingSchemeDesignator") or "") for _path, item in walk(ds)}
    declared = []
    for designator in sorted(name for name in used if name.startswith("99")):
        item = Dataset()
        item.CodingSchemeDesignator = designator
        item.CodingSchemeName = f"Private codes of {designator.removeprefix('99')}"
        item.CodingSchemeResponsibleOrganization = designator.removeprefix("99")
        declared.append(item)
    if declared:
        ds.CodingSchemeIdentificationSequence = declared
