"""Encapsulated PDF (PS3.3 A.45.1): one page with patient, findings, pictures and provenance.

The page is typeset with ReportLab in its invariant mode, so that the same result is the same bytes; its font
(Bitstream Vera, which comes with ReportLab) is embedded, so that it looks the same wherever it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from dicom_node.encode.common import content_time, mark, new_object, reference
from dicom_node.encode.context import MANUFACTURER, EncodeContext, EncodedObject
from dicom_node.encode.lettering import plain
from dicom_node.encode.panels import chosen_slices, panel, view_of
from dicom_node.encode.wording import Line, caution, fitted, legend, wrapped
from dicom_node.findings import Finding, Segmentation

_LEFT, _RIGHT = 20 * mm, A4[0] - 20 * mm
_AMBER = colors.HexColor("#b36b00")
_SMALL, _TEXT, _TITLE = 8, 10, 18
_PLAIN, _BOLD = "Vera", "VeraBd"
_ROW = 5.5 * mm
_LOWEST = 95 * mm
"""Down to which the legend may go, so that a row of slices is left room."""
for _name in (_PLAIN, _BOLD):
    pdfmetrics.registerFont(TTFont(_name, f"{_name}.ttf"))


def paper(findings: Sequence[Finding], context: EncodeContext) -> EncodedObject:
    """Makes the page of a job's findings and wraps it."""
    ds = new_object(context, EncapsulatedPDFStorage, "pdf", "DOC", f"{context.title} (AI document)")
    return _wrapped(ds, page([*legend(findings), *caution(context)], findings, context), context)


def paper_of_no_result(reason: str, context: EncodeContext) -> EncodedObject:
    """Makes the page of a job without a result: it says why."""
    description = f"{context.title}: no result (AI document)"
    ds = new_object(context, EncapsulatedPDFStorage, "none", "DOC", description, 2, variant=reason)
    lines = [Line("No result", doubt=True), Line(reason), *caution(context)]
    return _wrapped(ds, page(lines, [], context), context)


