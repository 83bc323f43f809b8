"""Whether a sentence states only what the facts hold: each number, unit, side, structure and negation.

A sentence is split into claims at commas and conjunctions. Each claim has a subject (a structure and its
side, carried over from the claim before where it names none), and is supported where a fact says the same
of the same subject. Whatever the check does not understand is unsupported: it errs by dropping a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dicom_node.drafts.facts import Fact, Phrase
from dicom_node.drafts.parse import Kind, Token, tokens
from dicom_node.drafts.words import MODALITIES, SIDES, UNITS

PLAIN_UNITS = ("ml", "mm", "count")
COARSEST = 0.05
"""Largest relative error of a number that is rounded further than its fact's digits."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A sentence, what supports it (None: nothing does), and why it is unsupported."""

    sentence: str
    support: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One part of a sentence, with the subject and the measure that it is about."""

    pieces: tuple[Token, ...]
    structures: tuple[Phrase, ...]
    side: str
    measures: tuple[Phrase, ...]
    negated: bool
    own_subject: bool
    """It names its structure or side itself, and did not take them over from the claim before."""

    def of(self, kind: Kind) -> list[Token]:
        """Its tokens of a kind."""
        return [piece for piece in self.pieces if piece.kind == kind]


class _UnsupportedError(Exception):
    """Carries the reason up to the sentence."""


@dataclass(slots=True)
class _Carried:
    """What a claim takes over from the one before it."""

    structures: tuple[Phrase, ...] = ()
    sides: list[str] = field(default_factory=lambda: [""])
    measures: tuple[Phrase, ...] = ()
    negated: bool = False
    pending_sides: list[str] = field(default_factory=list)


def judge(sentence: str, facts: Sequence[Fact], modality: str = "") -> Judged:
    """Judges one sentence.

    Args:
        sentence: one sentence of a draft.
        facts: all that may be stated.
        modality: Modality (0008,0060) of the images; a word for another kind of image is unsupported.
    """
    pieces = tokens(sentence, facts)
    try:
        _check_words(pieces, modality)
        paired = _respectively(pieces)
        claims = paired if paired is not None else list(_claims(pieces))
        sources = [source for claim in claims for source in _sources(claim, facts)]
    except _UnsupportedError as unsupported:
        return Judged(sentence, None, str(unsupported))
    if not sources:
        return Judged(sentence, None, "it states nothing that was measured")
    return Judged(sentence, "; ".join(dict.fromkeys(sources)))


def _check_words(pieces: Sequence[Token], modality: str) -> None:
    for piece in pieces:
        if piece.kind == "unknown":
            raise _UnsupportedError(f"{piece.text!r} is supported by no finding")
        if piece.kind == "modality" and modality not in MODALITIES[piece.text]:
            raise _UnsupportedError(f"the images are {modality or 'of no stated modality'}, not {piece.text}")


def _claims(pieces: Sequence[Token]) -> Iterable[Claim]:
    """Yields a sentence's claims in order, each with what it takes over from those before."""
    everywhere = tuple(dict.fromkeys(piece.phrase for piece in pieces if piece.kind == "structure"))
    carried = _Carried(structures=everywhere if len(everywhere) == 1 else ())
    last: Claim | None = None
    for part in _parts(pieces):
        for last in _claims_of(part, carried):
            yield last
    # A side that nothing follows belongs to what stands before it: "a nodule is seen, on the left".
    for side in carried.pending_sides:
        if last is None:
            raise _UnsupportedError("it names a side of nothing")
        yield replace(last, side=side, own_subject=True)


def _parts(pieces: Sequence[Token]) -> Iterable[list[Token]]:
    part: list[Token] = []
    for piece in pieces:
        if piece.kind == "separator":
            yield part
            part = []
        else:
            part.append(piece)
    yield part


