"""Text that a node wrote, made harmless: nothing in it commands a terminal, hides, or turns the line around."""

from __future__ import annotations

import unicodedata


def printable(text: str, *, keep: str = " ") -> str:
    """Returns a text in which control characters, and spaces that are none, are written as their code points.

    Args:
        text: Whatever came.
        keep: Characters that stay as they are.
    """
    return "".join(
        letter if letter in keep or unicodedata.category(letter)[0] not in "CZ" else f"\\u{ord(letter):04x}"
        for letter in text
    )
