"""Secondary captures (PS3.3 A.8.1): what a radiologist reads at a glance in any viewer.

A page is square, of 1024 pixels, so that its text is still legible where a viewer gives it 512.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_node.encode.common import (
    content_time,
    dicom_date,
    dicom_time,
    mark,
    new_object,
    reference,
    series_references,
    set_lossy,
)
from dicom_node.encode.context import MANUFACTURER, EncodeContext, EncodedObject
from dicom_node.encode.lettering import AMBER, GREY, WHITE, wrap, write
from dicom_node.encode.panels import chosen_slices, panel, view_of
from dicom_node.encode.trend import trend_page
from dicom_node.encode.wording import Line, caution, fitted, legend, wrapped
from dicom_node.findings import Finding, Measurement, Picture, Segmentation

PAGE = 1024
_MARGIN = 16
_HEADER = 100
_TEXT = 28
_LINE = 36
_MOST_LINES = 15
"""Lines of the legend that leave room for a row of slices."""


def picture(findings: Sequence[Finding], context: EncodeContext) -> EncodedObject:
    """Makes the montage: key slices with outlines, the measured values, and what doubts there are."""
    lines = [*legend(findings), *caution(context)]
    masks = [finding for finding in findings if isinstance(finding, Segmentation)]
    return _capture(montage(masks, lines, context), context, "sc", f"{context.title} (AI picture)")


def picture_of_no_result(reason: str, context: EncodeContext) -> EncodedObject:
    """Makes the picture of a job without a result: it says why, beside the source's slices."""
    lines = [Line("No result", doubt=True), Line(reason), *caution(context)]
    page = montage([], lines, context)
    description = f"{context.title}: no result (AI picture)"
    return _capture(page, context, "none", description, index=1, variant=reason)


def trend(findings: Sequence[Finding], context: EncodeContext) -> EncodedObject | None:
    """Makes the page of trends over earlier studies; None where no measurement has an earlier value."""
    page = trend_page(findings, context)
    at = 1 + sum(isinstance(one, Picture) for one in findings)
    rests_on = str([one.earlier for one in findings if isinstance(one, Measurement)])
    return _capture(page, context, "sc", f"{context.title} (AI trend)", at, rests_on) if page else None


def own_pictures(findings: Sequence[Finding], context: EncodeContext) -> list[EncodedObject]:
    """Wraps the pictures that a pipeline drew itself, each with the mark below it."""
    drawn = [finding for finding in findings if isinstance(finding, Picture)]
    return [
        _capture(_marked(one, context), context, "sc", f"{context.title}: {one.title} (AI picture)", at)
        for at, one in enumerate(drawn, start=1)
    ]


def _marked(one: Picture, context: EncodeContext) -> Image.Image:
    picture = Image.fromarray(one.array)
    size = max(picture.width // 36, 12)
    page = Image.new("RGB", (picture.width, picture.height + 2 * size))
    page.paste(picture, (0, 0))
    draw = ImageDraw.Draw(page)
    write(draw, (size // 2, page.height - size // 2), mark(context), size, AMBER, "ls")
    return page


def montage(masks: Sequence[Segmentation], lines: Sequence[Line], context: EncodeContext) -> Image.Image:
    """Draws a page: header, panels of slices, legend."""
    page = Image.new("RGB", (PAGE, PAGE))
    draw = ImageDraw.Draw(page)
    write(draw, (_MARGIN, 12), context.title, 38)
    write(draw, (_MARGIN, 58), mark(context), _TEXT, AMBER)
    words = fitted(wrapped(lines, lambda one: wrap(one, _TEXT, PAGE - 2 * _MARGIN - 34)), _MOST_LINES)
    footer = len(words) * _LINE + _LINE + 2 * _MARGIN
    _draw_panels(page, masks, context, (_HEADER, PAGE - footer))
    top = PAGE - footer + _MARGIN
    for index, line in enumerate(words):
        y = top + index * _LINE
        if line.color:
            draw.rectangle((_MARGIN, y + 4, _MARGIN + 22, y + 26), fill=line.color)
        write(draw, (_MARGIN + 34, y), line.words, _TEXT, AMBER if line.doubt else WHITE)
    write(draw, (_MARGIN, PAGE - 8), _provenance(context), 24, GREY, "ls")
    return page


def _draw_panels(
    page: Image.Image, masks: Sequence[Segmentation], context: EncodeContext, rows: tuple[int, int]
) -> None:
    top, bottom = rows
    role = masks[0].role if masks else next(iter(context.volumes), None)
    if role is None or bottom - top < 120:
        return
    columns, lines = (3, 2) if bottom - top > 400 else (3, 1)
    size = (PAGE // columns, (bottom - top) // lines)
    own = [mask for mask in masks if mask.role == role]
    view = view_of(own, context.volumes[role], size)
    for index, k in enumerate(chosen_slices(own, context.volumes[role], columns * lines)):
        place = (index % columns * size[0], top + index // columns * size[1])
        page.paste(panel(k, own, role, context, view), place)


def _provenance(context: EncodeContext) -> str:
    algorithm = context.algorithm
    when = content_time(context).strftime("%Y-%m-%d %H:%M")
    return f"{algorithm.name} {algorithm.version}, {MANUFACTURER} {context.ae_title}, {when}"


def _capture(
    page: Image.Image,
    context: EncodeContext,
    kind: str,
    description: str,
    index: int = 0,
    variant: str = "",
) -> EncodedObject:
    ds = new_object(context, SecondaryCaptureImageStorage, kind, "OT", description, index, variant)
    set_capture(ds, np.asarray(page, dtype=np.uint8), context)
    return EncodedObject("sc", ds, str(ds.SeriesDescription))


def set_capture(ds: Dataset, pixels: NDArray[np.uint8], context: EncodeContext) -> None:
    """Equipment, image and pixels of a picture in colour (PS3.3 C.8.6.1, C.8.6.2, C.7.6.3).

    Args:
        ds: the object.
        pixels: (rows, columns, 3) or (frames, rows, columns, 3), RGB.
        context: the job.
    """
    ds.ConversionType = "WSD"
    ds.DateOfSecondaryCapture = dicom_date(content_time(context))
    ds.TimeOfSecondaryCapture = dicom_time(content_time(context))
    ds.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.PatientOrientation = None
    ds.ImageComments = mark(context)
    ds.Laterality = None
    ds.BurnedInAnnotation = "NO"
    ds.Rows, ds.Columns = pixels.shape[-3:-1]
    ds.SamplesPerPixel = 3
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelRepresentation = 0
    set_lossy(ds, (header for headers in context.sources.values() for header in headers))
    sources = [headers[len(headers) // 2] for headers in context.sources.values()]
    ds.SourceImageSequence = [reference(source) for source in sources]
    ds.ReferencedSeriesSequence = series_references(sources)
    content = pixels.tobytes()
    ds.PixelData = content + b"\0" * (len(content) % 2)
    ds["PixelData"].VR = "OB"
