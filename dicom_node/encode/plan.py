"""Which form of a result a destination gets: the best that it accepts, and that its viewers show. Pure.

A profile says what a kind of archive or viewer is known to show; what it accepts is asked of the peer itself
by negotiation. Each choice tells its reason, so that an administrator can see why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.config import DEFAULT_OUTPUTS
from dicom_node.encode.dispatch import FORMS
from dicom_node.encode.seg import may_be_label_map
from dicom_node.findings import Embedding, Finding, Heatmap, Segmentation, Text
from dicom_node.records import Choice

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
NOTICES = ("sc", "pdf", "sr", "sr-comprehensive")
"""Forms that can say that there is no result: what every destination is told, whatever its outputs."""
ASSUMED = frozenset({"seg", "rtstruct", "sr", "sr-comprehensive", "sc", "key", "heat", "pr", "ko", "pdf"})
"""Forms that a destination is taken to accept while it has not answered: no label maps, no maps."""
PLAIN = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian})
"""Transfer syntaxes in which every object can be sent."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of archive or viewer shows; a form that isn't listed is not sent to it.

    Attributes:
        inflates: it also opens objects that are deflated as a whole, which not every reader does.
    """

    name: str
    shows: frozenset[str]
    inflates: bool = False


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("generic", ASSUMED),
        Profile("any", FORMS, inflates=True),
        Profile("ohif", FORMS - {"pr", "fractional"}, inflates=True),
        Profile("orthanc", FORMS, inflates=True),
        Profile("dcm4chee", FORMS - {"fractional"}, inflates=True),
        Profile("weasis", FORMS - {"labelmap", "fractional", "pm"}),
        Profile("pictures", frozenset({"sc", "key", "heat"})),
    )
}
"""By the name that conf.yaml uses. OHIF 3.13: shared experience in docs/results.md; pictures: any PACS."""


@dataclass(frozen=True)
class Taker:
    """A destination, as far as the choice of forms goes.

    Attributes:
        name: in conf.yaml.
        outputs: what it is to have.
        profile: what its viewers show.
        accepted: pairs of SOP Class UID and transfer syntax UID that it took in negotiation; None where it
            has not told.
        note: why it has not told, or since when what it told may be old; empty where there's nothing to say.
    """

    name: str
    outputs: tuple[str, ...]
    profile: Profile
    accepted: frozenset[tuple[str, str]] | None = None
    note: str = ""

    def syntaxes(self, sop_class_uid: str) -> frozenset[str]:
        """Transfer syntaxes in which it is known to take objects of a SOP class, and to open them."""
        taken = frozenset(syntax for sop_class, syntax in self.accepted or () if sop_class == sop_class_uid)
        return taken if self.profile.inflates else taken - {DeflatedExplicitVRLittleEndian}


NOBODY = Taker("", DEFAULT_OUTPUTS, PROFILES["generic"])
"""For whom results are made that are kept only."""


_NEEDS = dict.fromkeys(("seg", "labelmap", "fractional", "rtstruct"), "mask") | {"pm": "heat", "heat": "heat"}
"""What must have been found for an output to be anything at all."""


def plan(findings: Sequence[Finding], taker: Taker) -> tuple[Choice, ...]:
    """Chooses a form for each output that a destination is to have.

    Args:
        findings: of the job; masks that overlap make no label map, and only heat maps make maps.
        taker: the destination.

    Returns:
        One choice for each output of which anything was found, in the order of their names.
    """
    if _nothing_to_send(findings):
        return ()
    masks = [one for one in findings if isinstance(one, Segmentation) and one.filled]
    found = {"mask"} if masks else set()
    if any(isinstance(one, Heatmap) for one in findings):
        found.add("heat")
    apart = all(may_be_label_map(mask) for mask in masks)
    outputs = [one for one in sorted(set(taker.outputs)) if one not in _NEEDS or _NEEDS[one] in found]
    return tuple(_choose(one, CHAINS.get(one, (one,)), taker, apart=apart) for one in outputs)


def _nothing_to_send(findings: Sequence[Finding]) -> bool:
    """Embeddings alone, be it with notes on how they came about, are kept; there is nothing to be read."""
    others = [one for one in findings if not isinstance(one, Embedding)]
    notes = all(isinstance(one, Text) and one.kind in ("note", "caution") for one in others)
    return len(others) < len(findings) and notes


def plan_every(taker: Taker) -> tuple[Choice, ...]:
    """Chooses a form for each output of a destination, for findings of every kind that don't overlap."""
    outputs = sorted(set(taker.outputs))
    return tuple(_choose(one, CHAINS.get(one, (one,)), taker, apart=True) for one in outputs)


def plan_notice(taker: Taker) -> tuple[Choice, ...]:
    """Chooses in which forms a destination is told that there is no result.

    Report and picture where they are among its outputs; a destination that is to have neither gets whatever
    form of a notice it accepts, since a study must not stay silent.
    """
    outputs = sorted(set(taker.outputs) & set(NOTICES)) or ["sc"]
    chains = {one: tuple(dict.fromkeys((*CHAINS.get(one, (one,)), *NOTICES))) for one in outputs}
    return tuple(_choose(one, chain, taker, apart=True) for one, chain in chains.items())


def plan_among(made: Collection[str], taker: Taker) -> tuple[Choice, ...]:
    """Chooses for a destination that comes late among the forms that were made for others."""
    chains = {one: CHAINS.get(one, (one,)) for one in sorted(set(taker.outputs))}
    best = {one: next((form for form in chain if form in made), None) for one, chain in chains.items()}
    reason = "the best of what was made before it was a destination"
    return tuple(Choice(one, form, reason, taker.name) for one, form in best.items() if form is not None)


def forms(choices: Iterable[Choice]) -> frozenset[str]:
    """The distinct forms of a plan."""
    return frozenset(choice.form for choice in choices if choice.form is not None)


def _choose(output: str, chain: Iterable[str], taker: Taker, *, apart: bool) -> Choice:
    """The first form of a chain that nothing stands against."""
    passed_over: list[str] = []
    for form in chain:
        obstacle = _obstacle(form, taker, apart=apart)
        if obstacle is None:
            known = "the best form, and it is accepted" if taker.accepted is not None else "the best form"
            return Choice(output, form, _reason(passed_over or [known], taker), taker.name)
        passed_over.append(f"{form}: {obstacle}")
    return Choice(output, None, _reason(passed_over, taker), taker.name)


def _reason(words: Sequence[str], taker: Taker) -> str:
    return "; ".join([*words, *([taker.note] if taker.note else [])])


def _obstacle(form: str, taker: Taker, *, apart: bool) -> str | None:
    """Why a form won't do; None where it will."""
    if form not in taker.profile.shows:
        return f"not shown by {taker.profile.name}"
    if taker.accepted is None and form not in ASSUMED:
        return "not known to be accepted"
    if taker.accepted is not None and taker.syntaxes(SOP_CLASSES[form]).isdisjoint(PLAIN):
        return "not accepted by the destination"
    if form == "labelmap" and not apart:
        return "the masks overlap or are fractions"
    return None
