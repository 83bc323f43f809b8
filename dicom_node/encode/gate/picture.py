"""Pixels as such: their number, and attributes that fit them."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

_COLORS = {
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_RCT": 3,
    "YBR_ICT": 3,
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
}


def picture_faults(ds: Dataset) -> Iterator[str]:
    """Samples and photometric interpretation, bits, and the length of the pixel data (PS3.3 C.7.6.3)."""
    if "Rows" not in ds:
        return
    samples = int(ds.get("SamplesPerPixel") or 0)
    if _COLORS.get(str(ds.get("PhotometricInterpretation"))) != samples:
        yield "PhotometricInterpretation and SamplesPerPixel don't fit"
    bits, stored = (
        int(ds.get("BitsAllocated") or 0),
        int(ds.get("BitsStored") or ds.get("BitsAllocated") or 0),
    )
    if "BitsStored" in ds and (stored > bits or int(ds.get("HighBit", -1)) != stored - 1):
        yield "BitsStored, HighBit and BitsAllocated don't fit"
    pixels = [keyword for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if keyword in ds]
    if len(pixels) != 1:
        yield "there isn't one kind of pixel data"
        return
    if ds.file_meta.TransferSyntaxUID.is_compressed:
        return
    total = int(ds.Rows) * int(ds.Columns) * samples * int(ds.get("NumberOfFrames") or 1) * bits
    expected = (total + 7) // 8
    if len(ds[pixels[0]].value) != expected + expected % 2:
        yield f"{pixels[0]} has another length than its frames"
