"""Earlier values of what is measured: what a study's results say for the next one, and what they say in it.

A value is followed where patient, algorithm, tracking identifier, concept, derivation, unit and structure
are the same. A study of which several series were measured with different results is left out: nobody can
say which of them the present one continues.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from hashlib import sha256
from math import isfinite

from pydicom import Dataset

from dicom_node.encode.common import content_time, dicom_date, dicom_time
from dicom_node.encode.context import EncodeContext
from dicom_node.encode.segments import tracking_id_of
from dicom_node.encode.uids import tracking_uid
from dicom_node.encode.wording import SEPARATOR
from dicom_node.findings import Code, Detection, Finding, Measurement, Segmentation
from dicom_node.records import Measured, Person

MOST = 20
"""Earlier values of one measurement that are shown: the newest."""
_Key = tuple[str, str, str, str, str]
"""Tracking UID, concept, derivation, unit, structure: what must be the same for values to be compared."""


def person_of(header: Dataset) -> Person:
    """Whose images or results these are."""
    keywords = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientName")
    return Person(*(str(header.get(keyword) or "").strip() for keyword in keywords))


def study_date(context: EncodeContext) -> date:
    """Study Date (0008,0020), or the day of the results where the source has none."""
    return _date(str(context.principal.get("StudyDate") or "")) or content_time(context).date()


def measured(findings: Sequence[Finding], context: EncodeContext) -> tuple[Measured, ...]:
    """The values that a later study of the patient can be compared with; none where it is not known whose."""
    principal, made = context.principal, content_time(context)
    if not person_of(principal).patient_id:
        return ()
    values = {}
    options = _options(context)
    for key, one in _alone(_keyed(findings, context)):
        values[key] = Measured(
            person=person_of(principal),
            study_instance_uid=str(principal.StudyInstanceUID),
            series_instance_uid=str(principal.SeriesInstanceUID),
            study_date=dicom_date(datetime.combine(study_date(context), datetime.min.time())),
            algorithm=context.algorithm.name,
            version=context.algorithm.version,
            key=key,
            value=float(one.value),
            made_at=dicom_date(made) + dicom_time(made),
            options=options,
        )
    return tuple(values.values())


def digest_of(parameters: Iterable[str]) -> str:
    """What tells an algorithm's parameters from others, each as "name=value" and in any order.

    White space is not compared: an archive may trim a report's texts.
    """
    said = sorted(" ".join(one.split()) for one in parameters)
    return sha256("\x1f".join(said).encode()).hexdigest()[:16]


def earlier_of(one: Measurement, context: EncodeContext) -> list[tuple[date, float]]:
    """The earlier values that a measurement has, by date: numbers, of days before the study's."""
    today = study_date(context)
    return sorted((when, value) for when, value in one.earlier if when < today and isfinite(value))


def with_earlier(findings: Sequence[Finding], context: EncodeContext) -> list[Finding]:
    """The findings, each measurement with its earlier values by date, oldest first.

    Those that a pipeline gave itself stand; what is not earlier than the study is left out.
    """
    histories = _histories(context)
    keys = {id(one): key for key, one in _alone(_keyed(findings, context))}

    def followed(one: Measurement) -> Measurement:
        known = histories.get(keys.get(id(one)), ())
        if one.earlier or not known:
            return replace(one, earlier=tuple(earlier_of(one, context))) if one.earlier else one
        earlier = tuple((_day(each), each.value) for each in known)
        doubts = filter(None, (one.doubt, _measured_otherwise(known, context)))
        return replace(one, earlier=earlier, doubt=SEPARATOR.join(doubts) or None)

    def told(one: Finding) -> Finding:
        if isinstance(one, Measurement):
            return followed(one)
        if isinstance(one, Detection):
            return replace(one, measurements=tuple(map(followed, one.measurements)))
        return one

    return list(map(told, findings))