def _wrapped(ds: Dataset, content: bytes, context: EncodeContext) -> EncodedObject:
    """The document with the page in it (PS3.3 C.24.2)."""
    ds.ConversionType = "WSD"
    ds.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    ds.AcquisitionDateTime = None
    ds.BurnedInAnnotation = "YES"
    ds.VerificationFlag = "UNVERIFIED"
    ds.DocumentTitle = f"{context.title} - {mark(context)}"[:1024]
    ds.ConceptNameCodeSequence = []
    ds.SourceInstanceSequence = [
        reference(headers[len(headers) // 2]) for headers in context.sources.values()
    ]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(content)
    ds.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return EncodedObject("pdf", ds, str(ds.SeriesDescription))


def page(lines: Sequence[Line], findings: Sequence[Finding], context: EncodeContext) -> bytes:
    """The PDF file: lines of words, and slices with the findings' outlines."""
    buffer = BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle(plain(f"{context.title} - {mark(context)}"))
    canvas.setAuthor(f"{MANUFACTURER} {context.ae_title}")
    y = _heading(canvas, context)
    y = _patient(canvas, context.principal, y)
    y = _legend(canvas, lines, y)
    _pictures(canvas, findings, context, y)
    _foot(canvas, context)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _heading(canvas: Any, context: EncodeContext) -> float:
    y = A4[1] - 25 * mm
    _write(canvas, (_LEFT, y), context.title, _TITLE, bold=True)
    canvas.setFillColor(_AMBER)
    _write(canvas, (_LEFT, y - 8 * mm), mark(context), _TEXT, bold=True)
    canvas.setFillColor(colors.black)
    canvas.line(_LEFT, y - 11 * mm, _RIGHT, y - 11 * mm)
    return float(y - 18 * mm)


def _patient(canvas: Any, ds: Dataset, y: float) -> float:
    rows = [
        ("Patient", str(ds.get("PatientName") or "").replace("^", " ").strip()),
        ("Patient ID", str(ds.get("PatientID") or "")),
        ("Born, sex", f"{ds.get('PatientBirthDate') or '-'}, {ds.get('PatientSex') or '-'}"),
        ("Study", f"{ds.get('StudyDate') or '-'}, {ds.get('StudyDescription') or '-'}"),
        ("Accession", str(ds.get("AccessionNumber") or "-")),
        ("Series", str(ds.get("SeriesDescription") or "-")),
    ]
    for index, (name, value) in enumerate(rows):
        left = _LEFT + (index % 2) * 90 * mm
        below = y - (index // 2) * 6 * mm
        _write(canvas, (left, below), name, _SMALL)
        _write(canvas, (left + 20 * mm, below), value, _TEXT, room=(65 if left == _LEFT else 60) * mm)
    return y - float(24 * mm)


def _legend(canvas: Any, lines: Sequence[Line], y: float) -> float:
    left = _LEFT + 6 * mm
    pieces = wrapped(lines, lambda words: simpleSplit(plain(words), _PLAIN, _TEXT, _RIGHT - left))
    for line in fitted(pieces, int((y - _LOWEST) // _ROW)):
        if line.color:
            canvas.setFillColor(colors.Color(*(value / 255 for value in line.color)))
            canvas.rect(_LEFT, y - 0.5 * mm, 3.5 * mm, 3.5 * mm, stroke=0, fill=1)
        canvas.setFillColor(_AMBER if line.doubt else colors.black)
        _write(canvas, (left, y), line.words, _TEXT)
        y -= _ROW
    canvas.setFillColor(colors.black)
    return y - float(4 * mm)


def _pictures(canvas: Any, findings: Sequence[Finding], context: EncodeContext, top: float) -> None:
    masks = [finding for finding in findings if isinstance(finding, Segmentation)]
    role = masks[0].role if masks else next(iter(context.volumes), None)
    width = (_RIGHT - _LEFT - 8 * mm) / 3
    rows = min(2, int((top - 30 * mm) // (width + 3 * mm)))
    if role is None or rows < 1:
        return
    own = [mask for mask in masks if mask.role == role]
    view = view_of(own, context.volumes[role], (480, 480))
    for index, k in enumerate(chosen_slices(own, context.volumes[role], 3 * rows)):
        picture = ImageReader(panel(k, own, role, context, view))
        left = _LEFT + (index % 3) * (width + 4 * mm)
        bottom = top - (index // 3 + 1) * (width + 3 * mm)
        canvas.drawImage(picture, left, bottom, width, width)


def _foot(canvas: Any, context: EncodeContext) -> None:
    algorithm = context.algorithm
    when = content_time(context).strftime("%Y-%m-%d %H:%M")
    options = "; ".join(f"{name}={value}" for name, value in algorithm.parameters)
    maker = f"{MANUFACTURER} {context.ae_title}, {when}"
    made = f"{algorithm.name} {algorithm.version} ({options or 'no options'}), {maker}"
    canvas.line(_LEFT, 24 * mm, _RIGHT, 24 * mm)
    _write(canvas, (_LEFT, 20 * mm), made, _SMALL)
    if algorithm.source:
        _write(canvas, (_LEFT, 16 * mm), f"Method: {algorithm.source}", _SMALL)
    _write(canvas, (_LEFT, 12 * mm), "Made by a program and verified by nobody.", _SMALL)


def _write(
    canvas: Any,
    at: tuple[float, float],
    words: str,
    size: int,
    *,
    bold: bool = False,
    room: float | None = None,
) -> None:
    """One line, cut where there is no more room: to the right margin where nothing else is said."""
    name = _BOLD if bold else _PLAIN
    room = room or _RIGHT - at[0]
    shown = plain(words)
    while stringWidth(shown, name, size) > room:
        shown = f"{shown.removesuffix('...')[:-1]}..."
    canvas.setFont(name, size)
    canvas.drawString(*at, shown)
