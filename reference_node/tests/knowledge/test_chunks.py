"""Chunks are small, cover everything, and lie between characters."""

import re

from hypothesis import given
from hypothesis import strategies as st

from consilience_node.knowledge.chunks import MAX_WORDS, TARGET_WORDS, chunks_of
from consilience_node.knowledge.documents import Document, Section


def document_of(content: bytes) -> Document:
    section = Section(title="t", headwords=("t",), start=0, end=len(content))
    return Document(uri="t", title="t", content=content, sections=(section,))


def texts_of(content: str) -> list[str]:
    document = document_of(content.encode())
    return [document.content[chunk.start : chunk.end].decode() for chunk in chunks_of(document)]


def words(count: int, *, word: str = "word") -> str:
    return " ".join([word] * count)


def test_a_short_text_is_one_chunk_without_the_blanks_around_it() -> None:
    assert texts_of("\n\n  Two words.\n\n And  more. \n") == ["Two words.\n\n And  more."]


def test_paragraphs_are_packed_until_the_target_and_never_beyond_the_maximum() -> None:
    paragraph = words(50)
    assert texts_of("\n\n".join([paragraph] * 7)) == ["\n\n".join([paragraph] * 3)] * 2 + [paragraph]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    sentence = words(39) + " end."
    chunks = texts_of(" ".join([sentence] * 9))
    assert chunks == [" ".join([sentence] * 3)] * 3


def test_a_full_stop_before_a_small_letter_ends_no_sentence() -> None:
    sentence = words(70, word="e.g. word")
    assert texts_of(f"{sentence}. But {sentence}.") == [f"{sentence}.", f"But {sentence}."]


def test_an_endless_sentence_is_cut_between_words() -> None:
    chunks = texts_of(words(500))
    assert [len(chunk.split()) for chunk in chunks] == [TARGET_WORDS] * 4 + [20]


def test_a_script_without_blanks_is_cut_after_its_full_stops() -> None:
    sentence = "漢字" * 200 + "。"
    assert texts_of(sentence * 4) == [sentence * 3, sentence]


def test_a_wall_without_a_blank_is_cut_between_characters() -> None:
    chunks = texts_of("é€𝄞" * 4000)
    assert "".join(chunks) == "é€𝄞" * 4000
    assert max(len(chunk.encode()) for chunk in chunks) <= MAX_WORDS * 24


def test_a_desert_of_blanks_does_not_make_a_chunk_long() -> None:
    chunks = texts_of("a" + " " * 100_000 + "b")
    assert (chunks[0][0], chunks[-1][-1]) == ("a", "b")
    assert max(map(len, chunks)) <= MAX_WORDS * 48


@given(st.text(alphabet=st.sampled_from("ab é漢。.!?\n\r\t(\"'"), max_size=3000))
def test_whatever_the_text_spans_are_ordered_exact_and_lose_only_blanks(content: str) -> None:
    document = document_of(content.encode() * 3)
    after = 0
    for chunk in chunks_of(document):
        text = document.content[chunk.start : chunk.end]
        assert chunk.start >= after
        assert text.decode().encode() == text.strip() != b""
        assert not document.content[after : chunk.start].strip()
        assert len(text) <= MAX_WORDS * 48
        after = chunk.end
    assert not document.content[after:].strip()


def test_foldoc_is_cut_into_chunks_of_bounded_size(foldoc: Document) -> None:
    counts = [len(re.findall(rb"\S+", foldoc.content[chunk.start : chunk.end])) for chunk in chunks_of(foldoc)]
    assert max(counts) <= MAX_WORDS
    assert sum(counts) > 700_000