def _measured_otherwise(known: Iterable[Measured], context: EncodeContext) -> str:
    """How earlier values were measured otherwise than today's; empty: in no way that is known."""
    versions = dict.fromkeys(one.version for one in known if one.version != context.algorithm.version)
    ways = [f"by version {', '.join(versions)}"] if versions else []
    if any(one.options not in {None, _options(context)} for one in known):
        ways.append("with other options")
    return f"earlier values were measured {' and '.join(ways)}" if ways else ""


def _options(context: EncodeContext) -> str:
    return digest_of(f"{name}={value}" for name, value in context.algorithm.parameters)


def _keyed(findings: Sequence[Finding], context: EncodeContext) -> Iterator[tuple[_Key, Measurement]]:
    """Every measurement that may be followed from study to study."""
    masks = [one for one in findings if isinstance(one, Segmentation)]
    segments = {segment.label: segment for mask in reversed(masks) for segment in mask.segments}
    for one in findings:
        if isinstance(one, Detection) and one.tracking_id:
            for each in one.measurements:
                yield _key(each, one.tracking_id, [one.name], context), each
        elif isinstance(one, Measurement):
            segment = segments.get(one.segment or "")
            if segment is None:
                yield _key(one, f"{context.algorithm.name}: whole image", [], context), one
            else:
                site = [segment.type, *([segment.laterality] if segment.laterality else [])]
                yield _key(one, tracking_id_of(segment, context), site, context), one


def _key(one: Measurement, tracking_id: str, site: Sequence[Code], context: EncodeContext) -> _Key:
    derivation = _name(one.derivation) if one.derivation else ""
    where = " ".join(map(_name, site))
    return tracking_uid(context, tracking_id), _name(one.name), derivation, one.unit.value, where


def _name(code: Code) -> str:
    return f"{code.scheme} {code.value}"


def _alone(keyed: Iterable[tuple[_Key, Measurement]]) -> list[tuple[_Key, Measurement]]:
    """Those whose key names one measurement: of two, nobody can say which is which."""
    by_key: dict[_Key, list[Measurement]] = defaultdict(list)
    for key, one in keyed:
        by_key[key].append(one)
    return [(key, ones[0]) for key, ones in by_key.items() if len(ones) == 1]


def _histories(context: EncodeContext) -> Mapping[_Key | None, Sequence[Measured]]:
    """The earlier values of each key, one for each study, by date."""
    found: dict[_Key, dict[str, dict[str, Measured]]] = defaultdict(lambda: defaultdict(dict))
    for one in sorted(context.earlier, key=lambda one: one.made_at):
        if _counts(one, context):
            found[one.key][one.study_instance_uid][one.series_instance_uid] = one  # the one made last
    histories: dict[_Key | None, Sequence[Measured]] = {}
    for key, studies in found.items():
        alike = (list(series.values()) for series in studies.values())
        clear = [ones[0] for ones in alike if len({one.value for one in ones}) == 1]
        histories[key] = sorted(clear, key=lambda one: (one.study_date, one.made_at))[-MOST:]
    return histories


def _counts(one: Measured, context: EncodeContext) -> bool:
    """A value of this patient, by this algorithm, in an earlier study."""
    day = _date(one.study_date)
    return (
        day is not None
        and day < study_date(context)
        and one.study_instance_uid != str(context.principal.StudyInstanceUID)
        and one.algorithm == context.algorithm.name
        and same_person(one.person, person_of(context.principal))
    )


def same_person(one: Person, other: Person) -> bool:
    """Whether two are known to be one: an ID is no person; birth dates, or else names, have to agree."""
    if not one.patient_id or (one.patient_id, one.issuer) != (other.patient_id, other.issuer):
        return False
    if one.birth_date and other.birth_date:
        return one.birth_date == other.birth_date
    names = {each.name.rstrip("^ ").casefold() for each in (one, other)}
    return len(names) == 1 and "" not in names  # without either, a shared ID such as ANON is anybody's


def _day(one: Measured) -> date:
    day = _date(one.study_date)
    assert day is not None  # noqa: S101 - others were left out
    return day


def _date(stated: str) -> date | None:
    """A DICOM DA as a date; None where it is none."""
    try:
        return datetime.strptime(stated, "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None
