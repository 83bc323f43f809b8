"""What a series is, whether it is complete, and what each route makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicom_node.config import Config
from dicom_node.encode import is_own_result
from dicom_node.errors import Permanent
from dicom_node.headers import plain, slice_fields
from dicom_node.ledger.evidence import frames_in
from dicom_node.node.completing import known
from dicom_node.node.offline import find_series
from dicom_node.node.preparing import read_headers
from dicom_node.node.site import Site
from dicom_node.private import private_values
from dicom_node.records import GeometryEvidence, SeriesFacts, Verdict
from dicom_node.route import Complete, know, match, match_study, tell
from dicom_node.understanding import Answer
from dicom_node.volume import stack_evidence

_ARCHIVES = {".gz", ".zip", ".tar", ".tgz", ".7z", ".bz2", ".xz"}
Known = tuple[SeriesFacts, tuple[Answer, ...], Verdict | None, GeometryEvidence | None]


def explain_folder(folder: Path, config: Config) -> Iterator[str]:
    """Yields an explanation of each series in a folder, and of what else is in it.

    Raises:
        Permanent: there is no DICOM series in it; the text says what there is.
    """
    found, others = find_series(folder, results_too=True)
    left_over = _left_over(others)
    if not found:
        raise Permanent(f"no DICOM series under {folder}: {left_over or 'it is empty'}")
    series: list[Known] = []
    for one in found:
        headers = read_headers(one.paths)
        fields = [slice_fields(ds) for ds in headers]
        facts = SeriesFacts(
            series_instance_uid=one.series_instance_uid,
            study_instance_uid=str(headers[0].get("StudyInstanceUID", "")),
            header=plain(headers[0]) | private_values(headers[0]),
            images=len(headers),
            frames=frames_in(fields),
            own=is_own_result(headers[0]),
        )
        series.append((*know(facts, fields, config.understanding), None, stack_evidence(fields)))
    yield from _told(series, config)
    if left_over:
        yield left_over


def _left_over(paths: Sequence[Path]) -> str:
    """What the files are that belong to no series, in words; archives could hold some."""
    kinds = Counter(path.suffix.lower() or "no ending" for path in paths)
    if not kinds:
        return ""
    named = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    packed = "; unpack the archives first" if any(kind in _ARCHIVES for kind in kinds) else ""
    files = "1 file is" if len(paths) == 1 else f"{len(paths)} files are"
    return f"{files} no DICOM image or object ({named}){packed}"


def explain_held(uid: str, site: Site) -> Iterator[str]:
    """Yields an explanation of a series that is held, or of each of a study, and of their jobs.

    Routes of several series are weighed with all series of the study. Raises Permanent where none is held.
    """
    study_instance_uid = site.ledger.views.study_of(uid)
    if study_instance_uid is None:
        raise Permanent(f"no study or series {uid} has arrived")
    series: list[Known] = []
    for row in site.ledger.views.series_of(study_instance_uid):
        one = row["series_instance_uid"]
        facts, answers = known(site, one, site.ledger.holdings.fields(one))
        series.append((facts, answers, row["verdict"], None))
    told = zip(series, _told(series, site.config), strict=True)
    yield from (
        text for (facts, *_rest), text in told if uid in (facts.series_instance_uid, study_instance_uid)
    )
    yield from _jobs(site.ledger.views.jobs_of(uid))


def _jobs(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How each job ended, and in which form each destination gets what it found, in words."""
    for row in rows:
        ended = f"Job of route {row['route']}, pipeline {row['pipeline']}, revision {row['revision']}"
        lines = [f"{ended}: {row['state']}", *([row["reason"]] if row["reason"] else [])]
        yield "\n  ".join([*lines, *(choice.words for choice in row["choices"])])


def _told(series: Sequence[Known], config: Config) -> Iterator[str]:
    """Each series in words, with the routes of one series and those of several."""
    now = datetime.now(UTC)
    studies: dict[str, list[Complete]] = {}
    for facts, *_rest in series:
        studies.setdefault(facts.study_instance_uid, []).append(Complete(facts, now))
    several = [route for route in config.routes if route.series]
    for facts, answers, verdict, geometry in series:
        of_study = [match_study(studies[facts.study_instance_uid], route, now) for route in several]
        yield tell(facts, answers, verdict, match(facts, config.routes), of_study, geometry=geometry)
