"""Pictures slice by slice, as one multi-frame secondary capture (PS3.3 A.8.5): key slices, and heat maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.uid import (
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from dicom_node.encode.common import mark, new_object
from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.keys import key_slices
from dicom_node.encode.lettering import AMBER, WHITE, wrap, write
from dicom_node.encode.panels import View, annotate, base, name_of, panel, source_of, view_of
from dicom_node.encode.sc import set_capture
from dicom_node.encode.wording import legend
from dicom_node.findings import Finding, Heatmap, Segmentation

SIDE = 768
_STRIP = 210
_TEXT, _LINE = 21, 28
_MOST = 40
"""Slides of a heat map; more of its slices are thinned out evenly."""


def key_pictures(findings: Sequence[Finding], context: EncodeContext) -> EncodedObject | None:
    """Makes a slide of each key slice, with outlines and the measured values; None where there is none."""
    words = [line.words for line in legend(findings) if not line.doubt]
    slides = []
    for role, k in key_slices(findings):
        masks = [one for one in findings if isinstance(one, Segmentation) and one.role == role]
        view = view_of(masks, context.volumes[role], (SIDE, SIDE - _STRIP))
        slides.append(_slide(panel(k, masks, role, context, view), words, context))
    return _object(slides, "key", f"{context.title} (AI key slices)", context)


def heat_pictures(findings: Sequence[Finding], context: EncodeContext) -> EncodedObject | None:
    """Makes a slide of each slice where a heat map is warm, drawn over the image; None without a heat map."""
    slides = []
    for heat in (finding for finding in findings if isinstance(finding, Heatmap)):
        view = view_of([], context.volumes[heat.role], (SIDE, SIDE - _STRIP))
        warm = np.flatnonzero((heat.array >= 0.5).any(axis=(1, 2)))
        chosen = np.linspace(0, len(warm) - 1, min(len(warm), _MOST)).astype(int)
        slides += [_slide(_heated(int(k), heat, context, view), [heat.title], context) for k in warm[chosen]]
    return _object(slides, "heat", f"{context.title} (AI heat map)", context)


def colors_of(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Heat 0 to 1 as sRGB: dark red over orange to yellow."""
    heat = np.clip(values, 0, 1)[..., None]
    levels = np.clip(heat * np.array([510, 380, 60]) - np.array([0, 125, 0]), 0, 255)
    return np.asarray(np.rint(levels), dtype=np.uint8)


def _heated(k: int, heat: Heatmap, context: EncodeContext, view: View) -> Image.Image:
    volume = context.volumes[heat.role]
    source = source_of(k, heat.role, context)
    picture = base(volume.array[k], source, view)
    layer = view.shown(Image.fromarray(np.asarray(heat.array[k], dtype=np.float32)))
    values = np.asarray(layer, dtype=np.float32)
    strength = np.clip(values, 0, 1)[..., None] * 0.65 * (values >= 0.1)[..., None]
    mixed = np.asarray(picture) * (1 - strength) + colors_of(values) * strength
    picture = Image.fromarray(np.rint(mixed).astype(np.uint8))
    annotate(ImageDraw.Draw(picture), volume, view, name_of(k, heat.role, context))
    return picture


def _slide(picture: Image.Image, words: Sequence[str], context: EncodeContext) -> Image.Image:
    slide = Image.new("RGB", (SIDE, SIDE))
    slide.paste(picture, (0, 0))
    draw = ImageDraw.Draw(slide)
    lines = [piece for line in words for piece in wrap(line, _TEXT, SIDE - 24)]
    room = (_STRIP - 44) // _LINE
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} more lines: see the report"]
    for index, line in enumerate(lines):
        write(draw, (12, SIDE - _STRIP + 6 + index * _LINE), line, _TEXT, WHITE)
    write(draw, (12, SIDE - 10), mark(context), 24, AMBER, "ls")
    return slide


def _object(
    slides: Sequence[Image.Image], kind: str, description: str, context: EncodeContext
) -> EncodedObject | None:
    if not slides:
        return None
    single = len(slides) == 1
    sop_class = SecondaryCaptureImageStorage if single else MultiFrameTrueColorSecondaryCaptureImageStorage
    ds = new_object(context, sop_class, kind, "OT", description)
    pixels = np.stack([np.asarray(slide, dtype=np.uint8) for slide in slides])
    set_capture(ds, pixels[0] if single else pixels, context)
    if not single:  # frames are pages, and no time passes (PS3.3 C.8.6.3)
        ds.NumberOfFrames = len(slides)
        ds.FrameIncrementPointer = 0x00182001  # Page Number Vector
        ds.PageNumberVector = list(range(1, len(slides) + 1))
    return EncodedObject(kind, ds, str(ds.SeriesDescription))
