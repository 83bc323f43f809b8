"""What maps, presentation states, selections and documents must hold beyond their tables."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset


def other_faults(ds: Dataset) -> Iterator[str]:
    """Faults of the kinds of object that have few rules of their own, by what they hold."""
    if "FloatPixelData" in ds:
        shared = (ds.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
        if not shared.get("RealWorldValueMappingSequence"):
            yield "RealWorldValueMappingSequence is missing: nobody could tell what the numbers are"
    if "GraphicAnnotationSequence" in ds:
        layers = {str(item.get("GraphicLayer")) for item in ds.get("GraphicLayerSequence") or ()}
        if {str(item.get("GraphicLayer")) for item in ds.GraphicAnnotationSequence} - layers:
            yield "an annotation lies on a layer that isn't described"
        if not ds.get("ReferencedSeriesSequence"):
            yield "ReferencedSeriesSequence is missing: the state is of no image"
    if ds.get("Modality") == "KO":
        kinds = [str(item.get("ValueType")) for item in ds.get("ContentSequence") or ()]
        if "IMAGE" not in kinds:
            yield "a selection of no image"
    if "EncapsulatedDocument" in ds and not bytes(ds.EncapsulatedDocument).startswith(b"%PDF-"):
        yield "EncapsulatedDocument is no PDF"
