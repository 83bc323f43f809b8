"""Parametric Map (PS3.3 A.75): heat maps and other maps of real numbers on the source's own planes."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.uid import ParametricMapStorage

from dicom_node.encode.common import code_sequence, content_time, mark, new_object, set_lossy
from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.multiframe import set_dimensions, set_frames, set_spatial
from dicom_node.encode.planes import planes_of
from dicom_node.encode.uids import result_uid
from dicom_node.findings import Code, Heatmap

_NO_UNITS = Code("1", "UCUM", "no units")
_PROBABILITY = Code("122157", "DCM", "Probability")
_QUANTITY = Code("246205007", "SCT", "Quantity")


def parametric_map(finding: Heatmap, context: EncodeContext, index: int = 0) -> EncodedObject | None:
    """Makes a map of 32-bit numbers, slices without any heat left out; None where there is none at all."""
    slices = [int(k) for k in np.flatnonzero(finding.array.any(axis=(1, 2)))]
    if not slices:
        return None
    volume, headers = context.volumes[finding.role], context.sources[finding.role]
    planes = planes_of(context, finding.role)
    description = f"{context.title}: {finding.title} (AI map)"
    ds = new_object(context, ParametricMapStorage, "pm", str(headers[0].Modality), description, index)
    _set_image(ds, finding, context)
    set_lossy(ds, headers)
    set_spatial(ds, planes, headers[0], volume.frame_of_reference_uid)
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.RealWorldValueMappingSequence = [_mapping(finding)]
    shared.FrameVOILUTSequence = [_window()]
    shared.PixelValueTransformationSequence = [_identity()]
    shared.ParametricMapFrameTypeSequence = [_frame_type()]
    set_dimensions(ds, result_uid(context, "pm", index, "dimensions"), by_segment=False)
    set_frames(ds, [(None, k) for k in slices], planes, headers)
    ds.FloatPixelData = np.ascontiguousarray(finding.array[slices], dtype="<f4").tobytes()
    return EncodedObject("pm", ds, str(ds.SeriesDescription), index)


def _set_image(ds: Dataset, finding: Heatmap, context: EncodeContext) -> None:
    """Parametric map image and floating point image pixel modules (PS3.3 C.8.32.2, C.7.6.24)."""
    ds.ImageType = ["DERIVED", "PRIMARY", "PROBABILITY", "NONE"]
    ds.Laterality = None
    ds.AcquisitionContextSequence = []
    ds.AcquisitionDateTime = content_time(context).strftime("%Y%m%d%H%M%S")
    ds.Rows, ds.Columns = finding.array.shape[1:]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = 32
    ds.BurnedInAnnotation = "NO"
    ds.RecognizableVisualFeatures = "NO"
    ds.PresentationLUTShape = "IDENTITY"
    ds.ContentQualification = "RESEARCH" if context.use == "research" else "PRODUCT"
    ds.ContentLabel = "AI_MAP"
    ds.ContentDescription = mark(context)
    ds.ContentCreatorName = None


def _mapping(finding: Heatmap) -> Dataset:
    """What the numbers mean (PS3.3 C.7.6.16.2.11)."""
    item = Dataset()
    item.DoubleFloatRealWorldValueFirstValueMapped = 0.0
    item.DoubleFloatRealWorldValueLastValueMapped = 1.0
    item.RealWorldValueIntercept = 0.0
    item.RealWorldValueSlope = 1.0
    item.LUTExplanation = finding.title[:64]
    item.LUTLabel = "HEAT"
    item.MeasurementUnitsCodeSequence = code_sequence(_NO_UNITS)
    quantity = Dataset()
    quantity.ValueType = "CODE"
    quantity.ConceptNameCodeSequence = code_sequence(_QUANTITY)
    quantity.ConceptCodeSequence = code_sequence(_PROBABILITY)
    item.QuantityDefinitionSequence = [quantity]
    return item


def _window() -> Dataset:
    item = Dataset()
    item.WindowCenter, item.WindowWidth = "0.5", "1"
    item.VOILUTFunction = "LINEAR_EXACT"
    return item


def _identity() -> Dataset:
    item = Dataset()
    item.RescaleIntercept, item.RescaleSlope, item.RescaleType = "0", "1", "US"
    return item


def _frame_type() -> Dataset:
    item = Dataset()
    item.FrameType = ["DERIVED", "PRIMARY", "PROBABILITY", "NONE"]
    return item
