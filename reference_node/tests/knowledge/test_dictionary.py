"""A dictd dictionary becomes one document whose sections are its entries."""

import gzip
import hashlib
from pathlib import Path

import pytest

from consilience_node.knowledge.dictionary import read_dictionary
from consilience_node.knowledge.documents import Document, Section
from consilience_node.knowledge.errors import (
    DictionaryFormatError,
    SourceEmptyError,
    SourceEncodingError,
    SourceMissingError,
)

TEXT = (
    "00-database-short\n     A small dictionary\n"
    "Bug\ninsect\n\n   An error in a program, gr\u00fc\u00dfe.\n\n"
    "critter\n\n   {Bug}\n\n"
    "creature\n\n   See {critter}.\n\n"
    "loop\n\n   {loop}\n\n"
)
INSIDE_A_CHARACTER = TEXT.encode().index("\u00fc".encode()) + 1
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def number(value: int) -> str:
    digits = DIGITS[value % 64]
    while value := value // 64:
        digits = DIGITS[value % 64] + digits
    return digits


def line(headword: str, *, text: str, first: str, last: str = "\n\n") -> str:
    start = text.index(first)
    end = text.index(last, text.index("   ", start)) + len(last)
    return f"{headword}\t{number(len(text[:start].encode()))}\t{number(len(text[start:end].encode()))}\n"


def write_dictionary(folder: Path, *, text: str = TEXT, index: str | None = None, compressed: bool = False) -> Path:
    lines = [
        line("00-database-short", text=TEXT, first="00-database-short", last="\n"),
        line("bug", text=TEXT, first="Bug"),
        line("insect", text=TEXT, first="Bug"),
        line("critter", text=TEXT, first="critter"),
        line("creature", text=TEXT, first="creature"),
        line("loop", text=TEXT, first="loop"),
    ]
    (folder / "small.index").write_text("".join(lines) if index is None else index)
    if compressed:
        (folder / "small.dict.dz").write_bytes(gzip.compress(text.encode()))
    else:
        (folder / "small.dict").write_bytes(text.encode())
    return folder / "small.index"


def section_of(document: Document, title: str) -> Section:
    (section,) = (section for section in document.sections if section.title == title)
    return section


@pytest.mark.parametrize("compressed", [False, True])
def test_document_is_the_uncompressed_text(tmp_path: Path, *, compressed: bool) -> None:
    document = read_dictionary(write_dictionary(tmp_path, compressed=compressed))
    assert document.content == TEXT.encode()
    assert document.digest == hashlib.sha256(TEXT.encode()).digest()
    assert (document.uri, document.title) == ("small.dict", "A small dictionary")


def test_an_entry_loses_the_lines_that_repeat_its_headwords(tmp_path: Path) -> None:
    document = read_dictionary(write_dictionary(tmp_path))
    section = section_of(document, "Bug")
    assert document.content[section.start : section.end].decode().strip() == "An error in a program, gr\u00fc\u00dfe."


def test_headwords_of_an_entry_that_only_refers_lead_to_the_one_that_says_something(tmp_path: Path) -> None:
    document = read_dictionary(write_dictionary(tmp_path))
    assert section_of(document, "Bug").headwords == ("Bug", "bug", "insect", "critter", "creature")
    assert [section.title for section in document.sections] == ["Bug", "loop"], "an entry that names itself stays"


def test_entries_that_refer_to_each_other_harm_nobody(tmp_path: Path) -> None:
    text = "a\n\n   {b}\n\nb\n\n   {a}\n\nc\n\n   Something.\n\n"
    index = "".join(line(word, text=text, first=f"{word}\n\n") for word in "abc")
    document = read_dictionary(write_dictionary(tmp_path, text=text, index=index))
    assert [section.title for section in document.sections] == ["c"]