def _claims_of(part: list[Token], carried: _Carried) -> Iterable[Claim]:
    """Yields the claims of one part, one for each side that "both" or "left and right" names."""
    kinds = {piece.kind for piece in part}
    if not kinds & {"number", "structure", "measure", "answer", "side", "negation"}:
        return
    words = dict.fromkeys(piece.text for piece in part if piece.kind == "side")
    if len(words) > 1:
        raise _UnsupportedError("one claim names both sides")
    sides = [side for word in words for side in SIDES[word]]
    if kinds <= {"side", "word"}:
        carried.pending_sides += sides
        return
    named = tuple(dict.fromkeys(piece.phrase for piece in part if piece.kind == "structure"))
    measures = tuple(dict.fromkeys(piece.phrase for piece in part if piece.kind == "measure"))
    listed = carried.negated and kinds <= {"measure", "word"} and len(measures) == 1 and len(part) <= 2
    sides = [*carried.pending_sides, *sides]
    carried.pending_sides = []
    if named or sides:
        carried.sides = sides or [""]
    carried.structures = named or carried.structures
    carried.measures = measures or carried.measures
    carried.negated = "negation" in kinds or listed
    yield from (
        Claim(tuple(part), carried.structures, side, carried.measures, carried.negated, bool(named or sides))
        for side in dict.fromkeys(carried.sides)
    )


def _respectively(pieces: Sequence[Token]) -> list[Claim] | None:
    """Claims of "left and right … a and b …, respectively": the n-th subject with the n-th number."""
    if not any(piece.text == "respectively" for piece in pieces):
        return None
    numbers = [piece for piece in pieces if piece.kind == "number"]
    unit = numbers[-1].unit if numbers else ""
    sides = [side for piece in pieces if piece.kind == "side" for side in SIDES[piece.text]]
    structures = [piece.phrase for piece in pieces if piece.kind == "structure"]
    measures = tuple(dict.fromkeys(piece.phrase for piece in pieces if piece.kind == "measure"))
    if sides and len(structures) == 1:
        structures = structures * len(sides)
    same = len(structures) == len(numbers) and len(sides) in (0, len(numbers))
    if not same or any(piece.kind == "negation" for piece in pieces):
        raise _UnsupportedError("it is not clear which number belongs to which structure")
    return [
        Claim((replace(number, unit=number.unit or unit),), (structure,), side, measures, False, True)
        for number, structure, side in zip(numbers, structures, sides or [""] * len(numbers), strict=True)
    ]


def _sources(claim: Claim, facts: Sequence[Fact]) -> Iterable[str]:
    """Yields what supports a claim; raises where a part of it is unsupported."""
    numbers = claim.of("number")
    if len(claim.of("negation")) > 1:
        raise _UnsupportedError("it is negated twice")
    if any(piece.text == "or" for piece in claim.pieces) and not claim.negated:
        raise _UnsupportedError("'or' leaves open what was found")
    if numbers:
        if claim.negated:
            raise _UnsupportedError("a measured number is negated")
        if len(claim.structures) > 1:
            raise _UnsupportedError("it is not clear which structure was measured")
        yield from (_number_source(number, claim, facts) for number in numbers)
    judged = list(_judgement_sources(claim, facts))
    yield from judged
    if claim.negated and not judged:
        raise _UnsupportedError("what it denies was not judged")
    if not numbers and not judged:
        yield from _mention_sources(claim, facts)


def _number_source(number: Token, claim: Claim, facts: Sequence[Fact]) -> str:
    about = [
        fact
        for fact in facts
        if fact.value is not None
        and (_about(fact, claim) or _of_the_whole(fact, claim, facts))
        and all(measure in fact.measure for measure in claim.measures)
        and _in_unit(number, fact) is not None
        and (claim.measures or not fact.derived)
    ]
    right = [fact for fact in about if _same_value(number, fact)]
    if not right:
        raise _UnsupportedError(f"no finding gives {number.text} {number.unit}".rstrip() + _subject(claim))
    if not claim.measures and not all(_plain(fact) for fact in right):
        raise _UnsupportedError(f"it does not say which measurement {number.text} {number.unit} is")
    if not claim.structures and len({(fact.structure, fact.side) for fact in about}) > 1:
        raise _UnsupportedError(f"it does not say of which structure {number.text} {number.unit} is")
    return right[0].source


def _about(fact: Fact, claim: Claim) -> bool:
    """Whether a fact is of the claim's subject; a claim without one may be of any, if that is unambiguous."""
    if not claim.structures:
        return not claim.side or claim.side == fact.side
    return claim.structures[0] in fact.structure and claim.side == fact.side


