"""Reads the sources of a knowledge skill: a folder of Markdown and text files.

A document keeps its bytes exactly as they were read, because a citation names their SHA-256 and a byte span in
them. Sections are titled spans; their titles are what "What is …?" is looked up by.

Example::

    for document in read_folder(Path("handbook")):
        print(document.uri, document.digest.hex(), [section.title for section in document.sections])
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from consilience_node.knowledge.errors import (
    SourceEmptyError,
    SourceEncodingError,
    SourceMissingError,
)
from consilience_node.knowledge.question import bare_name, singulars

_MARKDOWN_SUFFIXES = frozenset({".md", ".markdown"})
_TEXT_SUFFIXES = frozenset({".txt"})
_LINE_END = re.compile(rb"\r\n?|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Is a titled part of a document.

    Attributes:
        title: What a person would call it: the path of headings, or the headword.
        headwords: The names it is looked up by, as written in the source.
        start: Offset of its first byte in the document.
        end: Offset after its last byte.
    """

    title: str
    headwords: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Is one source text, byte for byte.

    Attributes:
        uri: Where a reader finds it; a relative reference where the operator gave no base.
        title: What a person would call it.
        content: Its bytes, valid UTF-8; every span counts in these.
        sections: Its parts in the order of the text, not overlapping.
        digest: SHA-256 of `content`, 32 bytes.
    """

    uri: str
    title: str
    content: bytes = field(repr=False)
    sections: tuple[Section, ...] = field(repr=False)
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Computes the digest, so that it cannot disagree with the content."""
        object.__setattr__(self, "digest", hashlib.sha256(self.content).digest())


def read_folder(folder: Path, *, base_uri: str | None = None) -> tuple[Document, ...]:
    """Reads every Markdown and text file under a folder, in the order of their paths.

    Hidden files and folders are passed over, and so is everything that is neither Markdown nor text.

    Args:
        folder: The folder; its subfolders are read too.
        base_uri: What stands before the relative path in a document's uri; the folder's name when absent.

    Returns:
        One document per file that holds text, at least one.

    Raises:
        SourceMissingError: The folder does not exist.
        SourceEncodingError: A file is not UTF-8.
        SourceEmptyError: No file holds any text.
    """
    if not folder.is_dir():
        raise SourceMissingError(folder)
    base = base_uri if base_uri is not None else quote(folder.resolve().name)
    documents = []
    for path in _readable_files(folder):
        uri = f"{base.rstrip('/')}/{quote(path.relative_to(folder).as_posix())}"
        document = _document(path, uri=uri, content=read_utf8(path))
        if document.sections:
            documents.append(document)
    if not documents:
        raise SourceEmptyError(folder, wanted="at least one .md or .txt file with text in it")
    return tuple(documents)


def read_utf8(path: Path) -> bytes:
    """Reads a file and returns its bytes after checking that they are UTF-8.

    Raises:
        SourceEncodingError: They are not; the error carries the offset of the first bad byte.
    """
    content = path.read_bytes()
    require_utf8(content, path=path)
    return content


def require_utf8(content: bytes, *, path: Path) -> None:
    """Checks that bytes which came from a file are strict UTF-8.

    Raises:
        SourceEncodingError: They are not; the error carries the offset of the first bad byte.
    """
    try:
        content.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise SourceEncodingError(path, offset=error.start) from error


def _readable_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.suffix.lower() in _MARKDOWN_SUFFIXES | _TEXT_SUFFIXES and path.is_file():
            yield path


def _document(path: Path, *, uri: str, content: bytes) -> Document:
    name = re.sub(r"[-_\s]+", " ", path.stem).strip() or path.name
    if path.suffix.lower() in _MARKDOWN_SUFFIXES:
        headings = _headings(content)
        title = next((heading.text for heading in headings if heading.level == 1), name)
        sections = _sections_by_heading(content, headings=headings, title=title)
    else:
        title = name
        sections = (
            (Section(title=name, headwords=_headwords(name), start=0, end=len(content)),) if content.strip() else ()
        )
    return Document(uri=uri, title=title, content=content, sections=sections)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heading:
    level: int
    text: str
    start: int
    end: int


def _headings(content: bytes) -> list[_Heading]:
    """Finds the headings a Markdown reader sees, so a '#' inside a code block is none."""
    # The parser counts lines by \r\n, \r and \n, as _LINE_END does; offsets come from our own bytes.
    borders = [0, *(match.end() for match in _LINE_END.finditer(content)), len(content)]
    tokens = MarkdownIt("commonmark").parse(content.decode("utf-8"))
    headings = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map is not None:
            first, after = opening.map
            headings.append(
                _Heading(level=int(opening.tag[1:]), text=_plain(inline), start=borders[first], end=borders[after])
            )
    return headings


def _plain(inline: Token) -> str:
    """Returns the text of a heading without its markup, on one line."""
    breaks = {"softbreak", "hardbreak"}
    text = "".join(" " if child.type in breaks else child.content for child in inline.children or ())
    return " ".join(text.split())


def _sections_by_heading(content: bytes, *, headings: list[_Heading], title: str) -> tuple[Section, ...]:
    """Cuts a document at its headings; a heading's own line belongs to no section, its text is the title."""
    borders = [heading.start for heading in headings] + [len(content)]
    sections = [Section(title=title, headwords=_headwords(title), start=0, end=borders[0])]
    path: list[_Heading] = []
    for heading, end in zip(headings, borders[1:], strict=True):
        path = [above for above in path if above.level < heading.level] + [heading]
        names = [above.text for above in path if above.text] or [title]
        sections.append(Section(title=" > ".join(names), headwords=_headwords(names[-1]), start=heading.end, end=end))
    return tuple(section for section in sections if content[section.start : section.end].strip())


def _headwords(heading: str) -> tuple[str, ...]:
    """Returns the names that a heading is looked up by: "The node cards" and "What is a node card?" by "node card"."""
    bare = bare_name(heading) or heading
    return tuple(dict.fromkeys((heading, bare, *singulars(bare))))
