"""Decides whether a passage is about what was asked. Pure: evidence comes in, a verdict goes out.

A search engine always finds *something*, and a small model answers from it fluently. So there has to be a rule that
says "nothing here is about that", and the raw BM25 score does not give one. A passage is about the question if

* the question asks for a headword of it and for nothing else ("What is a heisenbug?"), or
* the question names it, and it covers the question. It is named by a headword that stands in the question as a
  phrase ("Who invented *Perl*?"), or by two words of the question in its title; and the rarest word of the question
  must be among them, because in "What is the capital of Java?" everything hangs on the capital.

How much a word counts is its inverse document frequency in the index; a word that no chunk has counts most.

Example::

    words = [WordEvidence(word="perl", chunk_count=85, in_name=True, in_passage=True)]
    assert topic_match(words, asked=False, phrase=True, chunk_total=13480).rule is TopicRule.NAMED
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MIN_COVERAGE = 0.7
"""A named passage must have words of the question that make up this share of its weight."""
_TITLE_WORDS_THAT_NAME = 2


class TopicRule(StrEnum):
    """Names the rule by which a passage was found to be about the question."""

    HEADWORD = "headword"
    NAMED = "named"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class WordEvidence:
    """Is what the index knows about one word of the question and one passage.

    Attributes:
        word: The word, as it stands in the question.
        chunk_count: How many chunks of the index have it.
        in_name: Whether it stands in the passage's title, or in a headword of it that the question names.
        in_passage: Whether it stands in the passage, title included.
    """

    word: str
    chunk_count: int
    in_name: bool
    in_passage: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicMatch:
    """Is the verdict.

    Attributes:
        rule: The rule that matched; NONE if none did.
        coverage: Share of the question's weight that the passage has, 0 to 1.
    """

    rule: TopicRule
    coverage: float

    @property
    def matched(self) -> bool:
        """Whether the passage is about the question."""
        return self.rule is not TopicRule.NONE


NO_TOPIC = TopicMatch(rule=TopicRule.NONE, coverage=0.0)
"""The verdict where there is no passage, or no word to judge it by."""


def topic_match(words: Sequence[WordEvidence], *, asked: bool, phrase: bool, chunk_total: int) -> TopicMatch:
    """Judges one passage.

    Args:
        words: The words of the question that tell what it is about.
        asked: Whether the question asks for a headword of the passage and for nothing else.
        phrase: Whether a headword of the passage stands in the question.
        chunk_total: How many chunks the index has.

    Returns:
        The first rule that matches, and the coverage in every case.
    """
    weights = [math.log((chunk_total + 1) / (word.chunk_count + 0.5)) for word in words]
    covered = sum(weight for weight, word in zip(weights, words, strict=True) if word.in_passage)
    coverage = covered / sum(weights) if words else 0.0
    if asked:
        return TopicMatch(rule=TopicRule.HEADWORD, coverage=coverage)
    rarest = min((word.chunk_count for word in words), default=0)
    names_rarest = any(word.in_name and word.chunk_count == rarest for word in words)
    named = phrase or sum(word.in_name for word in words) >= _TITLE_WORDS_THAT_NAME
    if names_rarest and named and coverage >= MIN_COVERAGE:
        return TopicMatch(rule=TopicRule.NAMED, coverage=coverage)
    return TopicMatch(rule=TopicRule.NONE, coverage=coverage)
