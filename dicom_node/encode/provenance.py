"""What every measurement group holds alike: tracking, algorithm, and numbers with their doubts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom import Dataset

from dicom_node.encode.content import (
    CONCEPT_MODIFIER,
    OBSERVATION_CONTEXT,
    SELECTED_FROM,
    coded,
    coordinates,
    dcm,
    image,
    number,
    text,
    uid_reference,
)
from dicom_node.encode.context import EncodeContext
from dicom_node.encode.uids import tracking_uid
from dicom_node.encode.wording import history_text
from dicom_node.findings import Code, Measurement

GROUP = dcm("125007", "Measurement Group")
_COMMENT = dcm("121106", "Comment")
_BEFORE = dcm("121069", "Previous Finding")
"""Of what stands for earlier values: a viewer that shows comments before values and few of both (OHIF, five)
would else show no value of this study."""
_SOURCE = Code("260753009", "SCT", "Source")


def tracking_items(tracking_id: str, context: EncodeContext) -> list[Dataset]:
    """Tracking identifier and UID: the same from study to study for the same finding."""
    return [
        text(dcm("112039", "Tracking Identifier"), tracking_id, OBSERVATION_CONTEXT),
        uid_reference(
            dcm("112040", "Tracking Unique Identifier"),
            tracking_uid(context, tracking_id),
            OBSERVATION_CONTEXT,
        ),
    ]


def algorithm_items(context: EncodeContext) -> list[Dataset]:
    """TID 4019 "Algorithm Identification"."""
    algorithm = context.algorithm
    return [
        coded(dcm("111000", "Algorithm Family"), algorithm.family, CONCEPT_MODIFIER),
        text(dcm("111001", "Algorithm Name"), algorithm.name, CONCEPT_MODIFIER),
        text(dcm("111003", "Algorithm Version"), algorithm.version, CONCEPT_MODIFIER),
        *(
            text(dcm("111002", "Algorithm Parameters"), f"{name}={value}", CONCEPT_MODIFIER)
            for name, value in algorithm.parameters
        ),
    ]


def number_items(measurements: Iterable[Measurement], region: Sequence[Dataset] = ()) -> list[Dataset]:
    """A NUM for each measurement; earlier values and doubts follow as texts, for the radiologist to read.

    Args:
        measurements: in their order.
        region: what the first one is inferred from, for viewers that show no number without coordinates.
    """
    items: list[Dataset] = []
    measurements = list(measurements)
    for each in measurements:
        modifiers = (
            [coded(dcm("121401", "Derivation"), each.derivation, CONCEPT_MODIFIER)] if each.derivation else []
        )
        children = modifiers if items else [*modifiers, *region]
        items.append(number(each.name, each.value, each.unit, each.digits, children=children))
    items += [text(_BEFORE, history_text(each)) for each in measurements if each.earlier]
    return items + [text(_COMMENT, words) for words in doubts_of(measurements)]


def doubts_of(measurements: Iterable[Measurement]) -> list[str]:
    """Each distinct doubt once, after the names of what it is about: viewers show few lines."""
    about: dict[str, list[str]] = {}
    for each in measurements:
        if each.doubt:
            about.setdefault(each.doubt, []).append(each.name.meaning)
    return [f"{', '.join(dict.fromkeys(names))}: {doubt}" for doubt, names in about.items()]


def whole_image(role: str, context: EncodeContext) -> list[Dataset]:
    """The border of the series' middle image: the region of what was measured or judged on all of it."""
    headers = context.sources[role]
    middle = headers[len(headers) // 2]
    if "Rows" not in middle:
        return []
    columns, rows = float(middle.Columns), float(middle.Rows)
    border = [(0.0, 0.0), (columns, 0.0), (columns, rows), (0.0, rows), (0.0, 0.0)]
    frames = [1] if int(middle.get("NumberOfFrames") or 1) > 1 else []
    return [coordinates(_SOURCE, "POLYLINE", border, image(_SOURCE, middle, SELECTED_FROM, frames=frames))]
