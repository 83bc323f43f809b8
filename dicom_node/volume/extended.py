"""JPEG Extended with 12 bits (PS3.5 A.4.1) by GDCM, as a plugin of pydicom, whose own knows 8 bits."""

from __future__ import annotations

import gdcm
from pydicom.pixels.decoders.base import DecodeRunner, JPEGExtended12BitDecoder
from pydicom.uid import JPEGExtended12Bit

LABEL = "gdcm_12_bits"
DECODER_DEPENDENCIES = {JPEGExtended12Bit: ("gdcm>=3.0.10",)}
"""pydicom asks a plugin for it."""


def is_available(uid: str) -> bool:
    """Whether this plugin decodes a transfer syntax."""
    return uid == JPEGExtended12Bit


def register() -> None:
    """Adds the plugin to pydicom's decoder, once."""
    if LABEL not in JPEGExtended12BitDecoder.available_plugins:
        JPEGExtended12BitDecoder.add_plugin(LABEL, (__name__, "decode_frame"))


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """Decodes one frame of grey values; little-endian, 16 bits a value.

    Raises ValueError for colour, for other than 12 bits, and for what is no such JPEG.
    """
    if runner.samples_per_pixel != 1 or not 8 < runner.bits_stored <= 12:
        raise ValueError("JPEG Extended has 12 bits of grey here, nothing else")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(src)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType(str(runner.photometric_interpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    syntax = gdcm.TransferSyntax.GetTSType(str(JPEGExtended12Bit))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, runner.pixel_representation))
    decoded = image.GetBuffer()
    if decoded is None:
        raise ValueError("GDCM can't decode it")
    runner.set_option("bits_allocated", 16)
    # GDCM gives char* as str.
    return bytes(decoded.encode("utf-8", "surrogateescape"))
