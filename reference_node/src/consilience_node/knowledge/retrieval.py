"""Finds the passages that may answer a question: the exact headword first, then BM25.

Example::

    retriever = Retriever(index)
    found = retriever.retrieve("What is a heisenbug?")
    print(found.strategy, found.topic.rule, found.passages[0].title)

Everything here blocks for a few milliseconds, so a server calls it in a thread.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from consilience_node.knowledge.index import Index, IndexedChunk
from consilience_node.knowledge.question import (
    names_asked_for,
    names_within,
    subject_words,
    terms_of,
)
from consilience_node.knowledge.topic import NO_TOPIC, TopicMatch, WordEvidence, topic_match

_MAX_TERMS = 32
_MAX_HOMOGRAPHS = 64
_MAX_QUESTION_CHARACTERS = 16_384


class Match(StrEnum):
    """Tells how a passage was found."""

    HEADWORD = "headword"
    BM25 = "bm25"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Is a piece of a source, to the letter, with everything a citation needs.

    Attributes:
        text: The passage; its UTF-8 bytes are the source's bytes at the span.
        title: The heading or headword it stands under.
        uri: The source's uri.
        source_digest: SHA-256 of the source's bytes, 32 bytes.
        start_byte: Offset of its first byte in the source.
        end_byte: Offset after its last byte.
        score: BM25, higher is better, comparable only within one retrieval; 0 when found by headword.
        match: How it was found.
        retrieval_time: When it was read, aware, in UTC.
    """

    text: str
    title: str
    uri: str
    source_digest: bytes
    start_byte: int
    end_byte: int
    score: float
    match: Match
    retrieval_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Is what was found for a question.

    Attributes:
        passages: Best first; empty if no word of the question occurs anywhere.
        topic: Whether the first passage is about the question.
        strategy: What was tried, in order, as the intake report of an answer names it.
    """

    passages: tuple[Passage, ...]
    topic: TopicMatch
    strategy: str


def _now() -> datetime:
    return datetime.now(UTC)


class Retriever:
    """Looks questions up in one index; any number of threads may use it."""

    def __init__(self, index: Index, *, clock: Callable[[], datetime] = _now) -> None:
        """Keeps the index, which the caller closes, and the clock that dates the passages."""
        self._index = index
        self._clock = clock
        self._chunk_total = index.chunk_count

    def retrieve(self, question: str, *, limit: int = 3) -> Retrieval:
        """Finds passages for a question.

        Args:
            question: Anything a stranger may send; none of it is taken for query syntax, and only its first 16384
                characters are looked at, because one character may stand for eighteen.
            limit: The most passages to return.
        """
        question = question[:_MAX_QUESTION_CHARACTERS]
        for name in names_asked_for(question):
            if homographs := self._index.chunks_of_headword(name, limit=_MAX_HOMOGRAPHS):
                chunks = _as_written_first(homographs, question=question)[:limit]
                topic = self._judge(question, chunk=chunks[0], asked=True, named={})
                return Retrieval(passages=self._passages(chunks, Match.HEADWORD), topic=topic, strategy="headword")
        return self._by_words(question, limit=limit)

    def _by_words(self, question: str, *, limit: int) -> Retrieval:
        """Searches by BM25; passages that the question names come before the rest."""
        named = self._named_chunks(question)
        terms = terms_of(question)[:_MAX_TERMS]
        chunks = (*self._best_named(question, named=named, terms=terms), *self._index.search(terms, limit=limit))
        distinct = tuple({chunk.chunk_id: chunk for chunk in chunks}.values())[:limit]
        topic = NO_TOPIC
        if distinct:
            topic = self._judge(question, chunk=distinct[0], asked=False, named=named)
        return Retrieval(passages=self._passages(distinct, Match.BM25), topic=topic, strategy="headword,bm25")

    def _named_chunks(self, question: str) -> dict[int, frozenset[str]]:
        """Returns the chunks under headwords that hold the question's rarest word, and the words they hold."""
        words = subject_words(question)[:_MAX_TERMS]
        rarity = {word: self._index.document_frequency(word) for word in words}
        rarest = {word for word in words if rarity[word] == min(rarity.values())}
        names = {name: held for name, held in names_within(question).items() if held & rarest}
        return {chunk_id: names[name] for name, chunk_id in self._index.chunk_ids_of_headwords(names)}

    def _best_named(self, question: str, *, named: Collection[int], terms: Sequence[str]) -> tuple[IndexedChunk, ...]:
        """Returns the named chunks: those with more words of the question first, then in the order of the source.

        BM25 is no judge among chunks of one entry. It prefers the shortest, which is its list of references.
        """
        chunks = self._index.search(terms, among=named, limit=_MAX_HOMOGRAPHS) if named else ()
        held = self._index.terms_held(terms, among=[chunk.chunk_id for chunk in chunks])
        in_order = sorted(chunks, key=lambda chunk: (-held[chunk.chunk_id], chunk.chunk_id))
        return _as_written_first(in_order, question=question)

    def _judge(
        self, question: str, *, chunk: IndexedChunk, asked: bool, named: dict[int, frozenset[str]]
    ) -> TopicMatch:
        held = named.get(chunk.chunk_id, frozenset())
        evidence = [
            WordEvidence(
                word=word,
                chunk_count=self._index.document_frequency(word),
                in_name=word in held or self._index.has_term(word, chunk_id=chunk.chunk_id, in_title=True),
                in_passage=word in held or self._index.has_term(word, chunk_id=chunk.chunk_id, in_title=False),
            )
            for word in subject_words(question)[:_MAX_TERMS]
        ]
        return topic_match(evidence, asked=asked, phrase=bool(held), chunk_total=self._chunk_total)

    def _passages(self, chunks: Iterable[IndexedChunk], match: Match) -> tuple[Passage, ...]:
        time = self._clock()
        return tuple(
            Passage(
                text=chunk.text,
                title=chunk.title,
                uri=chunk.uri,
                source_digest=chunk.source_digest,
                start_byte=chunk.start_byte,
                end_byte=chunk.end_byte,
                score=chunk.score,
                match=match,
                retrieval_time=time,
            )
            for chunk in chunks
        )


def _as_written_first(chunks: Iterable[IndexedChunk], *, question: str) -> tuple[IndexedChunk, ...]:
    """Sorts entries that differ only in case: a question about a mouse means "mouse" before "Mouse"."""
    return tuple(sorted(chunks, key=lambda chunk: chunk.title not in question))
