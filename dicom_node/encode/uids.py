"""Identifiers and series numbers derived from what they identify, so that a second run makes the same.

UIDs have the form 2.25.<128 bits> (PS3.5 B.2); the bits are the first of a SHA-256 of what is
identified, with the version and variant of a name-based UUID set, as the form asks.
"""

from __future__ import annotations

import hashlib
import uuid

from dicom_node.encode.context import EncodeContext

_KINDS = (
    "seg",
    "sr",
    "sc",
    "pm",
    "rtstruct",
    "pr",
    "ko",
    "pdf",
    "key",
    "heat",
    "none",
    "labelmap",
    "fractional",
)
"""Kinds in the order of their series numbers; a new one goes to the end."""


def _digest(*parts: object) -> bytes:
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(joined.encode()).digest()


def uid(*parts: object) -> str:
    """A UID that is the same whenever the same parts are given."""
    return f"2.25.{uuid.UUID(bytes=_digest(*parts)[:16], version=5).int}"


def _question(context: EncodeContext) -> tuple[object, ...]:
    """What is asked, of whatever images have come: the inputs, the algorithm and the configuration."""
    series = sorted((role, str(headers[0].SeriesInstanceUID)) for role, headers in context.sources.items())
    algorithm = context.algorithm
    configuration = (context.title, context.use, context.ae_title, context.institution)
    return series, algorithm.name, algorithm.version, algorithm.parameters, configuration


def _identity(context: EncodeContext) -> tuple[object, ...]:
    """What makes a result another result: what is asked, of which revision, and what is said beside it."""
    earlier = sorted(
        {
            (*one.key, one.study_instance_uid, one.value, one.version, one.options or "")
            for one in context.earlier
        }
    )
    beside = [_digest(*earlier)] if earlier else []
    return *_question(context), context.revision, context.doubtful, *beside


def result_uid(context: EncodeContext, kind: str, *parts: object) -> str:
    """The UID of a result's series, instance or part, by the kind of object and what it is within it."""
    return uid("result", *_identity(context), kind, *parts)


def tracking_uid(context: EncodeContext, tracking_id: str) -> str:
    """The Tracking UID (0062,0021) of a finding: the same in every study of the patient for one tracking id.

    It hangs on the patient and the algorithm's name, not on series or version, so that the same lesion
    found again next year under the same tracking id can be followed.
    """
    patient = (context.principal.get("PatientID", ""), context.principal.get("IssuerOfPatientID", ""))
    return uid("tracking", *patient, context.algorithm.name, tracking_id)


def series_number(context: EncodeContext, kind: str, index: int) -> int:
    """A Series Number (0020,0011) of seven digits, far from a scanner's and from other results'.

    The first four digits come from what was asked, one more for each revision, so that in a viewer's list
    what replaces stands behind what it replaces; the rest from kind and index (from 0).
    """
    asked = int.from_bytes(_digest("series number", *_question(context))[:8])
    block = 1000 + (asked + context.revision - 1) % 9000
    return block * 1000 + _KINDS.index(kind) * 50 + min(index, 49)