def _of_the_whole(fact: Fact, claim: Claim, facts: Sequence[Fact]) -> bool:
    """Whether a fact is of the whole image, by a measure that no structure has, and the claim names that."""
    named = {piece.phrase for piece in claim.of("measure")}
    if fact.structure or claim.own_subject or not named & fact.measure:
        return False
    return not any(other.structure for other in facts if other.measure & named)


def _in_unit(number: Token, fact: Fact) -> float | None:
    """Factor from the number's unit to the fact's, or None where they measure different things."""
    if fact.unit in ("1", "count"):
        return 1.0 if not number.unit else None
    if number.unit not in UNITS:
        return None
    written, factor = UNITS[number.unit]
    base, of_fact = UNITS.get(fact.unit, (fact.unit, 1.0))
    return factor / of_fact if written == base else None


def _same_value(number: Token, fact: Fact) -> bool:
    """Whether the number is the fact's value, rounded as far as it shows, but not too far."""
    factor = _in_unit(number, fact)
    if factor is None or fact.value is None:
        return False
    error = abs(number.value * factor - fact.value)
    if error > 0.5 * 10.0**-number.decimals * factor * (1 + 1e-9):
        return False
    fine = 10.0**-number.decimals * factor <= 10.0**-fact.digits
    return fine or (fact.unit != "1" and error <= COARSEST * abs(fact.value))


def _plain(fact: Fact) -> bool:
    """Whether a number's unit says what was measured: a volume, a length, a count."""
    return UNITS.get(fact.unit, (fact.unit, 1.0))[0] in PLAIN_UNITS


def _judgement_sources(claim: Claim, facts: Sequence[Fact]) -> Iterable[str]:
    """Yields what supports each judgement that a claim names: present, absent, or another answer."""
    answers = {piece.text for piece in claim.of("answer")}
    if ("probability",) in claim.measures and claim.of("number"):
        return
    for measure in dict.fromkeys(piece.phrase for piece in claim.of("measure")):
        judged = [fact for fact in facts if measure in fact.measure and fact.answer]
        if not judged:
            continue
        wanted = {"absent"} if claim.negated else answers or {"present"}
        right = [fact for fact in judged if {fact.answer} == wanted and _located(fact, claim)]
        if not right:
            raise _UnsupportedError(f"{' '.join(measure)!r} was not judged so" + _subject(claim))
        answers -= wanted
        yield right[0].source
    if answers:
        raise _UnsupportedError(f"{answers.pop()!r} is no answer to what it names")


def _located(fact: Fact, claim: Claim) -> bool:
    """Whether a judgement holds where the claim puts it.

    What is absent everywhere is absent anywhere; what is present somewhere is present, without a place.
    A structure named earlier in the sentence is a place too: "the lung is seen and contains a nodule".
    """
    if not claim.structures and not claim.side:
        return not fact.structure or fact.answer != "absent"
    if not fact.structure:
        return fact.answer == "absent"
    return any(name in fact.structure for name in claim.structures) and claim.side == fact.side


def _mention_sources(claim: Claim, facts: Sequence[Fact]) -> Iterable[str]:
    """Yields what supports that each structure named, on its side, was looked at at all."""
    for structure in claim.structures if claim.own_subject else ():
        right = [fact for fact in facts if structure in fact.structure and fact.side == claim.side]
        if not right:
            raise _UnsupportedError("no finding is" + _subject(claim))
        yield right[0].source
    if claim.of("side") and not claim.structures:
        raise _UnsupportedError("it names a side of nothing")


def _subject(claim: Claim) -> str:
    names = " and ".join(" ".join(structure) for structure in claim.structures)
    return f" of the {claim.side} {names}".replace("  ", " ").rstrip() if names or claim.side else ""


def foreign_modality(text: str, modality: str) -> str | None:
    """The first word of a text that names another kind of image than the modality, or None."""
    for piece in tokens(text, ()):
        if piece.kind == "modality" and modality not in MODALITIES[piece.text]:
            return piece.text
    return None
