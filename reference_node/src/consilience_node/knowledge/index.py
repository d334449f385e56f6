"""Keeps the chunks of a knowledge skill in one SQLite file with a full-text index (FTS5).

The file is made from its sources and nothing else, so it is thrown away and built anew whenever they change: it
carries a key, the digest of everything it was made from. It is built under another name and moved into place, so a
reader sees the old index or the new one, never half of one; an index that is being read stays readable.

Example::

    with Index.open(Path("foldoc.sqlite"), documents=[read_dictionary(Path("foldoc.index"))]) as index:
        print(index.chunks_of_headword("heisenbug", limit=1)[0].text)
"""

import hashlib
import json
import os
import sqlite3
import tempfile
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from consilience_node.knowledge.chunks import MAX_WORDS, TARGET_WORDS, chunks_of
from consilience_node.knowledge.documents import Document
from consilience_node.knowledge.question import normalised

_FORMAT = f"1 {TARGET_WORDS} {MAX_WORDS}"
_TITLE_WEIGHT = 4.0
_MAX_TITLE_CHARACTERS = 512  # what a citation may carry
_SCHEMA = """
CREATE TABLE origin (key TEXT NOT NULL) STRICT;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, uri TEXT NOT NULL, digest BLOB NOT NULL
) STRICT;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, document_id INTEGER NOT NULL REFERENCES documents, title TEXT NOT NULL,
    text TEXT NOT NULL, start_byte INTEGER NOT NULL, end_byte INTEGER NOT NULL
) STRICT;
CREATE TABLE headwords (
    headword TEXT NOT NULL, chunk_id INTEGER NOT NULL REFERENCES chunks, PRIMARY KEY (headword, chunk_id)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (
    title, text, content = 'chunks', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);
"""
_CHUNK = """
SELECT chunks.id, chunks.title, chunks.text, chunks.start_byte, chunks.end_byte, documents.uri, documents.digest,
       {score}
FROM {source} JOIN documents ON documents.id = chunks.document_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedChunk:
    """Is a chunk as the index holds it.

    Attributes:
        chunk_id: Its number in this index.
        title: The title of its section.
        text: Exactly the bytes of the source at the span, as text.
        uri: The uri of its document.
        source_digest: SHA-256 of its document's bytes.
        start_byte: Where it begins in its document.
        end_byte: Where it ends in its document, exclusive.
        score: BM25, higher is better, comparable only within one search; 0 for a headword.
    """

    chunk_id: int
    title: str
    text: str
    uri: str
    source_digest: bytes
    start_byte: int
    end_byte: int
    score: float


class Index:
    """Reads an index file; any number of threads and processes may, at the same time."""

    def __init__(self, path: Path) -> None:
        """Opens an index that exists; `Index.open` is what makes sure that it does."""
        self._connection = _connect_read_only(path)
        # One connection for all threads: a search takes milliseconds, and SQLite's own objects are not shared safely.
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, documents: Sequence[Document]) -> Self:
        """Opens the index of these documents at `path`, building it if it is absent or made from other ones.

        Raises:
            OSError: The folder of `path` cannot be written to.
        """
        key = _key_of(documents)
        if _key_at(path) != key:
            _build(path, documents=documents, key=key)
        return cls(path)

    def __enter__(self) -> Self:
        """Returns the index itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self.close()

    def close(self) -> None:
        """Closes the file; the index cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    @property
    def chunk_count(self) -> int:
        """How many chunks the index holds."""
        return int(self._rows("SELECT count(*) FROM chunks")[0][0])

    def chunks_of_headword(self, headword: str, *, limit: int) -> tuple[IndexedChunk, ...]:
        """Returns the chunks that stand under a headword, in the order of the source.

        Args:
            headword: In any spelling that `question.normalised` brings to the same form.
            limit: The most chunks to return.
        """
        statement = (
            _CHUNK.format(score="0.0", source="headwords JOIN chunks ON chunks.id = headwords.chunk_id")
            + "WHERE headwords.headword = ? ORDER BY chunks.id LIMIT ?"
        )
        return tuple(_chunk(row) for row in self._rows(statement, normalised(headword), limit))

    def chunk_ids_of_headwords(self, headwords: Collection[str]) -> tuple[tuple[str, int], ...]:
        """Returns each of these headwords that exists with each chunk under it; the shortest headwords first."""
        rows = self._rows(
            "SELECT headword, chunk_id FROM headwords WHERE headword IN (SELECT value FROM json_each(?))"
            " ORDER BY length(headword), chunk_id",
            json.dumps(list(headwords)),
        )
        return tuple((str(headword), int(chunk_id)) for headword, chunk_id in rows)

    def search(
        self, terms: Iterable[str], *, limit: int, among: Collection[int] | None = None
    ) -> tuple[IndexedChunk, ...]:
        """Returns the chunks that have any of the words, best first by BM25; a word in the title counts more.

        Args:
            terms: Words, in any form: what FTS5 would take for syntax is only ever text here.
            limit: The most chunks to return.
            among: The chunks to choose from; all of them when absent.
        """
        query = " OR ".join(_quoted(term) for term in terms)
        if not query:
            return ()
        statement = _CHUNK.format(
            score=f"-bm25(words, {_TITLE_WEIGHT}, 1.0)", source="words JOIN chunks ON chunks.id = words.rowid"
        )
        condition, values = "WHERE words MATCH ?", [query]
        if among is not None:
            condition += " AND words.rowid IN (SELECT value FROM json_each(?))"
            values.append(json.dumps(list(among)))
        order = f" ORDER BY bm25(words, {_TITLE_WEIGHT}, 1.0), chunks.id LIMIT ?"
        return tuple(_chunk(row) for row in self._rows(statement + condition + order, *values, limit))

    def document_frequency(self, term: str) -> int:
        """Returns in how many chunks a word stands, in title or text."""
        return int(self._rows("SELECT count(*) FROM words WHERE words MATCH ?", _quoted(term))[0][0])

    def terms_held(self, terms: Iterable[str], *, among: Collection[int]) -> Counter[int]:
        """Counts for each of some chunks how many of the words it has, in title or text."""
        held: Counter[int] = Counter()
        for term in terms:
            rows = self._rows(
                "SELECT rowid FROM words WHERE words MATCH ? AND rowid IN (SELECT value FROM json_each(?))",
                _quoted(term),
                json.dumps(list(among)),
            )
            held.update(int(row[0]) for row in rows)
        return held

    def has_term(self, term: str, *, chunk_id: int, in_title: bool) -> bool:
        """Tells whether a chunk has a word, in its title or, if `in_title` is false, anywhere."""
        query = f"title : {_quoted(term)}" if in_title else _quoted(term)
        return bool(self._rows("SELECT 1 FROM words WHERE words MATCH ? AND rowid = ?", query, chunk_id))

    def _rows(self, statement: str, *values: str | float) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def _quoted(term: str) -> str:
    """Makes an FTS5 string of a word, inside which nothing is syntax (sqlite.org/fts5.html, section 3.1)."""
    return '"' + normalised(term).replace('"', '""') + '"'


def _chunk(row: tuple[Any, ...]) -> IndexedChunk:
    chunk_id, title, text, start, end, uri, digest, score = row
    return IndexedChunk(
        chunk_id=chunk_id,
        title=title,
        text=text,
        uri=uri,
        source_digest=digest,
        start_byte=start,
        end_byte=end,
        score=score,
    )


def _connect_read_only(path: Path) -> sqlite3.Connection:
    # Immutable: no locks and no journal are looked for, since a file in place is never written to again.
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _key_of(documents: Sequence[Document]) -> str:
    """Digests everything an index is made from, so that two equal keys mean two equal indexes."""
    key = hashlib.sha256(_FORMAT.encode())
    for document in documents:
        # The sections too: a dictionary's headwords stand in a file of their own, which the digest does not cover.
        key.update(repr((document.uri, document.digest, document.sections)).encode())
    return key.hexdigest()


def _key_at(path: Path) -> str | None:
    """Reads the key of the index at a path; None if there is no index, or something else."""
    try:
        with closing(_connect_read_only(path)) as connection:
            row = connection.execute("SELECT key FROM origin").fetchone()
    except sqlite3.DatabaseError:
        return None
    return str(row[0]) if row else None


def _build(path: Path, *, documents: Sequence[Document], key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    unfinished = Path(name)
    try:
        with closing(sqlite3.connect(unfinished)) as connection:
            # Nobody reads the file before it is complete, and an incomplete one is thrown away.
            connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            connection.executescript(_SCHEMA)
            _fill(connection, documents=documents)
            connection.execute("INSERT INTO origin VALUES (?)", (key,))
            connection.commit()
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _fill(connection: sqlite3.Connection, *, documents: Sequence[Document]) -> None:
    chunk_id = 0
    for document_id, document in enumerate(documents, start=1):
        connection.execute("INSERT INTO documents VALUES (?, ?, ?)", (document_id, document.uri, document.digest))
        for chunk in chunks_of(document):
            chunk_id += 1
            title = chunk.section.title[:_MAX_TITLE_CHARACTERS]
            text = document.content[chunk.start : chunk.end].decode("utf-8")
            connection.execute(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)",
                (chunk_id, document_id, title, text, chunk.start, chunk.end),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO headwords VALUES (?, ?)",
                ((normalised(name), chunk_id) for name in chunk.section.headwords),
            )
    connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
