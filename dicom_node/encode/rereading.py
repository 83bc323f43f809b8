"""Reports of this software, read again: the values that they state, as `earlier.measured` gave them then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from pydicom import Dataset

from dicom_node.encode.context import is_own_result
from dicom_node.encode.earlier import digest_of, person_of
from dicom_node.encode.provenance import GROUP
from dicom_node.headers import ODD_VALUES
from dicom_node.records import Measured

Made = TypeVar("Made")
_MEASUREMENTS = "DCM 126010"
_TRACKING, _ALGORITHM, _VERSION, _PARAMETER = "DCM 112040", "DCM 111001", "DCM 111003", "DCM 111002"
_FINDING, _SITE, _LATERALITY, _DERIVATION = "DCM 121071", "SCT 363698007", "SCT 272741003", "DCM 121401"


def read_measured(*reports: Dataset) -> tuple[Measured, ...]:
    """The values of a study's reports of ours by TID 1500.

    Nothing of others', of one that can't be read, or of one that another of them replaces: also a notice,
    which has no values, names the reports that no longer count.
    """
    ours = [report for report in reports if _is_ours(report)]
    replaced = {uid for report in ours for uid in _readable(_replaced(report))}
    standing = [report for report in ours if str(report.get("SOPInstanceUID")) not in replaced]
    return tuple(value for report in standing for value in _readable(_values(report)))


def _is_ours(report: Dataset) -> bool:
    with suppress(*ODD_VALUES):
        return is_own_result(report) and report.get("Modality") == "SR"
    return False


def _readable(values: Iterator[Made]) -> tuple[Made, ...]:
    """All of them, or none where one can't be read."""
    with suppress(*ODD_VALUES):
        return tuple(values)
    return ()


def _replaced(report: Dataset) -> Iterator[str]:
    """SOP Instance UIDs in the Predecessor Documents Sequence (PS3.3 C.17.2)."""
    for study in report.get("PredecessorDocumentsSequence") or ():
        for series in study.ReferencedSeriesSequence:
            yield from (str(one.ReferencedSOPInstanceUID) for one in series.ReferencedSOPSequence)


def _values(report: Dataset) -> Iterator[Measured]:
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    seen: dict[tuple[str, str, str, str, str], list[Measured]] = {}
    for part in _children(report, _MEASUREMENTS):
        for group in _children(part, f"{GROUP.scheme} {GROUP.value}"):
            for one in _children(group):
                if one.ValueType == "NUM" and one.get("MeasuredValueSequence") and not _drawn(one):
                    value = _value(report, str(evidence.SeriesInstanceUID), group, one)
                    seen.setdefault(value.key, []).append(value)
    yield from (values[0] for values in seen.values() if len(values) == 1)


def _value(report: Dataset, series_instance_uid: str, group: Dataset, one: Dataset) -> Measured:
    stated = one.MeasuredValueSequence[0]
    unit = stated.MeasurementUnitsCodeSequence[0]
    return Measured(
        person=person_of(report),
        study_instance_uid=str(report.StudyInstanceUID),
        series_instance_uid=series_instance_uid,
        study_date=str(report.get("StudyDate") or ""),
        algorithm=_first(group, _ALGORITHM).TextValue,
        version=_first(group, _VERSION).TextValue,
        key=(
            str(_first(group, _TRACKING).UID),
            _name(one.ConceptNameCodeSequence[0]),
            _coded(one, _DERIVATION),
            str(unit.CodeValue),
            _structure(group),
        ),
        value=float(stated.get("FloatingPointValue", stated.NumericValue)),
        made_at=f"{report.ContentDate}{str(report.ContentTime)[:6]}",
        options=digest_of(one.TextValue for one in _children(group, _PARAMETER)),
    )


def _structure(group: Dataset) -> str:
    """What was found, and on which side."""
    sides = [_coded(site, _LATERALITY) for site in _children(group, _SITE)]
    return " ".join(filter(None, [_coded(group, _FINDING), *sides]))


def _drawn(one: Dataset) -> bool:
    """A section's area, which stands there for viewers that show no number without coordinates."""
    return _name(one.ConceptNameCodeSequence[0]) == "SCT 42798000" and bool(one.get("ContentSequence"))


def _children(item: Dataset, name: str = "") -> Sequence[Dataset]:
    """Content items below another, of a concept name."""
    found = [one for one in item.get("ContentSequence") or () if one.get("ConceptNameCodeSequence")]
    return [one for one in found if not name or _name(one.ConceptNameCodeSequence[0]) == name]


def _first(item: Dataset, name: str) -> Dataset:
    """Raises IndexError where there is none."""
    return _children(item, name)[0]


def _coded(item: Dataset, name: str) -> str:
    """The code that an item is said to have; empty where it has none."""
    return next((_name(one.ConceptCodeSequence[0]) for one in _children(item, name)), "")


def _name(code: Dataset) -> str:
    return f"{code.CodingSchemeDesignator} {code.CodeValue}"
