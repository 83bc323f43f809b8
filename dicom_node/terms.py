"""Structure names in a model's own words to coded concepts: SNOMED CT by DICOM's context groups.

Models name their outputs freely ("kidney_left", "Left Kidney", "cerebral white matter"). The codes come
from the context groups that DICOM gives for segmented properties (PS3.16 CID 7151, 7159, 7191, 7192, 7193
and 7199), by meaning; what none of them knows gets a code of this project's private scheme.
"""

from __future__ import annotations

import re
import zlib
from functools import cache

from dicom_node.findings import Code, Segment

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
TISSUE = Code("85756007", "SCT", "Tissue")
ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
PHYSICAL_OBJECT = Code("260787004", "SCT", "Physical object")
LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")
VOLUME = Code("118565006", "SCT", "Volume")
MILLILITRE = Code("ml", "UCUM", "ml")
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
STANDARD_DEVIATION = Code("386136009", "SCT", "Standard Deviation")
PRIVATE_SCHEME = "99DICOMNODE"

GROUPS = {
    "cid7191": TISSUE,
    "cid7193": PHYSICAL_OBJECT,
    "cid7159": ABNORMAL_STRUCTURE,
    "cid7199": ABNORMAL_STRUCTURE,
    "cid7151": ANATOMICAL_STRUCTURE,
    "cid7192": ANATOMICAL_STRUCTURE,
}
"""Context groups and the category (CID 7150) of what they hold; a later one overrides an earlier one."""

ALIASES = {
    "accumbens": "nucleus accumbens",
    "accumbens area": "nucleus accumbens",
    "autochthon": "deep muscle of back",
    "brachiocephalic trunk": "innominate artery",
    "brachiocephalic vein": "innominate vein",
    "brainstem": "brain stem",
    "caudate": "caudate nucleus",
    "clavicula": "clavicle",
    "cerebellum cortex": "cerebellar cortex",
    "cerebellum white matter": "cerebellar white matter",
    "inferior lateral ventricle": "inferior horn of lateral ventricle",
    "iliac vena": "iliac vein",
    "kidney cyst": "cyst",
    "small bowel": "small intestine",
    "pallidum": "globus pallidus",
    "ventral diencephalon": "diencephalon",
    "lung upper lobe": "upper lobe of lung",
    "lung middle lobe": "middle lobe of right lung",
    "lung lower lobe": "lower lobe of lung",
    "thyroid gland": "thyroid",
    "tumor": "neoplasm",
    "tumour": "neoplasm",
    "urinary bladder": "bladder",
}
"""Models' usual words for concepts that DICOM spells otherwise."""

EXTRA = ("CerebellarCortex", "InferiorHornOfLateralVentricle")
"""Keywords of SNOMED CT concepts in DICOM's dictionary that no group above holds."""

PUBLISHED = {
    "atrial appendage": "68786006",
    "deep muscle of back": "244849004",
    "gluteus maximus": "181674001",
    "gluteus medius": "78333006",
    "gluteus minimus": "75297007",
    "iliopsoas": "68455001",
    "portal vein and splenic vein": "110765007",
    "s1 vertebra": "65985001",
    "rib 1": "48535007",
    "rib 2": "78247007",
    "rib 3": "25888004",
    "rib 4": "25523003",
    "rib 5": "15339008",
    "rib 6": "59558009",
    "rib 7": "24915002",
    "rib 8": "5953002",
    "rib 9": "22565002",
    "rib 10": "77644006",
    "rib 11": "58830002",
    "rib 12": "43993008",
}
"""SNOMED CT codes of what DICOM's groups lack, as TotalSegmentator publishes them with its classes."""

LESIONS = re.compile(
    r"\b(lesion|nodule|tumou?r|neoplasm|mass|metastas[ie]s|cyst|ha?emorrhage|infarct|edema|oedema)\b"
)


def segment_for(label: str, color: tuple[int, int, int] | None = None) -> Segment:
    """Returns a segment whose codes stand for a model's own name of a structure.

    Args:
        label: such as "kidney_left"; it is kept, with underscores as spaces, as the segment's label.
        color: recommended display colour, sRGB 0..255; None: the encoder chooses.
    """
    shown = " ".join(label.replace("_", " ").split())[:64]
    name, laterality = split_side(shown)
    code, category = concept_for(name)
    return Segment(shown, category, code, laterality, color)


def split_side(name: str) -> tuple[str, Code | None]:
    """Splits "left kidney" or "kidney left" into ("kidney", LEFT); ("liver", None) where no side is named."""
    words = name.lower().split()
    for side, code in (("left", LEFT), ("right", RIGHT)):
        if side in words and len(words) > 1:
            words.remove(side)
            return " ".join(words), code
    return " ".join(words), None


def concept_for(name: str) -> tuple[Code, Code]:
    """The (type, category) codes of a structure's name; a private code where DICOM's groups know none."""
    name = " ".join(name.lower().replace("_", " ").split())
    vertebra = re.sub(r"^vertebrae? ([clts]\d+)$", r"\1 vertebra", name)
    for candidate in (name, ALIASES.get(name, name), vertebra, name.removesuffix("s")):
        if (known := _concepts().get(candidate)) is not None:
            return known
    category = ABNORMAL_STRUCTURE if LESIONS.search(name) else ANATOMICAL_STRUCTURE
    return Code(f"{zlib.crc32(name.encode()):08X}", PRIVATE_SCHEME, name[:64]), category


@cache
def _concepts() -> dict[str, tuple[Code, Code]]:
    """Type and category by meaning in lower case, such as "kidney"."""
    from pydicom.sr.codedict import codes

    found: dict[str, tuple[Code, Code]] = {}
    for group, category in GROUPS.items():
        concepts = getattr(codes, group).concepts
        for concept in concepts.values():
            if concept.scheme_designator == "SCT":
                code = Code(str(concept.value), "SCT", str(concept.meaning)[:64])
                found[code.meaning.lower()] = (code, category)
    for meaning, value in PUBLISHED.items():
        found[meaning] = (Code(value, "SCT", meaning.capitalize()), ANATOMICAL_STRUCTURE)
    for keyword in EXTRA:
        concept = getattr(codes.SCT, keyword)
        code = Code(str(concept.value), "SCT", str(concept.meaning))
        found[code.meaning.lower()] = (code, ANATOMICAL_STRUCTURE)
    return found
