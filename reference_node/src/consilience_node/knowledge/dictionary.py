"""Reads a dictionary in the dictd format, the one Debian's `dict-*` packages have.

Two files make a dictionary: `name.index`, one line per headword with offset and length in dictd's base-64 numbers
(dictd(8), section "Database format"), and `name.dict`, the text they point into. The text may be compressed as
`name.dict.dz`; dictzip files are valid gzip (RFC 1952) with an extra field, so the gzip reader of the standard
library reads them. Byte spans count in the *uncompressed* text, and its digest is the one cited.

Example::

    document = read_dictionary(Path("foldoc.index"))
    print(len(document.sections), document.digest.hex())
"""

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from consilience_node.knowledge.documents import Document, Section, read_utf8, require_utf8
from consilience_node.knowledge.errors import (
    DictionaryFormatError,
    SourceEmptyError,
    SourceMissingError,
)

_DIGITS = {
    digit: value for value, digit in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_ABOUT_ITSELF = ("00-database-", "00database")
_HEADER = re.compile(rb"(?:\S[^\n]*\n)+")
_REFERENCE = re.compile(rb"\s*(?:[Ss]ee\s+)?\{([^{}]+)\}\.?\s*")


@dataclass(frozen=True, slots=True)
class _Place:
    """Is where an entry stands in the uncompressed text."""

    start: int
    end: int


def read_dictionary(index: Path, *, uri: str | None = None, title: str | None = None) -> Document:
    """Reads a dictionary whole; each entry becomes a section that all its headwords lead to.

    Args:
        index: The `.index` file; `.dict.dz` or `.dict` of the same name is expected beside it.
        uri: The document's uri; `name.dict` when absent.
        title: The document's title; the dictionary's own short name, or else `name`, when absent.

    Returns:
        The uncompressed dictionary as one document, entries in the order of the text.

    Raises:
        SourceMissingError: One of the two files is not there.
        SourceEncodingError: One of the two is not UTF-8.
        DictionaryFormatError: An index line cannot be read or points outside the text.
        SourceEmptyError: There is no entry that says anything.
    """
    if not index.is_file():
        raise SourceMissingError(index)
    content = _read_text(index)
    headwords_by_place: dict[_Place, list[str]] = {}
    own_title = ""
    for headword, place in _index_lines(index, content=content):
        if headword.startswith("00-database-short") or headword == "00databaseshort":
            own_title = _short_name(content[place.start : place.end])
        elif not headword.startswith(_ABOUT_ITSELF):
            headwords_by_place.setdefault(place, []).append(headword)
    places = sorted(headwords_by_place, key=lambda place: (place.start, place.end))
    entries = [_section(content, place=place, headwords=headwords_by_place[place]) for place in places]
    sections = tuple(_with_references_followed(entries, content=content))
    if not sections:
        raise SourceEmptyError(index, wanted="at least one entry")
    return Document(
        uri=uri if uri is not None else f"{index.stem}.dict",
        title=title if title is not None else own_title or index.stem,
        content=content,
        sections=sections,
    )


def _read_text(index: Path) -> bytes:
    compressed, plain = index.with_suffix(".dict.dz"), index.with_suffix(".dict")
    if compressed.is_file():
        packed = compressed.read_bytes()
        try:
            content = gzip.decompress(packed)
        except (OSError, EOFError, zlib.error) as error:
            raise DictionaryFormatError(compressed, reason=f"it is not gzip ({error})") from error
        require_utf8(content, path=compressed)
        return content
    if plain.is_file():
        return read_utf8(plain)
    raise SourceMissingError(compressed)


def _index_lines(index: Path, *, content: bytes) -> Iterator[tuple[str, _Place]]:
    """Yields headword and place of each line; a fourth column holds the headword as printed."""
    for number, line in enumerate(read_utf8(index).decode("utf-8").split("\n"), start=1):
        if not line:
            continue
        headword, *rest = line.rstrip("\r").split("\t")
        if len(rest) not in (2, 3) or not (headword and rest[0] and rest[1]):
            raise DictionaryFormatError(index, reason=f"line {number} does not have headword, offset and length")
        try:
            start, length = _number(rest[0]), _number(rest[1])
        except KeyError as error:
            raise DictionaryFormatError(index, reason=f"line {number} has no base-64 number at {error}") from error
        end = start + length
        if end > len(content):
            raise DictionaryFormatError(
                index, reason=f"line {number} ends at byte {end} of {len(content)}; is the text another version?"
            )
        if _splits_character(content, start) or _splits_character(content, end):
            raise DictionaryFormatError(
                index, reason=f"line {number} begins or ends inside a character; is the text another version?"
            )
        printed = rest[2:] or [headword]
        yield printed[0], _Place(start, end)


def _splits_character(content: bytes, offset: int) -> bool:
    return content[offset : offset + 1] != b"" and content[offset] & 0xC0 == 0x80  # noqa: PLR2004 - 0b10xxxxxx goes on


def _number(digits: str) -> int:
    """Reads dictd's base-64 number: most significant digit first, no padding."""
    value = 0
    for digit in digits:
        value = value * 64 + _DIGITS[digit]
    return value


def _short_name(entry: bytes) -> str:
    lines = entry.decode("utf-8").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _section(content: bytes, *, place: _Place, headwords: list[str]) -> Section:
    """Makes a section of an entry, without the lines at its head that only repeat the headwords."""
    header = _HEADER.match(content, place.start, place.end)
    printed = header.group().decode("utf-8").splitlines() if header else []
    has_body = header is not None and content[header.end() : place.end].strip() != b""
    title = printed[0].strip() if printed else headwords[0]
    return Section(
        title=title,
        headwords=tuple(dict.fromkeys([title, *headwords])),
        start=header.end() if header and has_body else place.start,
        end=place.end,
    )


def _with_references_followed(sections: list[Section], *, content: bytes) -> Iterator[Section]:
    """Gives the headwords of an entry that is nothing but "see {other}" to the other entry, and drops the former.

    Nobody is helped by a quoted "{America On-Line}" when that entry stands in the same book.
    """
    by_name = {name.casefold(): section for section in reversed(sections) for name in section.headwords}
    referred: dict[Section, Section] = {}
    for section in sections:
        found = _REFERENCE.fullmatch(content, section.start, section.end)
        other = by_name.get(" ".join(found.group(1).decode("utf-8").casefold().split())) if found else None
        if other is not None and other is not section:
            referred[section] = other
    leading_here: defaultdict[Section, list[str]] = defaultdict(list)
    for section in referred:
        leading_here[_end_of_references(section, referred=referred)].extend(section.headwords)
    for section in sections:
        if section not in referred:
            yield replace(section, headwords=tuple(dict.fromkeys([*section.headwords, *leading_here[section]])))


def _end_of_references(section: Section, *, referred: dict[Section, Section]) -> Section:
    """Follows a chain of references to the entry that says something; two that name each other end nowhere."""
    for _ in range(len(referred)):
        if section not in referred:
            break
        section = referred[section]
    return section
