"""What sort of object a series holds: an image of the patient, or a localizer, a derived image, a report."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import uid

from dicom_node.understanding.belief import Clue
from dicom_node.understanding.header import Header, words

_CLASSES = {
    "CR": (uid.ComputedRadiographyImageStorage,),
    "CT": (uid.CTImageStorage, uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage),
    "DX": (uid.DigitalXRayImageStorageForPresentation, uid.DigitalXRayImageStorageForProcessing),
    "MG": (
        uid.DigitalMammographyXRayImageStorageForPresentation,
        uid.DigitalMammographyXRayImageStorageForProcessing,
    ),
    "MR": (
        uid.MRImageStorage,
        uid.EnhancedMRImageStorage,
        uid.EnhancedMRColorImageStorage,
        uid.LegacyConvertedEnhancedMRImageStorage,
    ),
    "NM": (uid.NuclearMedicineImageStorage,),
    "PT": (
        uid.PositronEmissionTomographyImageStorage,
        uid.EnhancedPETImageStorage,
        uid.LegacyConvertedEnhancedPETImageStorage,
    ),
    "SEG": (uid.SegmentationStorage,),
    "US": (uid.UltrasoundImageStorage, uid.UltrasoundMultiFrameImageStorage),
}
"""PS3.4 B.5: storage classes that belong to one modality."""
_MODALITIES: dict[str, str] = {
    sop_class: modality for modality, classes in _CLASSES.items() for sop_class in classes
}
_CAPTURED = (
    uid.SecondaryCaptureImageStorage,
    uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
)
_DOSE_SR = (uid.XRayRadiationDoseSRStorage, uid.RadiopharmaceuticalRadiationDoseSRStorage)
_LOCALIZER = words(
    "LOCALI[SZ]ER", "LOC", "SCOUT", "PILOT", "SURVIEW", "SURVEY", "TOPOGRAM\\w*", "3 ?-?PLANE",
    "AUTOALIGN\\w*", "AAHEAD\\w*", "SCANOGRAM",
)  # fmt: skip
_DOSE = words("DOSE", "EXAM SUMMARY", "PATIENT PROTOCOL", "DOSIS\\w*")


_UNSAID = Clue(False, 0.6, "")
"""A header that is silent speaks against what is rare."""


def modality_clues(header: Header) -> Iterator[Clue]:
    """The storage class is written by the machine's software; Modality may be typed by anyone."""
    sop_class_uid, stated = header.text("SOPClassUID"), header.text("Modality")
    if sop_class_uid in _MODALITIES:
        yield Clue(_MODALITIES[sop_class_uid], 0.95, "SOPClassUID is that of the modality")
    if stated:
        yield Clue(stated, 0.8, f"Modality is {stated}")


def localizer_clues(header: Header) -> Iterator[Clue]:
    """Whether the series only helps to plan others."""
    image_type = header.texts("ImageType")
    yield _UNSAID
    if "LOCALIZER" in image_type:
        yield Clue(True, 0.97, "ImageType has LOCALIZER")
    elif image_type:
        yield Clue(False, 0.5, "ImageType has no LOCALIZER")
    for keyword, weight in (("SeriesDescription", 0.9), ("ProtocolName", 0.5)):
        if found := _LOCALIZER.search(header.text(keyword)):
            yield Clue(True, weight, f'{keyword} says "{found[0]}"')


def derived_clues(header: Header) -> Iterator[Clue]:
    """Whether its pixels were computed from other images (PS3.3 C.7.6.1.1.2, value 1)."""
    first = (header.texts("ImageType") or [""])[0]
    yield _UNSAID
    if first:
        yield Clue(first == "DERIVED", 0.9, f"ImageType begins with {first}")
    if header.text("SOPClassUID") in _CAPTURED:
        yield Clue(True, 0.6, "it is a secondary capture")


def secondary_clues(header: Header) -> Iterator[Clue]:
    """Whether it is a secondary capture: a picture, whose pixels measure nothing."""
    sop_class_uid, image_type = header.text("SOPClassUID"), header.texts("ImageType")
    yield _UNSAID
    if sop_class_uid:
        captured = sop_class_uid in _CAPTURED
        yield Clue(
            captured,
            0.9 if captured else 0.7,
            f"SOPClassUID is {'a' if captured else 'no'} secondary capture's",
        )
    if {"SCREEN SAVE", "SCREENSHOT"} & set(image_type) or "SCREEN SAVE" in header.text("SeriesDescription"):
        yield Clue(True, 0.97, "it says that it is a screen save")
    elif len(image_type) > 1 and image_type[1] == "SECONDARY":
        yield Clue(True, 0.5, "ImageType has SECONDARY")


def dose_report_clues(header: Header) -> Iterator[Clue]:
    """Whether it reports the dose, as SR or as a picture of a table."""
    sop_class_uid = header.text("SOPClassUID")
    yield _UNSAID
    if sop_class_uid in _DOSE_SR:
        yield Clue(True, 0.99, "SOPClassUID is a dose report's")
        return
    if sop_class_uid:
        yield Clue(False, 0.5, "SOPClassUID is no dose report's")
    if found := _DOSE.search(header.text("SeriesDescription")):
        pictured = sop_class_uid in _CAPTURED or "SECONDARY" in header.texts("ImageType")
        yield Clue(True, 0.95 if pictured else 0.4, f'SeriesDescription says "{found[0]}"')
