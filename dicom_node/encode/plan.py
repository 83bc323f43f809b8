"""Which form of a result a destination gets: the best that it accepts, and that its viewers show. Pure.

A profile says what a kind of archive or viewer is known to show; what it accepts is asked of the peer itself
by negotiation. Each choice tells its reason, so that an administrator can see why.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dicom_node.encode.dispatch import FORMS
from dicom_node.encode.seg import may_be_label_map
from dicom_node.findings import Finding, Heatmap, Segmentation

SOP_CLASSES = {
    "labelmap": "1.2.840.10008.5.1.4.1.1.66.7",
    "seg": "1.2.840.10008.5.1.4.1.1.66.4",
    "fractional": "1.2.840.10008.5.1.4.1.1.66.4",
    "rtstruct": "1.2.840.10008.5.1.4.1.1.481.3",
    "sr": "1.2.840.10008.5.1.4.1.1.88.34",
    "sr-comprehensive": "1.2.840.10008.5.1.4.1.1.88.33",
    "sc": "1.2.840.10008.5.1.4.1.1.7",
    "key": "1.2.840.10008.5.1.4.1.1.7.4",
    "heat": "1.2.840.10008.5.1.4.1.1.7.4",
    "pm": "1.2.840.10008.5.1.4.1.1.30",
    "pr": "1.2.840.10008.5.1.4.1.1.11.1",
    "ko": "1.2.840.10008.5.1.4.1.1.88.59",
    "pdf": "1.2.840.10008.5.1.4.1.1.104.1",
}
"""What a destination must accept for each form."""
CHAINS = {
    "seg": ("labelmap", "seg", "rtstruct", "sc"),
    "sr": ("sr", "sr-comprehensive", "pdf", "sc"),
    "pm": ("pm", "heat"),
    "ko": ("ko", "key", "sc"),
    "pr": ("pr", "key", "sc"),
}
"""Forms of each output, best first; an output that isn't listed has itself alone."""
ASSUMED = frozenset({"seg", "rtstruct", "sr", "sr-comprehensive", "sc", "key", "heat", "pr", "ko", "pdf"})
"""Forms that a destination is taken to accept while nobody has asked it: no label maps, no maps."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of archive or viewer shows; a form that isn't listed is not sent to it."""

    name: str
    shows: frozenset[str]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("any", FORMS),
        Profile("ohif", FORMS - {"pr", "fractional"}),
        Profile("orthanc", FORMS),
        Profile("dcm4chee", FORMS - {"fractional"}),
        Profile("weasis", FORMS - {"labelmap", "fractional", "pm"}),
        Profile("pictures", frozenset({"sc", "key", "heat"})),
    )
}
"""By the name that conf.yaml uses. OHIF 3.13: shared experience in docs/results.md; pictures: any PACS."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The form of one output: None where the destination can't have it in any form."""

    output: str
    form: str | None
    reason: str


def plan(
    findings: Sequence[Finding],
    outputs: Collection[str],
    profile: Profile,
    accepted: Collection[str] | None = None,
) -> tuple[Choice, ...]:
    """Chooses a form for each output that a destination is to have.

    Args:
        findings: of the job; masks that overlap make no label map, and only heat maps make maps.
        outputs: what conf.yaml names for the destination.
        profile: what its viewers show.
        accepted: SOP Class UIDs that it took in negotiation; None where nobody has asked yet.

    Returns:
        One choice for each output, in the order of their names. The distinct forms are what
        `EncodeContext.outputs` should name.
    """
    return tuple(_choose(output, findings, profile, accepted) for output in sorted(outputs))


def forms(choices: Sequence[Choice]) -> frozenset[str]:
    """The distinct forms of a plan."""
    return frozenset(choice.form for choice in choices if choice.form is not None)


def _choose(
    output: str, findings: Sequence[Finding], profile: Profile, accepted: Collection[str] | None
) -> Choice:
    passed_over: list[str] = []
    for form in CHAINS.get(output, (output,)):
        obstacle = _obstacle(form, findings, profile, accepted)
        if obstacle is None:
            why = "; ".join(passed_over) or "the best form, and it is accepted"
            return Choice(output, form, why)
        passed_over.append(f"{form}: {obstacle}")
    return Choice(output, None, "; ".join(passed_over))


def _obstacle(
    form: str, findings: Sequence[Finding], profile: Profile, accepted: Collection[str] | None
) -> str | None:
    """Why a form won't do; None where it will."""
    masks = [finding for finding in findings if isinstance(finding, Segmentation)]
    if form not in profile.shows:
        return f"not shown by {profile.name}"
    if accepted is None and form not in ASSUMED:
        return "not known to be accepted"
    if accepted is not None and SOP_CLASSES[form] not in accepted:
        return "not accepted by the destination"
    if form == "labelmap" and not all(may_be_label_map(mask) for mask in masks):
        return "the masks overlap or are fractions"
    if form in ("pm", "heat") and not any(isinstance(finding, Heatmap) for finding in findings):
        return "there is no heat map"
    return None
