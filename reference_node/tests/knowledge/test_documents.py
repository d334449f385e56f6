"""A folder becomes documents, byte for byte."""

import hashlib
from pathlib import Path

import pytest

from consilience_node.knowledge.documents import Document, read_folder
from consilience_node.knowledge.errors import SourceEmptyError, SourceEncodingError, SourceMissingError


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_one(folder: Path) -> Document:
    (document,) = read_folder(folder)
    return document


def section_texts(document: Document) -> dict[str, str]:
    return {part.title: document.content[part.start : part.end].decode().strip() for part in document.sections}


def test_digest_is_that_of_the_file_as_it_lies_on_disk(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Zeile eins\r\nZeile zwei äöü\r\n")
    document = read_one(tmp_path)
    assert document.content == path.read_bytes()
    assert document.digest == hashlib.sha256(path.read_bytes()).digest()


def test_documents_come_in_the_order_of_their_paths_with_uris_under_the_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "our guide"
    for name in ("b.md", "a.txt", "sub/c d.markdown", "image.png", ".hidden.md", ".git/x.md", "empty.md"):
        write(folder / name, "" if name == "empty.md" else "text")
    documents = read_folder(folder)
    assert [document.uri for document in documents] == [
        "our%20guide/a.txt",
        "our%20guide/b.md",
        "our%20guide/sub/c%20d.markdown",
    ]


def test_base_uri_stands_before_the_path(tmp_path: Path) -> None:
    write(tmp_path / "sub" / "a.md", "text")
    (document,) = read_folder(tmp_path, base_uri="https://example.org/guide/")
    assert document.uri == "https://example.org/guide/sub/a.md"


def test_markdown_is_cut_at_its_headings_and_titled_by_their_path(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "Preface.\n\n# Cleaning\nGeneral.\n\n## Wool *rugs*\nCold water.\n\nOvens\n=====\nSoda.\n")
    document = read_one(tmp_path)
    assert document.title == "Cleaning"
    assert [section.title for section in document.sections] == ["Cleaning", "Cleaning", "Cleaning > Wool rugs", "Ovens"]
    assert [section.headwords for section in document.sections][2:] == [
        ("Wool rugs", "wool rugs", "wool rug"),
        ("Ovens", "ovens", "oven"),
    ]
    assert section_texts(document)["Cleaning > Wool rugs"] == "Cold water."


def test_a_hash_in_a_code_block_is_no_heading(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "# Setup\n```sh\n# comment\nmake\n```\nDone.\n")
    assert section_texts(read_one(tmp_path)) == {"Setup": "```sh\n# comment\nmake\n```\nDone."}


def test_a_heading_over_two_lines_is_one_title(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "What is\na `node` card?\n---\nText.\n")
    document = read_one(tmp_path)
    assert section_texts(document) == {"What is a node card?": "Text."}
    assert document.sections[0].headwords == ("What is a node card?", "node card")


def test_a_file_of_headings_alone_has_nothing_to_quote(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "# One\n\n# Two\n")
    write(tmp_path / "b.txt", "Something.")
    assert read_one(tmp_path).title == "b"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_headings_are_found_whatever_ends_the_lines(tmp_path: Path, line_end: str) -> None:
    lines = ["# Ärger", "eins\u2028noch eins", "", "## Maß", "zwei \x0b drei", ""]
    write(tmp_path / "a.md", line_end.join(lines))
    assert section_texts(read_one(tmp_path)) == {"Ärger": "eins\u2028noch eins", "Ärger > Maß": "zwei \x0b drei"}


def test_a_text_file_is_one_section_titled_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "house_rules-2.txt", "# Not a heading\n\nText.")
    document = read_one(tmp_path)
    assert [section.title for section in document.sections] == ["house rules 2"]


def test_a_markdown_file_without_headings_is_titled_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "opening-hours.md", "From nine to five.")
    assert section_texts(read_one(tmp_path)) == {"opening hours": "From nine to five."}


def test_a_file_that_is_not_utf8_is_named_with_the_offset_of_the_bad_byte(tmp_path: Path) -> None:
    write(tmp_path / "good.txt", "good")
    path = write(tmp_path / "latin.txt", b"caf\xe9")
    with pytest.raises(SourceEncodingError, match=r"latin\.txt is not UTF-8 \(invalid byte at offset 3\)") as caught:
        read_folder(tmp_path)
    assert (caught.value.path, caught.value.offset) == (path, 3)


def test_an_encoded_surrogate_is_not_utf8(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", b"ok \xed\xa0\x80")
    with pytest.raises(SourceEncodingError):
        read_folder(tmp_path)


def test_an_empty_folder_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    write(tmp_path / "blank.md", " \n")
    with pytest.raises(SourceEmptyError, match=r"at least one \.md or \.txt file"):
        read_folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceMissingError, match="nowhere is not there"):
        read_folder(tmp_path / "nowhere")
