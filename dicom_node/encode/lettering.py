"""Text on pictures, in the font that Pillow itself carries (Aileron, CC0): no system font is needed."""

from __future__ import annotations

import unicodedata
from functools import cache

from PIL import ImageDraw, ImageFont

WHITE = (245, 245, 245)
GREY = (170, 170, 170)
AMBER = (255, 190, 40)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font at a size in pixels."""
    loaded = ImageFont.load_default(size)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType")
    return loaded


def plain(words: str) -> str:
    """Words with only what the font can draw: accents dropped, a few signs written out."""
    for sign, written in {
        "²": "2",
        "³": "3",
        "µ": "u",
        "°": " deg",
        "–": "-",
        "−": "-",
        "≥": ">=",
        "≤": "<=",
    }.items():
        words = words.replace(sign, written)
    decomposed = unicodedata.normalize("NFKD", words)
    kept = (letter for letter in decomposed if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in kept)


def width(words: str, size: int) -> float:
    """Width in pixels."""
    return font(size).getlength(plain(words))


def wrap(words: str, size: int, room: float) -> list[str]:
    """Lines that are no wider than the room; a single word that is wider stays on a line of its own."""
    lines: list[str] = []
    for word in words.split():
        if lines and width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    words: str,
    size: int,
    color: tuple[int, int, int] = WHITE,
    anchor: str = "la",
) -> None:
    """Draws one line with a dark edge, so that it is legible on any picture."""
    draw.text(
        at, plain(words), fill=color, font=font(size), anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0)
    )
