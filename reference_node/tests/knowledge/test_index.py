"""An index is built once, replaced whole, and takes no question for syntax."""

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from consilience_node.knowledge.documents import Document, Section
from consilience_node.knowledge.index import Index
from consilience_node.knowledge.question import terms_of
from consilience_node.knowledge.retrieval import Retriever

HOSTILE = [
    '"',
    '""" OR "',
    "NEAR(",
    "NEAR(bug loop, 3)",
    "AND OR",
    "bug AND NOT loop",
    "*",
    "bug*",
    "^bug",
    "title : bug",
    "{title text} : bug",
    "-bug + loop",
    "(((",
    "'; DROP TABLE chunks; --",
    "bug\0loop",
    "\ud800",
    "🐛",
    "🐛 bug 🐛",
    "é" * 3,
    "x" * 10_000,
    "bug " * 2_500,
    "\u202ebug",
    "",
    "   ",
]


def document_of(text: str, *, title: str = "bug", uri: str = "a.md", headwords: tuple[str, ...] = ()) -> Document:
    content = text.encode()
    section = Section(title=title, headwords=headwords or (title,), start=0, end=len(content))
    return Document(uri=uri, title=title, content=content, sections=(section,))


def identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


def test_an_index_is_built_once_and_again_only_when_the_sources_change(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "index.sqlite"
    Index.open(path, documents=[document_of("One.")]).close()
    built = identity(path)
    Index.open(path, documents=[document_of("One.")]).close()
    assert identity(path) == built
    with Index.open(path, documents=[document_of("Two.")]) as index:
        assert index.chunks_of_headword("bug", limit=9)[0].text == "Two."
    assert identity(path) != built


@pytest.mark.parametrize(
    "changed",
    [
        document_of("One.", uri="b.md"),
        document_of("One.", title="loop"),
        document_of("One.", headwords=("bug", "insect")),
    ],
)
def test_an_index_is_built_again_when_names_change(tmp_path: Path, changed: Document) -> None:
    path = tmp_path / "index.sqlite"
    Index.open(path, documents=[document_of("One.")]).close()
    built = identity(path)
    Index.open(path, documents=[changed]).close()
    assert identity(path) != built


@pytest.mark.parametrize("rubbish", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 200])
def test_rubbish_in_the_place_of_the_index_is_replaced(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(rubbish)
    with Index.open(path, documents=[document_of("One.")]) as index:
        assert index.chunk_count == 1


def test_a_database_of_somebody_else_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE origin (other)")
    connection.commit()
    connection.close()
    with Index.open(path, documents=[document_of("One.")]) as index:
        assert index.chunk_count == 1


def test_an_index_that_is_being_read_stays_readable_while_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with Index.open(path, documents=[document_of("One.")]) as old:
        with Index.open(path, documents=[document_of("Two.")]) as new:
            assert new.chunks_of_headword("bug", limit=1)[0].text == "Two."
        assert old.chunks_of_headword("bug", limit=1)[0].text == "One."
        assert old.search(["one"], limit=1)


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = document_of("One.")
    object.__setattr__(broken, "digest", object())
    with pytest.raises(sqlite3.Error):
        Index.open(tmp_path / "index.sqlite", documents=[broken])
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_the_signs_of_a_uri_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "what? #1 %41.sqlite"
    with Index.open(path, documents=[document_of("One.")]) as index:
        assert index.chunk_count == 1
    assert path.is_file()


@pytest.mark.parametrize("question", HOSTILE, ids=range(len(HOSTILE)))
def test_no_question_is_taken_for_syntax(tmp_path: Path, question: str) -> None:
    with Index.open(tmp_path / "index.sqlite", documents=[document_of("A bug in a loop.")]) as index:
        found = Retriever(index).retrieve(question)
        assert index.chunks_of_headword(question, limit=9) is not None
        index.search([question], limit=9)
        index.search(question.split(), limit=9)
        index.document_frequency(question)
        index.has_term(question, chunk_id=1, in_title=True)
        assert bool(found.passages) == ("bug" in terms_of(question) or "loop" in terms_of(question))
        assert index.chunk_count == 1


def test_a_phrase_in_a_term_is_no_operator(tmp_path: Path) -> None:
    documents = [document_of("alpha"), document_of("beta", uri="b.md")]
    with Index.open(tmp_path / "index.sqlite", documents=documents) as index:
        assert index.search(["alpha OR beta"], limit=9) == ()
        assert len(index.search(["alpha", "beta"], limit=9)) == 2


def test_a_word_in_the_title_counts_more(tmp_path: Path) -> None:
    documents = [
        document_of("a loop runs in the loop of a loop", title="other", uri="1"),
        document_of("goes round", title="loop", uri="2"),
    ]
    with Index.open(tmp_path / "index.sqlite", documents=documents) as index:
        found = index.search(["loop"], limit=9)
    assert [chunk.uri for chunk in found] == ["2", "1"]
    assert found[0].score > found[1].score


def test_words_are_found_in_all_their_forms_and_accents(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index.sqlite", documents=[document_of("Les cafés: running keys.")]) as index:
        for word in ("cafe", "CAFÉ", "runs", "key"):
            assert index.document_frequency(word) == 1


def test_a_title_is_kept_to_the_length_that_a_citation_may_carry(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index.sqlite", documents=[document_of("x", title="long " * 1000)]) as index:
        assert len(index.search(["x"], limit=1)[0].title) == 512


def test_threads_read_one_index_at_the_same_time(foldoc_index: Index) -> None:
    retriever = Retriever(foldoc_index)
    questions = ["What is a heisenbug?", "Who invented Perl?", "What is Unix?", "How do I boil an egg?"] * 8
    start = threading.Barrier(8)

    def titles(questions: list[str]) -> list[list[str]]:
        start.wait()
        return [[passage.title for passage in retriever.retrieve(question).passages] for question in questions]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(titles, [questions] * 8))
    assert results == [results[0]] * 8


def _open_and_count(path: Path) -> int:
    with Index.open(path, documents=[document_of("One.")]) as index:
        return index.chunk_count


def test_processes_that_build_the_same_index_at_once_do_not_harm_each_other(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with get_context("spawn").Pool(3) as pool:
        assert pool.map(_open_and_count, [path] * 6) == [1] * 6
    assert [os.fspath(left.name) for left in tmp_path.iterdir()] == ["index.sqlite"]


def test_foldoc_gives_every_chunk_a_headword(foldoc_index: Index) -> None:
    assert foldoc_index.chunk_count > 12_000
    assert foldoc_index.chunks_of_headword("starlisp", limit=1)[0].title == "*LISP"