def test_the_fourth_column_holds_the_headword_as_printed(tmp_path: Path) -> None:
    text = "   An entry without a headword line.\n\n"
    index = write_dictionary(tmp_path, text=text, index=f"cafe\tA\t{number(len(text))}\tCaf\u00e9\n")
    (section,) = read_dictionary(index).sections
    assert (section.title, section.headwords) == ("Caf\u00e9", ("Caf\u00e9",))


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ("bug\tA\n", "line 1 does not have headword, offset and length"),
        ("\tA\tB\n", "line 1 does not have headword, offset and length"),
        ("bug\tA\tB\nworm\tA\t-\n", "line 2 has no base-64 number at '-'"),
        ("bug\tA\t/////\n", "line 1 ends at byte 1073741823 of [0-9]+; is the text another version"),
        (f"bug\tA\t{number(INSIDE_A_CHARACTER)}\n", "line 1 begins or ends inside a character"),
        (f"bug\t{number(INSIDE_A_CHARACTER)}\tB\n", "line 1 begins or ends inside a character"),
    ],
)
def test_a_malformed_index_is_refused_with_its_line(tmp_path: Path, index: str, reason: str) -> None:
    with pytest.raises(DictionaryFormatError, match=reason):
        read_dictionary(write_dictionary(tmp_path, index=index))


def test_entries_that_only_refer_to_each_other_are_no_dictionary(tmp_path: Path) -> None:
    text = "a\n\n   {b}\n\nb\n\n   {a}\n\n"
    index = "".join(line(word, text=text, first=f"{word}\n\n") for word in "ab")
    with pytest.raises(SourceEmptyError, match="at least one entry"):
        read_dictionary(write_dictionary(tmp_path, text=text, index=index))


def test_an_index_without_headwords_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceEmptyError):
        read_dictionary(write_dictionary(tmp_path, index=line("00-database-short", text=TEXT, first="00", last="\n")))


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"text" * 99)[:-12], b"\x1f\x8b\x08\x00" + b"\xff" * 40],
    ids=["no gzip", "cut short", "a head alone"],
)
def test_a_broken_compressed_text_is_refused(tmp_path: Path, content: bytes) -> None:
    index = write_dictionary(tmp_path)
    (tmp_path / "small.dict.dz").write_bytes(content)
    with pytest.raises(DictionaryFormatError, match="not gzip"):
        read_dictionary(index)


def test_a_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    index = write_dictionary(tmp_path)
    (tmp_path / "small.dict").write_bytes(b"caf\xe9")
    with pytest.raises(SourceEncodingError):
        read_dictionary(index)


def test_an_index_without_its_text_is_refused(tmp_path: Path) -> None:
    index = write_dictionary(tmp_path)
    (tmp_path / "small.dict").unlink()
    with pytest.raises(SourceMissingError):
        read_dictionary(index)
    with pytest.raises(SourceMissingError):
        read_dictionary(tmp_path / "other.index")


def test_foldoc_is_read_whole_and_to_the_byte(foldoc: Document) -> None:
    assert foldoc.title == "The Free On-line Dictionary of Computing (19 January 2023)"
    assert foldoc.digest.hex() == "c2dfea8326f0adb810f3624a8c0de234134c927434fb74737275719b0085a1be"
    assert len(foldoc.sections) > 11_000
    heisenbug = section_of(foldoc, "heisenbug")
    assert b"A bug that disappears or alters" in foldoc.content[heisenbug.start : heisenbug.end]
    assert all(one.end <= next_.start for one, next_ in zip(foldoc.sections, foldoc.sections[1:], strict=False))


def test_the_digests_named_beside_foldoc_are_those_of_its_files(foldoc: Document) -> None:
    folder = Path(__file__).parents[3] / "examples" / "knowledge" / "foldoc"
    source = (folder / "SOURCE.md").read_text()
    for path in folder.iterdir():
        if path.name != "SOURCE.md":
            assert f"`{path.name}`" in source
            assert hashlib.sha256(path.read_bytes()).hexdigest() in source
    assert foldoc.digest.hex() in source
