"""Standardized uptake values of PET, from what the header says of dose, time and patient.

After QIBA's vendor-neutral calculation (SUV by body weight): SUV = activity concentration x weight / dose,
with the dose decayed to the time to which the images were corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

SUV = "g/ml{SUVbw}"
DAY = timedelta(days=1)


def suv_factor(header: Mapping[str, Any]) -> tuple[float | None, str]:
    """What to multiply Bq/ml by, and how it came about; None, and why, where the header lacks something.

    Args:
        header: plain values of one image (`headers.plain`), of Modality PT and Units BQML.
    """
    corrected = header.get("CorrectedImage") or []
    if not {"ATTN", "DECY"} <= set(corrected if isinstance(corrected, list) else [corrected]):
        return None, "the images are not corrected for attenuation and decay"
    isotope = (header.get("RadiopharmaceuticalInformationSequence") or [{}])[0]
    weight_kg, dose = _positive(header.get("PatientWeight")), _positive(isotope.get("RadionuclideTotalDose"))
    if weight_kg is None or dose is None:
        return None, "the patient's weight or the injected dose is not stated"
    if header.get("DecayCorrection") == "ADMIN":
        return weight_kg * 1000 / dose, "decay corrected to the injection"
    if header.get("DecayCorrection") != "START":
        return None, "the time to which decay was corrected is not stated"
    half_life, elapsed = _positive(isotope.get("RadionuclideHalfLife")), _elapsed(header, isotope)
    if half_life is None or elapsed is None:
        return None, "half-life, or the time from injection to scan, is not stated"
    decayed = dose * 2 ** (-elapsed.total_seconds() / half_life)
    return weight_kg * 1000 / decayed, f"{elapsed.total_seconds() / 60:.0f} min after injection"


def _elapsed(header: Mapping[str, Any], isotope: Mapping[str, Any]) -> timedelta | None:
    """Time from injection to the scan's start, or None where it isn't plausible."""
    scan = _moment(header.get("SeriesDate"), header.get("SeriesTime"))
    acquired = _moment(header.get("AcquisitionDate"), header.get("AcquisitionTime"))
    if scan is None or (acquired is not None and acquired < scan):
        scan = acquired  # a series that was processed again has a later series time than its images
    if scan is None:
        return None
    stated = str(isotope.get("RadiopharmaceuticalStartDateTime") or "")
    injected = _moment(stated[:8], stated[8:])
    if injected is None:
        injected = _moment(scan.strftime("%Y%m%d"), isotope.get("RadiopharmaceuticalStartTime"))
    if injected is None:
        return None
    if injected > scan:
        injected -= DAY  # only a time of day is stated, and the scan ran past midnight
    return scan - injected if timedelta(0) <= scan - injected < DAY else None


def _moment(date: Any, time: Any) -> datetime | None:
    """VR DA and TM (PS3.5 6.2) as a moment, without fractions or zone; None where they aren't one."""
    if not date or not time:
        return None
    text = f"{date}{str(time).split('.')[0].split('+')[0].split('-')[0]:0<6}"
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007 - only differences are used
    except ValueError:
        return None


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None
