"""The words that a checked sentence may use. Whatever is not here, nor in the findings, is unsupported.

The vocabulary is closed on purpose: a word that could change what a sentence claims ("enlarged", "stable",
"prior", "likely", "more") is left out, so that a claim which nobody measured can't pass unnoticed.
"""

from __future__ import annotations

_NEUTRAL = """
    a about ai algorithm amounts an analysis appears approx approximately are around as assessed assessment
    at automated automatic automatically based be been being by calculated can computed contains corresponds
    current demonstrated demonstrates depicted depicts detected determined displayed equals estimated
    evaluated evaluation evidence exam examination finding findings for found given gives had has have here
    identified image images imaging impression in indicated is it its lies located measure measured
    measurement measurements measures measuring model noted observed of on our patient percentage present
    quantification quantified reported respectively result results revealed reveals roughly s scan scans
    seen segment segmentation segmented segments shown shows side sided software structure structures study
    that the their there these they this those to using value values visible visualized volumetric volumetry
    was we were which within yields
"""
NEUTRAL = frozenset(_NEUTRAL.split())
"""Words that claim nothing by themselves."""

NEGATIONS = frozenset({"no", "not", "without", "absent", "absence", "none", "neither", "nor"})
SIDES: dict[str, tuple[str, ...]] = {
    "left": ("left",),
    "right": ("right",),
    "both": ("left", "right"),
    "bilateral": ("left", "right"),
    "bilaterally": ("left", "right"),
}
"""A word for a side to the sides that a claim with it is about."""
SEPARATORS = frozenset({",", ";", "and", "with", "while", "whereas", "but", "(", ")"})
"""Where one claim of a sentence ends and the next begins."""

_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
NUMBER_WORDS = {word: float(value) for value, word in enumerate(_NUMBERS.split())}

UNITS: dict[str, tuple[str, float]] = {
    "ml": ("ml", 1.0),
    "millilitre": ("ml", 1.0),
    "millilitres": ("ml", 1.0),
    "milliliter": ("ml", 1.0),
    "milliliters": ("ml", 1.0),
    "cc": ("ml", 1.0),
    "cm3": ("ml", 1.0),
    "cm³": ("ml", 1.0),
    "l": ("ml", 1000.0),
    "litre": ("ml", 1000.0),
    "litres": ("ml", 1000.0),
    "liter": ("ml", 1000.0),
    "liters": ("ml", 1000.0),
    "mm3": ("ml", 0.001),
    "mm³": ("ml", 0.001),
    "mm": ("mm", 1.0),
    "millimetre": ("mm", 1.0),
    "millimetres": ("mm", 1.0),
    "millimeter": ("mm", 1.0),
    "millimeters": ("mm", 1.0),
    "cm": ("mm", 10.0),
    "centimetre": ("mm", 10.0),
    "centimetres": ("mm", 10.0),
    "centimeter": ("mm", 10.0),
    "centimeters": ("mm", 10.0),
    "mm2": ("mm2", 1.0),
    "mm²": ("mm2", 1.0),
    "cm2": ("mm2", 100.0),
    "cm²": ("mm2", 100.0),
    "hu": ("[hnsf'u]", 1.0),
    "hounsfield": ("[hnsf'u]", 1.0),
    "%": ("%", 1.0),
    "percent": ("%", 1.0),
    "g": ("g", 1.0),
    "kg": ("g", 1000.0),
    "ms": ("ms", 1.0),
    "s": ("ms", 1000.0),
    "deg": ("deg", 1.0),
    "degrees": ("deg", 1.0),
    "°": ("deg", 1.0),
}
"""A written unit to (UCUM code in lower case, factor into it); "Hounsfield units" loses its second word."""

MODALITIES: dict[str, frozenset[str]] = {
    "ct": frozenset({"CT"}),
    "mr": frozenset({"MR"}),
    "mri": frozenset({"MR"}),
    "pet": frozenset({"PT"}),
    "xray": frozenset({"CR", "DX", "RG"}),
    "radiograph": frozenset({"CR", "DX", "RG"}),
    "radiography": frozenset({"CR", "DX", "RG"}),
    "cxr": frozenset({"CR", "DX", "RG"}),
    "ultrasound": frozenset({"US"}),
    "sonography": frozenset({"US"}),
    "mammogram": frozenset({"MG"}),
    "mammography": frozenset({"MG"}),
}
"""Words that name how the image was made, and the Modality (0008,0060) that they are true of."""
