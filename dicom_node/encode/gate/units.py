"""UCUM units: whether a code is one, and which quantity it is of."""

from __future__ import annotations

import re
from collections import Counter

_PREFIXES = "(?:da|[YZEPTGMkhdcmunpfazy])"
_PLAIN_METRIC = """
    mol Gy Sv Pa N J W V T K Cel rad eq U [iU] m[Hg] Ohm A C F cd cal eV bit By B
"""
_METRIC: dict[str, dict[str, int]] = {
    **{unit: {} for unit in _PLAIN_METRIC.split()},
    **{"m": {"L": 1}, "g": {"M": 1}, "s": {"T": 1}, "l": {"L": 3}, "L": {"L": 3}},
    **{"Hz": {"T": -1}, "Bq": {"T": -1}},
}
"""Units that take prefixes, with their powers of length, mass and time; others count as without any."""
_PLAIN: dict[str, dict[str, int]] = {
    **{unit: {} for unit in ("1", "%", "[hnsf'U]", "deg", "[ppm]", "[ppb]", "'", "''")},
    **{unit: {"T": 1} for unit in ("min", "h", "d", "wk", "mo", "a")},
    **{"[in_i]": {"L": 1}, "[lb_av]": {"M": 1}},
}
"""Units that take none."""
_ATOM = re.compile(r"^(?P<unit>.*?)(?P<power>[+-]?\d)?$")
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")
_MOST = 3
"""Largest power of a unit in medicine: cm3, mm-1. cm4 is a slip of the pen."""


def quantity(code: str) -> dict[str, int] | None:
    """Powers of length (L), mass (M) and time (T); None where the code is no UCUM unit that is used here."""
    bare = _ANNOTATION.sub("", code)
    if not bare:
        return {} if code else None
    powers: Counter[str] = Counter()
    pieces = re.split(r"([./])", bare.replace("(", "").replace(")", ""))
    if bare.startswith("/"):
        pieces = ["1", *pieces[1:]]
    for index in range(0, len(pieces), 2):
        sign = -1 if index and pieces[index - 1] == "/" else 1
        dimension = _atom(pieces[index])
        if dimension is None:
            return None
        powers.update({name: sign * power for name, power in dimension.items()})
    return {name: power for name, power in powers.items() if power}


def _atom(text: str) -> dict[str, int] | None:
    if not text or text.isdigit():
        return {}
    if re.fullmatch(r"10(\*|\^)-?\d{1,2}", text):
        return {}
    if text in _PLAIN:
        return _PLAIN[text]
    found = _ATOM.match(text)
    if found is None:
        return None
    unit, power = found["unit"], int(found["power"] or 1)
    known = next((one for one in _METRIC if re.fullmatch(f"{_PREFIXES}?{re.escape(one)}", unit)), None)
    if known is None or not power or abs(power) > _MOST:
        return None
    return {name: each * power for name, each in _METRIC[known].items()}


EXPECTED = {
    ("118565006", "SCT"): {"L": 3},
    ("42798000", "SCT"): {"L": 2},
    ("410668003", "SCT"): {"L": 1},
    ("81827009", "SCT"): {"L": 1},
    ("103339001", "SCT"): {"L": 1},
    ("103340004", "SCT"): {"L": 1},
}
"""Volume, area, length, diameter, long axis and short axis: the quantity that their units must be of."""
