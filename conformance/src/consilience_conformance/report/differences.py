"""The difference between what should have come and what came, in parts that a page marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

_WORDS = re.compile(r"\w+|\W")


@dataclass(frozen=True, slots=True)
class Marked:
    """A text in three parts, of which only the middle one differs from another text.

    Attributes:
        before, differs, after: The parts.
    """

    before: str
    differs: str
    after: str


def marked(expected: str, got: str) -> tuple[Marked, Marked]:
    """Returns both texts, each with the words marked in which it differs; none where nothing is alike."""
    words, others = _WORDS.findall(expected), _WORDS.findall(got)
    before = _alike(zip(words, others, strict=False))
    room = min(len(words), len(others)) - before
    after = min(room, _alike(zip(reversed(words), reversed(others), strict=False)))
    if not before and not after:
        return Marked(expected, "", ""), Marked(got, "", "")
    return _cut(words, before=before, after=after), _cut(others, before=before, after=after)


def _alike(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _cut(words: Sequence[str], *, before: int, after: int) -> Marked:
    end = len(words) - after
    return Marked("".join(words[:before]), "".join(words[before:end]), "".join(words[end:]))
