"""What sort of sequence an MR series is: from names, from the sequence, and from the physics of its times."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dicom_node.understanding.belief import Clue
from dicom_node.understanding.header import Header, words

_WORDS = {
    "flair": words("FLAIR\\w*", "DARK ?-?FLUID", "TIRM ?DARK\\w*"),
    "stir": words("STIR", "TIRM(?! ?DARK)"),
    "adc": words("ADC", "D?APPARENT DIFF\\w*"),
    "dwi": words(
        "DWI\\w*", "DIFF(?:USION)?(?! ?COEFF)", "DTI", "TRACEW?", "EP2D ?_?DIFF\\w*",
        "B ?(?:500|800|1000|1400)",
    ),
    "swi": words("SWI\\w*", "SWAN", "VENOBOLD", "SWIP"),
    "tof": words("TOF\\w*", "TIME ?-?OF ?-?FLIGHT", "INHANCE"),
    "perfusion": words("PERF\\w*", "P?C?ASL", "DSC", "DCE", "3DP?CASL", "CBF", "CBV", "RCBF", "MTT"),
    "bold": words("BOLD", "FMRI", "REST\\d*", "RESTING\\w*", "RSFMRI", "EPFID2D\\d*"),
    "t2star": words(
        "T2 ?_?(?:\\*|STAR)", "HEMO", "GRE ?T2", "FFE ?T2", "T2 ?(?:FFE|GRE)", "MEDIC", "MERGE",
    ),
    "pd": words("PD\\d?\\w?", "PROTON ?-?DENSITY", "DP"),
    "t1w": words(
        "T1\\w{0,2}", "MP ?-?RAGE", "MPRAGE\\w*", "MP2RAGE", "BRAVO", "F?SPGR", "TFL\\d?D?\\d*", "VIBE",
        "T1TFE", "THRIVE", "LAVA", "IR ?-?FSPGR", "E?THRIVE",
    ),
    "t2w": words(
        "T2\\w{0,2}(?! ?_?(?:\\*|STAR|FFE|GRE|FLAIR))", "HASTE", "CISS", "FIESTA", "DRIVE", "SSFSE",
    ),
}  # fmt: skip
"""In descriptions, the more telling first: a T2 FLAIR is a FLAIR, a T1 FLAIR a T1."""
_T1_FLAIR = words("T1 ?_?W?I? ?_?FLAIR\\w*")
_PREVAILS = {
    "flair": ("t2w", "t1w"),
    "adc": ("dwi",),
    "stir": ("t2w", "t1w"),
    "t2star": ("t2w",),
    "perfusion": ("t1w",),
}
"""Which word makes another that stands beside it mean nothing of its own."""
_SEQUENCES = (
    (re.compile(r"TFL\d?D?|T1TFE|MPRAGE|IR_?FSPGR|BRAVO"), "t1w", 0.85),
    (re.compile(r"EP_?B\d|EP_CALC|DW_?SE|DWISE|EPI2?_?DIFF"), "dwi", 0.9),
    (re.compile(r"EPFID|FEEPI|GREEPI"), "bold", 0.75),
    (re.compile(r"SWI\d?D?"), "swi", 0.9),
    (re.compile(r"FL_?TOF|TOF"), "tof", 0.9),
    (re.compile(r"SPCIR|TIR2D|TIRM|TIR_?RS"), "flair", 0.7),
    (re.compile(r"SPC(?!IR)|HASTE|H2D|TRUFI"), "t2w", 0.6),
)
"""Names that the sequence's programmers gave: Sequence Name (0018,0024), Pulse Sequence Name (0018,9005)."""
_ACQUIRED = {
    "DIFFUSION": "dwi", "FLUID_ATTENUATED": "flair", "PERFUSION": "perfusion", "PROTON_DENSITY": "pd",
    "STIR": "stir",
    "T1": "t1w", "T2": "t2w", "T2_STAR": "t2star", "TOF": "tof",
}  # fmt: skip
"""PS3.3 C.8.13.3.1.1, Acquisition Contrast (0008,9209)."""
_TYPED = {"ADC": "adc", "TRACEW": "dwi", "DIFFUSION": "dwi", "FMRI": "bold", "SWI": "swi", "ASL": "perfusion",
          "PERFUSION": "perfusion", "CBF": "perfusion", "T1": "t1w", "T2": "t2w"}  # fmt: skip
"""Values of Image Type beyond the second."""


def kind_clues(header: Header) -> Iterator[Clue]:
    """Clues for every kind of sequence."""
    yield from _worded(header)
    contrast = header.text("AcquisitionContrast")
    if contrast in _ACQUIRED:
        yield Clue(_ACQUIRED[contrast], 0.85, f"AcquisitionContrast is {contrast}")
    for value in header.texts("ImageType")[2:]:
        if value in _TYPED:
            yield Clue(_TYPED[value], 0.8, f"ImageType has {value}")
    for keyword in ("SequenceName", "PulseSequenceName"):
        name = header.text(keyword)
        for pattern, kind, weight in _SEQUENCES:
            if name and pattern.search(name):
                yield Clue(kind, weight, f"{keyword} is {name}")
                break
    yield from _physics(header)


def _worded(header: Header) -> Iterator[Clue]:
    """Words of each description; of those that stand together, the one that prevails."""
    clues = list(header.worded(_WORDS))
    t1_flair = any(
        _T1_FLAIR.search(header.text(keyword)) for keyword in ("SeriesDescription", "ProtocolName")
    )
    said = {clue.value for clue in clues}
    mute = {other for value in said for other in _PREVAILS.get(str(value), ())}
    if t1_flair:
        mute = (mute | {"flair"}) - {"t1w"}
    return (clue for clue in clues if clue.value not in mute)


def _physics(header: Header) -> Iterator[Clue]:
    """What repetition, echo and inversion times make bright, in ms; diffusion by its b-value in s/mm²."""
    tr, te = header.number("RepetitionTime"), header.number("EchoTime") or header.number("EffectiveEchoTime")
    ti, flip = header.number("InversionTime"), header.number("FlipAngle") or 90.0
    sequence, variant = header.texts("ScanningSequence"), header.texts("SequenceVariant")
    if (header.number("DiffusionBValue") or 0) > 50:
        yield Clue("dwi", 0.85, "DiffusionBValue is above 50")
    if tr is None or te is None or "EP" in sequence:
        return
    times = f"TR {tr:.0f}, TE {te:.0f}" + (f", TI {ti:.0f}" if ti else "")
    if ti and ti > 1500 and te > 60:
        yield Clue("flair", 0.8, times)
    elif ti and 80 <= ti <= 260 and tr > 1500:
        yield Clue("stir", 0.7, times)
    elif "GR" in sequence or (tr < 100 and flip < 80):
        if "MP" in variant or (te < 8 and flip >= 7):
            yield Clue("t1w", 0.55, f"gradient echo, {times}, flip angle {flip:.0f}")
        elif te >= 15:
            yield Clue("t2star", 0.5, f"gradient echo, {times}")
    elif te < 30:
        yield Clue("t1w" if tr < 1000 else "pd", 0.6, f"spin echo, {times}")
    elif te > 60 and tr > 1500:
        yield Clue("t2w", 0.6, f"spin echo, {times}")
