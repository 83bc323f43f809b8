"""Which parts of the body a series shows; often several, and often not what Body Part Examined says."""

from __future__ import annotations

from collections.abc import Iterator

from dicom_node.understanding.belief import Clue
from dicom_node.understanding.header import Header, words

_TRUNK = words("CAP", "TAP", "CHEST ?/? ?ABD\\w*(?: ?/? ?PELV\\w*)?", "THORAX ?/? ?ABDOMEN")
PARTS = {
    "head": words(
        "HEAD\\w*", "BRAIN", "SKULL", "SCH[AÄ]E?DEL", "KOPF", "HIRN", "CRANE", "CRÂNE", "TÊTE", "CABEZA",
        "CEREBR\\w*", "NEURO", "NCCT", "CCT", "CRANIUM", "CRANIAL", "ADNI\\w*", "ORBITS?", "PITUITARY",
        "IAC", "SINUS(?:ES)?",
    ),
    "neck": words(
        "NECK", "HEADNECK", "HALS", "CERVICAL SOFT TISSUE", "THYROID", "LARYNX", "CAROTIDS?", "CUELLO",
    ),
    "chest": words(
        "CHEST", "THORAX", "THORACIC", "LUNGS?", "LUNGE", "PULMON\\w*", "POUMON", "PE", "HRCT", "TÓRAX",
        "CTPA",
    ),
    "heart": words(
        "HEART", "CARDIAC", "CORONAR\\w*", "HERZ", "CARDIO", "CTCA", "CCTA", "MYOCARD\\w*", "SMART ?SCORE",
        "CALCIUM ?-?SCOR\\w*", "CA ?-?SCOR\\w*",
    ),
    "abdomen": words(
        "ABDOMEN", "ABDOMINAL", "ABD", "LIVER", "LEBER", "KIDNEYS?", "RENAL", "PANCREAS", "KUB",
        "COLONO\\w*", "COLON", "BAUCH", "HEPAT\\w*", "UROGRAM", "MRCP", "ENTEROGRAPHY",
    ),
    "pelvis": words(
        "PELVIS", "PELVIC", "PELV", "BECKEN", "PROSTATE", "PROSTATA", "BLADDER", "RECTUM", "UTERUS",
        "HIPS?",
    ),
    "spine": words(
        "SPINE", "[CTL] ?-?SPINE", "WIRBELS[ÄA]E?ULE", "[HBL]WS", "LUMBAR", "RACHIS", "CERVICAL SPINE",
        "SSPINE", "CSPINE", "TSPINE", "LSPINE",
    ),
    "breast": words("BREASTS?", "MAMMO\\w*", "MAMMA"),
    "arm": words("ARM", "SHOULDER", "ELBOW", "WRIST", "HAND", "FINGERS?", "HUMERUS", "FOREARM", "SCHULTER"),
    "leg": words(
        "LEG", "KNEE", "ANKLE", "FOOT", "FEET", "TOES?", "FEMUR", "TIBIA", "KNIE", "CALF", "EXTREMITY",
    ),
    "whole_body": words(
        "WHOLE ?BODY", "WHOLEBODY", "GANZK[ÖO]E?RPER", "CORPS ENTIER", "SKULL TO THIGH", "TOTAL BODY",
    ),
}  # fmt: skip
_CODES = {
    "69536005": "head", "12738006": "head", "45048000": "neck", "51185008": "chest", "39607008": "chest",
    "80891009": "heart", "818981001": "abdomen", "113345001": "abdomen", "10200004": "abdomen",
    "816092008": "pelvis", "12921003": "pelvis", "421060004": "spine", "76752008": "breast",
    "40983000": "arm", "61685007": "leg", "38266002": "whole_body",
    "T-D1100": "head", "T-A0100": "head", "T-D3000": "chest", "T-D4000": "abdomen", "T-D6000": "pelvis",
    "T-04000": "breast",
}  # fmt: skip
"""PS3.16 CID 4031 and Annex L: codes of body parts, as SNOMED CT and as the older SRT."""


def body_part_clues(header: Header) -> Iterator[Clue]:
    """Clues for every part that a series may show."""
    stated = header.text("BodyPartExamined")
    for part, pattern in PARTS.items():
        if stated and pattern.search(stated):
            yield Clue(part, 0.75, f"BodyPartExamined is {stated}")
    for sequence in ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"):
        for item in header.items(sequence):
            code = str(item.get("CodeValue", ""))
            if code in _CODES:
                yield Clue(_CODES[code], 0.85, f"{sequence} has the code {code}")
    yield from header.worded(PARTS)
    for part in ("chest", "abdomen", "pelvis"):
        yield from header.worded({part: _TRUNK}, scale=0.9)
