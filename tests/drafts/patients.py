"""Findings of made-up patients, and the drafts about them: true ones, and each kind of falsehood."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dicom_node.findings import Classification, Code, Finding, Measurement, Segmentation
from dicom_node.terms import ABSENT, MILLILITRE, PRESENT, VOLUME, segment_for

MEAN = Code("373098007", "SCT", "Mean")
DENSITY = Code("112031", "DCM", "Attenuation Coefficient")
HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
DIAMETER = Code("81827009", "SCT", "Diameter")
MM = Code("mm", "UCUM", "mm")

PAIRED = ("lung", "kidney", "hippocampus", "thalamus")
SINGLE = ("liver", "spleen", "pancreas", "brain stem")
JUDGED = {
    "nodule": Code("27925004", "SCT", "Nodule"),
    "cyst": Code("367643001", "SCT", "Cyst"),
    "pleural effusion": Code("60046008", "SCT", "Pleural effusion"),
}


@dataclass(frozen=True)
class Patient:
    """One made-up patient: volumes and densities by (side, structure), and what is present."""

    volumes: dict[tuple[str, str], float]
    densities: dict[tuple[str, str], float]
    present: dict[str, bool]

    @property
    def findings(self) -> list[Finding]:
        labels = [f"{side} {name}".strip() for side, name in self.volumes]
        array = np.zeros((1, 1, 1), np.uint8)
        found: list[Finding] = [Segmentation(array, tuple(segment_for(label) for label in labels))]
        for (side, name), value in self.volumes.items():
            label = f"{side} {name}".strip()
            found.append(Measurement(VOLUME, value, MILLILITRE, label))
            density = self.densities[side, name]
            found.append(Measurement(DENSITY, density, HU, label, derivation=MEAN, digits=0))
        for name, present in self.present.items():
            found.append(Classification(JUDGED[name], PRESENT if present else ABSENT))
        return found


def make_patient(seed: int) -> Patient:
    """Unlike values on unlike sides, so that a swap is a falsehood."""
    draw = random.Random(seed)
    names = [(side, name) for name in draw.sample(PAIRED, 2) for side in ("left", "right")]
    names += [("", name) for name in draw.sample(SINGLE, 2)]
    volumes = {key: 100.0 * (number + 1) + draw.uniform(1, 90) for number, key in enumerate(names)}
    densities = {key: float(-50 * number - draw.randint(3, 40)) for number, key in enumerate(names)}
    return Patient(volumes, densities, {name: draw.random() < 0.5 for name in JUDGED})


def true_drafts(patient: Patient, draw: random.Random) -> Iterable[str]:
    """Sentences that the patient's findings support wholly."""
    sides = [name for side, name in patient.volumes if side == "left"]
    for (side, name), value in patient.volumes.items():
        place = f"{side} {name}".strip()
        density = patient.densities[side, name]
        yield draw.choice(
            [
                f"The {place} measures {value:.1f} ml.",
                f"The volume of the {place} is {value:.0f} mL.",
                f"{place.capitalize()} volume: {value:.1f} cm³.",
                f"There is a volume of approximately {value / 1000:.2f} litres in the {place}.",
                f"{place.capitalize()} is {value:.1f}ml with a mean density of {density:.0f} HU.",
                f"The {place} was segmented and has a volume of {value:.1f} ml.",
                f"A mean attenuation of {density:.0f} Hounsfield units was measured in the {place}.",
            ]
        )
    for name in sides:
        left, right = patient.volumes["left", name], patient.volumes["right", name]
        yield draw.choice(
            [
                f"The left {name} measures {left:.1f} ml and the right {name} {right:.1f} ml.",
                f"The left {name} volume is {left:.1f} ml, while the right measures {right:.1f} ml.",
                f"Left and right {name} volumes are {left:.0f} and {right:.0f} ml, respectively.",
                f"The volume of the right {name} is {right:.1f} ml; that of the left is {left:.1f} ml.",
            ]
        )
    for name, present in patient.present.items():
        yield draw.choice(
            [f"A {name} is present.", f"There is a {name}.", f"{name.capitalize()}: present."]
            if present
            else [
                f"No {name} is seen.",
                f"There is no evidence of a {name}.",
                f"{name.capitalize()}: absent.",
            ]
        )


def false_drafts(patient: Patient, draw: random.Random) -> Iterable[tuple[str, str]]:
    """Sentences with one falsehood each, and its kind."""
    for (side, name), value in patient.volumes.items():
        place = f"{side} {name}".strip()
        wrong = value + draw.choice([-1, 1]) * draw.uniform(0.3, 40)
        yield "wrong number", f"The {place} measures {wrong:.1f} ml."
        yield (
            "wrong unit",
            f"The volume of the {place} is {value:.1f} {draw.choice(['mm', 'litres', 'HU', '%', ''])}.",
        )
        if side:
            other = {"left": "right", "right": "left"}[side]
            yield "wrong side", f"The {other} {name} measures {value:.1f} ml."
            yield "no side", f"The volume of the {name} is {value:.1f} ml."
        else:
            yield "invented side", f"The left {name} measures {value:.1f} ml."
        yield "wrong measure", f"The mean density of the {place} is {value:.1f} ml."
        strange = draw.choice(["gallbladder", "aorta", "prostate", "heart"])
        yield "invented structure", f"The {strange} measures {value:.1f} ml."
        yield "negated number", f"The volume of the {place} is not {value:.1f} ml."
        claim = draw.choice(
            ["enlarged", "stable since the prior study", "normal", "suspicious for malignancy"]
        )
        yield "invented judgement", f"The {place} measures {value:.1f} ml and is {claim}."
    for name, present in patient.present.items():
        yield "negation", f"No {name} is seen." if present else f"A {name} is present."
        yield "location", f"A {name} is present in the {next(iter(patient.volumes))[1]}."
