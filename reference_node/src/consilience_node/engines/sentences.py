"""Where the first sentence of a growing text ends.

A full stop alone proves nothing ("e.g.", "3.14", "J. Doe", "1. First"), so an end is only certain
once the character after the following white space is known::

    >>> sentence_end("About 3.14, e.g. for circles. Then")
    29
    >>> sentence_end("About 3.14, e.g. for circles.") is None
    True
"""

from __future__ import annotations

import re

_CLOSERS = "\"'”’»)\\]」』）"  # noqa: RUF001
_CANDIDATE = re.compile(rf"(?P<mark>[.!?…]+)[{_CLOSERS}]*(?=\s)|[。！？।][{_CLOSERS}]*")  # noqa: RUF001
_WORD_BEFORE = re.compile(r"\S*$")
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]*\d+$")
_DOTTED_LETTERS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]", re.UNICODE)
_ABBREVIATIONS = frozenset(
    {"al", "approx", "ca", "cf", "co", "corp", "dept", "dr", "e.g", "ed", "eds", "eg", "est", "etc", "fig", "gen"}
    | {"gov", "i.e", "ie", "inc", "jr", "ltd", "mr", "mrs", "ms", "prof", "rev", "sr", "st", "univ", "viz", "vol", "vs"}
)


def sentence_end(text: str) -> int | None:
    """Finds the end of the first sentence.

    Args:
        text: what there is of the text so far.

    Returns:
        Index just after the sentence's last mark and closing quotes, or None as long as the text
        so far does not prove that a sentence has ended.
    """
    for match in _CANDIDATE.finditer(text):
        mark = match["mark"]
        if mark is None:
            return match.end()
        if mark == "." and not _full_stop_may_end(text[: match.start()]):
            continue
        gap, following = _split_after(text[match.end() :])
        if "\n" in gap:
            return match.end()
        if not following:
            return None
        if not following.islower():
            return match.end()
    return None


def _split_after(rest: str) -> tuple[str, str]:
    """Returns the leading white space of `rest`, and the one character after it, if any."""
    stripped = rest.lstrip()
    return rest[: len(rest) - len(stripped)], stripped[:1]


def _full_stop_may_end(before: str) -> bool:
    """Says whether a full stop after `before` can be more than the mark of an abbreviation."""
    if _LIST_NUMBER.search(before):
        return False
    found = _WORD_BEFORE.search(before)
    word = found[0].lstrip("\"'“‘«([") if found else ""  # noqa: RUF001
    if len(word) == 1 and word.isalpha():
        return word == "I"
    return word.lower() not in _ABBREVIATIONS and not _DOTTED_LETTERS.fullmatch(word)
