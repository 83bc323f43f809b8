"""Grayscale Softcopy Presentation State (PS3.3 A.33.1): outlines and values over the source's key images."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from dicom_node.encode.common import content_time, dicom_date, dicom_time, mark, new_object, reference
from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.keys import key_slices
from dicom_node.encode.outlines import outlines, simplified
from dicom_node.encode.panels import Source, source_of
from dicom_node.encode.planes import functional_group
from dicom_node.encode.segments import cielab_of
from dicom_node.encode.window import window_of
from dicom_node.encode.wording import legend
from dicom_node.findings import Finding, Segmentation

_LAYER = "AI"


def presentation_state(findings: Sequence[Finding], context: EncodeContext) -> EncodedObject | None:
    """Makes a state of the key images of the principal input; None where nothing was found on one."""
    role = next(iter(context.sources))
    places = [k for own, k in key_slices(findings) if own == role and context.volumes[role].frames]
    masks = [one for one in findings if isinstance(one, Segmentation) and one.role == role]
    if not places or not masks:
        return None
    sop_class = GrayscaleSoftcopyPresentationStateStorage
    ds = new_object(context, sop_class, "pr", "PR", f"{context.title} (AI outlines)")
    sources = [source_of(k, role, context) for k in places]
    _set_identification(ds, context)
    ds.ReferencedSeriesSequence = [_series(sources)]
    ds.GraphicLayerSequence = [_layer(masks[0])]
    lines = [line.words for line in legend(findings) if not line.doubt]
    ds.GraphicAnnotationSequence = [
        _annotation(k, source, masks, [mark(context), *lines])
        for k, source in zip(places, sources, strict=True)
    ]
    ds.DisplayedAreaSelectionSequence = [_area(sources)]
    _set_grey_levels(ds, sources[0], context, role, places[0])
    return EncodedObject("pr", ds, str(ds.SeriesDescription))


def _set_identification(ds: Dataset, context: EncodeContext) -> None:
    ds.PresentationCreationDate = dicom_date(content_time(context))
    ds.PresentationCreationTime = dicom_time(content_time(context))
    ds.Laterality = None
    ds.ContentLabel = "AI_OUTLINES"
    ds.ContentDescription = mark(context)
    ds.ContentCreatorName = None


def _image(source: Source) -> Dataset:
    item = reference(source.ds)
    if source.frame is not None:
        item.ReferencedFrameNumber = source.frame
    return item


def _series(sources: Sequence[Source]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = sources[0].ds.SeriesInstanceUID
    item.ReferencedImageSequence = [_image(source) for source in sources]
    return item


def _layer(mask: Segmentation) -> Dataset:
    item = Dataset()
    item.GraphicLayer = _LAYER
    item.GraphicLayerOrder = 1
    item.GraphicLayerRecommendedDisplayCIELabValue = cielab_of(mask.segments[0], 1)
    item.GraphicLayerDescription = "AI findings"
    return item


def _annotation(k: int, source: Source, masks: Sequence[Segmentation], words: Sequence[str]) -> Dataset:
    item = Dataset()
    item.ReferencedImageSequence = [_image(source)]
    item.GraphicLayer = _LAYER
    item.TextObjectSequence = [_text(words)]
    shapes = [
        _shape(simplified(line))
        for mask in masks
        for number in range(1, len(mask.segments) + 1)
        for line in outlines(mask.section(number, k))[:3]
    ]
    if shapes:
        item.GraphicObjectSequence = shapes
    return item


def _shape(line: object) -> Dataset:
    """An outline in image coordinates: 0, 0 at the first pixel's top left corner (PS3.3 C.10.5.1.1)."""
    points = [(float(x), float(y)) for x, y in line]  # type: ignore[attr-defined]  # an (n, 2) array
    item = Dataset()
    item.GraphicAnnotationUnits = "PIXEL"
    item.GraphicDimensions = 2
    item.NumberOfGraphicPoints = len(points)
    item.GraphicData = [value for point in points for value in point]
    item.GraphicType = "POLYLINE"
    item.GraphicFilled = "N"
    return item


def _text(words: Sequence[str]) -> Dataset:
    item = Dataset()
    item.UnformattedTextValue = "\r\n".join(words)[:1024]
    item.BoundingBoxAnnotationUnits = "DISPLAY"
    item.BoundingBoxTopLeftHandCorner = [0.02, 0.85]
    item.BoundingBoxBottomRightHandCorner = [0.6, 0.98]
    item.BoundingBoxTextHorizontalJustification = "LEFT"
    return item


def _area(sources: Sequence[Source]) -> Dataset:
    first = sources[0]
    measures = functional_group(first.ds, "PixelMeasuresSequence", first.frame)
    item = Dataset()
    item.ReferencedImageSequence = [_image(source) for source in sources]
    item.DisplayedAreaTopLeftHandCorner = [1, 1]
    item.DisplayedAreaBottomRightHandCorner = [int(first.ds.Columns), int(first.ds.Rows)]
    item.PresentationSizeMode = "SCALE TO FIT"
    item.PresentationPixelSpacing = list(measures.PixelSpacing)
    return item


def _set_grey_levels(ds: Dataset, source: Source, context: EncodeContext, role: str, k: int) -> None:
    """The source's rescale and window, stated again: a state replaces what the image says (C.11.6)."""
    rescale = functional_group(source.ds, "PixelValueTransformationSequence", source.frame)
    if "RescaleSlope" in rescale:
        ds.RescaleIntercept = rescale.RescaleIntercept
        ds.RescaleSlope = rescale.RescaleSlope
        ds.RescaleType = rescale.get("RescaleType") or "US"
    center, width = window_of(source.ds, source.frame, context.volumes[role].array[k])
    window = Dataset()
    window.WindowCenter, window.WindowWidth = f"{center:.6g}", f"{width:.6g}"
    ds.SoftcopyVOILUTSequence = [window]
    inverted = source.ds.get("PhotometricInterpretation") == "MONOCHROME1"
    ds.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
