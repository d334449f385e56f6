"""The difference between what should have come and what came, in parts that a page marks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile


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
    """Returns both texts, each with the part marked in which it differs from the other; none where nothing is alike."""
    before = _alike(zip(expected, got, strict=False))
    room = min(len(expected), len(got)) - before
    after = min(room, _alike(zip(reversed(expected), reversed(got), strict=False)))
    if not before and not after:
        return Marked(expected, "", ""), Marked(got, "", "")
    return _cut(expected, before=before, after=after), _cut(got, before=before, after=after)


def _alike(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _cut(text: str, *, before: int, after: int) -> Marked:
    end = len(text) - after
    return Marked(text[:before], text[before:end], text[end:])
