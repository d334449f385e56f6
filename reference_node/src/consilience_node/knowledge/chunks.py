"""Cuts a document into chunks small enough to be quoted into a prompt.

A chunk has about 120 words, the size at which the packaged models read best. It is cut between paragraphs where it
can be, between sentences where a paragraph is too long, between lines or words where a sentence is. All of it works
on bytes: every border is an ASCII byte or stands before the first byte of a character, so no character is split and
the bytes at the span *are* the passage.

Example::

    for chunk in chunks_of(document):
        print(chunk.section.title, document.content[chunk.start : chunk.end].decode())
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from consilience_node.knowledge.documents import Document, Section

TARGET_WORDS = 120
"""A chunk stops growing when it has this many words."""
MAX_WORDS = 160
"""A chunk never has more; what has no more is not cut."""

# A run longer than 24 bytes counts as several words, with blanks in it or without. So a script that puts no blanks
# between words, a file that is one endless line and a desert of blanks are cut into chunks of a bounded size too.
_WORD = re.compile(rb"\S{1,24}(?![\x80-\xbf])|\s{24}")
_PARAGRAPH_END = re.compile(rb"\n[ \t\r]*\n\s*")
_SENTENCE_END = re.compile(
    rb"""[.!?]["')\]}]*\s+(?=[^a-z\s])"""  # a small letter goes on after an abbreviation, "e.g. this"
    rb"|\xe3\x80\x82|\xef\xbc\x81|\xef\xbc\x9f"  # the full stop, ! and ? of Chinese and Japanese
)
_LINE_END = re.compile(rb"\n")
_BORDERS = (_PARAGRAPH_END, _SENTENCE_END, _LINE_END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Is a span of a document that is quoted as one passage.

    Attributes:
        section: The section it was cut from, which gives it its title and headwords.
        start: Offset of its first byte in the document; never a blank.
        end: Offset after its last byte; the last byte is never a blank.
    """

    section: Section
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Is a stretch of text that is kept together, and how many words it has."""

    start: int
    end: int
    words: int


def chunks_of(document: Document) -> Iterator[Chunk]:
    """Yields the chunks of a document in the order of its sections; none is empty."""
    content = document.content
    for section in document.sections:
        for start, end in _packed(_pieces(content, section.start, section.end, borders=_BORDERS)):
            text = content[start:end]
            first = start + len(text) - len(text.lstrip())
            if stripped := text.strip():
                yield Chunk(section=section, start=first, end=first + len(stripped))


def _pieces(content: bytes, start: int, end: int, *, borders: tuple[re.Pattern[bytes], ...]) -> Iterator[_Piece]:
    """Yields pieces of at most MAX_WORDS, cut at the strongest borders that make them short enough."""
    words = sum(1 for _ in _WORD.finditer(content, start, end))
    if words <= MAX_WORDS:
        if words:
            yield _Piece(start, end, words)
        return
    if not borders:
        yield from _runs_of_words(content, start, end)
        return
    for border in borders[0].finditer(content, start, end):
        yield from _pieces(content, start, border.end(), borders=borders[1:])
        start = border.end()
    yield from _pieces(content, start, end, borders=borders[1:])


def _runs_of_words(content: bytes, start: int, end: int) -> Iterator[_Piece]:
    words = 0
    for word in _WORD.finditer(content, start, end):
        if words == TARGET_WORDS:
            yield _Piece(start, word.start(), words)
            start, words = word.start(), 0
        words += 1
    yield _Piece(start, end, words)


def _packed(pieces: Iterable[_Piece]) -> Iterator[tuple[int, int]]:
    """Joins neighbouring pieces until a span has TARGET_WORDS, or the next one would take it over MAX_WORDS."""
    span: _Piece | None = None
    for piece in pieces:
        if span is None:
            span = piece
        elif span.words >= TARGET_WORDS or span.words + piece.words > MAX_WORDS:
            yield span.start, span.end
            span = piece
        else:
            span = _Piece(span.start, piece.end, span.words + piece.words)
    if span is not None:
        yield span.start, span.end
