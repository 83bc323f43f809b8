"""Sentences to tokens: words, numbers with their decimals and units, and names that the facts know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dicom_node.drafts.facts import Fact, Phrase
from dicom_node.drafts.words import MODALITIES, NEGATIONS, NEUTRAL, NUMBER_WORDS, SEPARATORS, SIDES, UNITS

Kind = Literal[
    "answer", "measure", "modality", "negation", "number", "separator", "side", "structure", "unknown", "word"
]

TOKEN = re.compile(
    r"""
    (?P<number>(?<![\w.,])[-−+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)(?!\d|[.,/^–—-]\d))
    | (?P<unit>cm³|mm³|cm²|mm²|cm3|mm3|cm2|mm2|%|°)
    | (?P<word>[^\W\d_]+)
    | (?P<mark>\S)
    """,
    re.VERBOSE,
)
"""A number that runs on into another (a range, a fraction, a date, a power) is no number here."""
SENTENCE = re.compile(r"(?<=[.!?])\s+|\s*\n+\s*")
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
MARKS = frozenset(".:!-'\"*–—~=[]")
"""Punctuation that claims nothing; a question mark does."""
KINDS: tuple[tuple[Kind, Iterable[str]], ...] = (
    ("side", SIDES),
    ("negation", NEGATIONS),
    ("separator", SEPARATORS),
    ("modality", MODALITIES),
    ("word", {*NEUTRAL, *UNITS, *NUMBER_WORDS, "or"}),
)


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a sentence, in lower case.

    Attributes:
        phrase: the words of a name. value, decimals: of a number. unit: as written after it, or "".
    """

    kind: Kind
    text: str
    phrase: Phrase = ()
    value: float = 0.0
    decimals: int = 0
    unit: str = ""


def sentences(text: str) -> list[str]:
    """Splits a draft into sentences; a list's bullet or number before one is left out."""
    parts = (BULLET.sub("", part).strip() for part in SENTENCE.split(text))
    return [part for part in parts if part]


def tokens(sentence: str, facts: Sequence[Fact]) -> list[Token]:
    """Tokens of a sentence; names known from the facts, the longest first, become one token each."""
    pieces = [_token(match) for match in TOKEN.finditer(_plain(sentence))]
    pieces = [piece for piece in pieces if piece.text not in MARKS]
    return _with_units(_with_names(pieces, _names(facts)))


def _plain(sentence: str) -> str:
    """A sentence in lower case, with names of two words that stand for one made one."""
    plain = sentence.lower().replace("x-ray", "xray")
    plain = re.sub(r"\bhounsfield units?\b", "hu", plain)
    return re.sub(r"\b(cubic|square) (\w+?)s?\b", _power, plain)


def _power(match: re.Match[str]) -> str:
    """Gives "cm3" for "cubic centimetres", and the words as they are where the second is no length."""
    unit, _ = UNITS.get(match[2], ("", 1.0))
    length = match[2] if unit == match[2] else {"c": "cm", "m": "mm"}[match[2][0]] if unit == "mm" else ""
    return f"{length}{3 if match[1] == 'cubic' else 2}" if length else match[0]


def _token(match: re.Match[str]) -> Token:
    piece = match[0]
    if match.lastgroup == "number":
        return _number(piece)
    return Token(next((kind for kind, known in KINDS if piece in known), "unknown"), piece)


def _number(piece: str) -> Token:
    plain = piece.replace("−", "-").lstrip("+")
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    plain = plain.replace(",", ".")
    return Token("number", plain, value=float(plain), decimals=len(plain.partition(".")[2]))


def _names(facts: Sequence[Fact]) -> dict[Phrase, Kind]:
    """Every name that the facts know; a structure's name wins over a measure's."""
    named: dict[Phrase, Kind] = {}
    for fact in facts:
        if fact.answer not in ("", "present", "absent"):
            named[tuple(re.findall(r"[a-z]+", fact.answer))] = "answer"
    for fact in facts:
        named |= dict.fromkeys(fact.measure, "measure")
    for fact in facts:
        named |= dict.fromkeys(fact.structure, "structure")
    return named


def _with_names(pieces: Sequence[Token], named: dict[Phrase, Kind]) -> list[Token]:
    found: list[Token] = []
    longest, position = max((len(name) for name in named), default=0), 0
    while position < len(pieces):
        for length in range(longest, 0, -1):
            phrase = tuple(piece.text for piece in pieces[position : position + length])
            if phrase in named:
                found.append(Token(named[phrase], " ".join(phrase), phrase))
                position += len(phrase)
                break
        else:
            found.append(pieces[position])
            position += 1
    return found


def _with_units(pieces: Sequence[Token]) -> list[Token]:
    """Joins each number, in digits or as a word, with the unit written after it."""
    found: list[Token] = []
    for piece in pieces:
        before = found[-1] if found else None
        if piece.text in UNITS and before is not None and before.kind == "number" and not before.unit:
            found[-1] = replace(before, unit=piece.text)
        elif piece.kind == "word" and piece.text in NUMBER_WORDS:
            found.append(Token("number", piece.text, value=NUMBER_WORDS[piece.text]))
        else:
            found.append(piece)
    return found
