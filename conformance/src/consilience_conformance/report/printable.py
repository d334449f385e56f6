"""Text that a node wrote, made harmless: it commands no terminal and no build server, hides nothing, turns no line."""

from __future__ import annotations

import re
import unicodedata

_COMMAND = re.compile(r"(?<!\S):(?=:[A-Za-z])|#(?=#\[)")
"""How a word begins that build servers take for a command, at the beginning of a line or anywhere."""


def printable(text: str, *, keep: str = " ") -> str:
    """Returns a text in which control characters, and spaces that are none, are written as their code points.

    So is the first character of what a build server would take for a command: `::error::`, `##[error]`.

    Args:
        text: Whatever came.
        keep: Characters that stay as they are.
    """
    shown = "".join(
        letter if letter in keep or unicodedata.category(letter)[0] not in "CZ" else _code_point(letter)
        for letter in text
    )
    return _COMMAND.sub(lambda found: _code_point(found.group()), shown)


def _code_point(letter: str) -> str:
    return f"\\u{ord(letter):04x}"
