"""A passage is about a question only if the question names it and it covers the question."""

import pytest

from consilience_node.knowledge.topic import MIN_COVERAGE, TopicRule, WordEvidence, topic_match


def word(text: str, count: int, *, name: bool = False, passage: bool | None = None) -> WordEvidence:
    return WordEvidence(word=text, chunk_count=count, in_name=name, in_passage=name if passage is None else passage)


def rule_of(*words: WordEvidence, asked: bool = False, phrase: bool = False) -> TopicRule:
    return topic_match(words, asked=asked, phrase=phrase, chunk_total=10_000).rule


def test_a_headword_asked_for_matches_whatever_else_is_in_the_passage() -> None:
    assert rule_of(word("scsi", 55), asked=True) is TopicRule.HEADWORD


def test_a_passage_named_in_the_question_matches() -> None:
    assert rule_of(word("perl", 85, name=True), phrase=True) is TopicRule.NAMED


def test_a_passage_named_for_a_common_word_only_does_not_match() -> None:
    assert rule_of(word("capital", 18), word("java", 97, name=True), phrase=True) is TopicRule.NONE


def test_a_word_that_no_chunk_has_rules_every_passage_out() -> None:
    assert rule_of(word("rust", 0), word("list", 538, name=True), word("linked", 279, name=True)) is TopicRule.NONE


def test_two_words_in_the_title_name_a_passage_and_one_does_not() -> None:
    wine, wool, stain = (word(text, 3, name=True) for text in ("wine", "wool", "stain"))
    assert rule_of(wine, wool) is TopicRule.NAMED
    assert rule_of(stain) is TopicRule.NONE


def test_a_named_passage_must_cover_the_question() -> None:
    named = word("planet", 6, name=True)
    assert rule_of(named, word("largest", 58), phrase=True) is TopicRule.NONE
    assert rule_of(named, word("largest", 58, passage=True), phrase=True) is TopicRule.NAMED


def test_no_word_matches_nothing() -> None:
    verdict = topic_match((), asked=False, phrase=False, chunk_total=10)
    assert (verdict.rule, verdict.coverage, verdict.matched) == (TopicRule.NONE, 0.0, False)


def test_coverage_weighs_a_rare_word_more() -> None:
    rare = topic_match(
        [word("rare", 1, passage=True), word("common", 5_000)], asked=False, phrase=True, chunk_total=10_000
    )
    common = topic_match(
        [word("rare", 1), word("common", 5_000, passage=True)], asked=False, phrase=True, chunk_total=10_000
    )
    assert rare.coverage > MIN_COVERAGE > common.coverage
    assert rare.coverage + common.coverage == pytest.approx(1.0)


def test_a_word_that_every_chunk_has_weighs_next_to_nothing_and_never_less() -> None:
    verdict = topic_match([word("the", 10, passage=True), word("a", 10)], asked=False, phrase=True, chunk_total=10)
    assert 0 <= verdict.coverage <= 1
